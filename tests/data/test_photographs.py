import numpy as np
import pytest
from PIL import Image

from xai_utils.data import DataError, photographs
from xai_utils.data.pictures import open_picture

IDENTIFIERS = ("n01440764", "n02133161")


def stripes(width, height):
    """A picture whose red is the column and whose green is the row, in 256ths."""
    rows, columns = np.mgrid[:height, :width]
    channels = [255 * columns / width, 255 * rows / height, 0 * rows]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


@pytest.fixture
def folder(tmp_path):
    stripes(512, 256).save(tmp_path / "n02133161_bear.png")
    stripes(300, 600).save(tmp_path / "n01440764_tench.PNG")
    (tmp_path / ".n01440764_hidden.png").write_text("x")
    (tmp_path / "README.md").write_text("no picture")
    return tmp_path


def test_the_middle_of_each_photograph_and_the_class_of_its_name(folder):
    data = photographs.load(folder, IDENTIFIERS)
    assert data.names.tolist() == ["n01440764_tench", "n02133161_bear"] and data.y.tolist() == [0, 1]
    assert data.x.shape == (2, 224, 224, 3) and data.x.dtype == np.uint8
    # 256 pixels high, of which the middle 224: 16/256 to 240/256; of 512 wide, 144/512 to 368/512.
    row, column = data.x[1, :, 0, 1], data.x[1, 0, :, 0]
    np.testing.assert_allclose([row[0], row[-1]], [255 * 16 / 256, 255 * 239 / 256], atol=2)
    np.testing.assert_allclose([column[0], column[-1]], [255 * 144 / 512, 255 * 367 / 512], atol=2)


def test_any_folder_in_any_size(folder):
    images, names = photographs.read_folder(folder, 50, count=1)
    assert images.shape == (1, 50, 50, 3) and names.tolist() == ["n01440764_tench"]


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1"])
def test_every_picture_has_three_channels(tmp_path, mode):
    stripes(40, 30).convert(mode).save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    assert photographs.read_folder(tmp_path, 16)[0].shape == (1, 16, 16, 3)


def test_a_picture_that_was_taken_upright_is_turned(tmp_path):
    image, about = stripes(40, 20), Image.Exif()
    about[0x0112] = 6  # to be turned by a quarter
    image.save(tmp_path / "a.jpg", exif=about)
    assert open_picture(tmp_path / "a.jpg").size == (20, 40)


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    stripes(40, 30).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="too many pixels"):
        open_picture(tmp_path / "a.png")


def test_what_cannot_be_used_is_named(folder):
    stripes(9, 9).save(folder / "bear.png")
    with pytest.raises(DataError, match="bear does not begin with the identifier"):
        photographs.load(folder, IDENTIFIERS)
    (folder / "bear.png").write_text("x")
    with pytest.raises(DataError, match="bear.png cannot be read"):
        photographs.load(folder, IDENTIFIERS)


def test_a_folder_that_is_missing_or_empty_is_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no picture in"):
        photographs.read_folder(tmp_path, 224)
    monkeypatch.setenv("XAI_PHOTOS", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="correct XAI_PHOTOS"):
        photographs.find()
    monkeypatch.setenv("XAI_PHOTOS", str(tmp_path))
    assert photographs.find() == (str(tmp_path), "local")
    monkeypatch.delenv("XAI_PHOTOS")
    assert photographs.find() == ("generated", "generated")

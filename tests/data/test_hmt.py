import hashlib
import http.server
import io
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from xai_utils.data import DataError, Dataset, Samples, download, hmt, synthetic_tissue
from xai_utils.data.synthetic_tissue import CLASSES


@pytest.fixture
def rows(monkeypatch):
    """A split of one training and one test tile a class, and the tiles by ``class/file``."""
    tiles, labels, _ = synthetic_tissue.generate(2, seed=7)
    rows, pixels = [], {}
    for index, (tile, label) in enumerate(zip(tiles, labels)):
        file = f"{index:04X}_CRC-Prim-HE-{label:02d}_001.tif_Row_1_Col_{index}.tif"
        pixels[f"{CLASSES[label]}/{file}"] = tile
        rows.append(
            {
                "file": file,
                "class": CLASSES[label],
                "split": "test" if index % 2 else "train",
                "pixels_sha256": hashlib.sha256(tile.tobytes()).hexdigest(),
            }
        )
    monkeypatch.setattr(hmt, "read_split", lambda: rows)
    return pixels


@pytest.fixture(params=["tif", "png", "webp"])
def folder(request, rows, tmp_path):
    """The tiles in the eight class folders, in a format that loses nothing."""
    for name, tile in rows.items():
        path = (tmp_path / "tiles" / name).with_suffix(f".{request.param}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(tile).save(path, lossless=True)
    return tmp_path / "tiles"


@pytest.fixture
def archive(rows, tmp_path, monkeypatch):
    """The tiles in an archive of the form that Zenodo has, and its checksum made the right one."""
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Kather_texture_2016_image_tiles_5000/", "")
        for name, tile in rows.items():
            content = io.BytesIO()
            Image.fromarray(tile).save(content, "TIFF")
            archive.writestr(f"Kather_texture_2016_image_tiles_5000/{name}", content.getvalue())
    monkeypatch.setattr(hmt, "ARCHIVE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on this machine in the place of Zenodo; returns the folder that it serves."""
    served = tmp_path / "served"
    served.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=served)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setattr(hmt, "ARCHIVE_URL", f"http://127.0.0.1:{running.server_port}/{hmt.ARCHIVE}")
        monkeypatch.setattr(hmt, "CACHED", tmp_path / "cache" / hmt.ARCHIVE)
        monkeypatch.delenv("XAI_HMT_DIR", raising=False)
        yield served
        running.shutdown()


def test_the_split_is_the_published_one():
    rows = hmt.read_split()
    for name in CLASSES:
        of_class = [row["split"] for row in rows if row["class"] == name]
        assert (of_class.count("train"), of_class.count("test")) == (563, 62)


def test_tiles_of_any_lossless_format_load_in_the_order_of_the_split(folder, rows):
    data = hmt.load(folder)
    assert data.source == "local"
    assert data.test.y.tolist() == data.train.y.tolist() == list(range(8))
    expected = [tile for index, tile in enumerate(rows.values()) if index % 2]
    assert np.array_equal(data.test.x, expected)


def test_the_archive_gives_the_same_tiles_as_the_folder(archive, rows):
    data = hmt.load(archive)
    assert np.array_equal(data.train.x, list(rows.values())[::2])


def test_a_missing_class_is_named(folder):
    for file in (folder / "03_COMPLEX").iterdir():
        file.unlink()
    (folder / "03_COMPLEX").rmdir()
    with pytest.raises(DataError, match="no folder 03_COMPLEX"):
        hmt.load(folder)


def test_a_missing_tile_is_named(folder):
    next((folder / "02_STROMA").iterdir()).unlink()
    with pytest.raises(DataError, match="lacks 1 of the 16 tiles, first 02_STROMA/"):
        hmt.load(folder)


def test_a_truncated_tile_is_named(folder):
    file = next((folder / "05_DEBRIS").iterdir())
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=f"{file.name} cannot be read"):
        hmt.load(folder)


def test_a_tile_of_another_size_is_named(folder):
    file = next((folder / "06_MUCOSA").iterdir())
    Image.new("RGB", (151, 150)).save(file)
    with pytest.raises(DataError, match="has 151×150 pixels, not 150×150"):
        hmt.load(folder)


def test_an_archive_with_another_checksum_is_refused(archive):
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(DataError, match="download .* again"):
        hmt.load(archive)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        hmt.find(tmp_path / "nowhere")


def test_other_pixels_are_said(folder, capsys):
    file = next((folder / "06_MUCOSA").iterdir())
    Image.new("RGB", (150, 150)).save(file, lossless=True)
    hmt.load(folder)
    assert "1 tiles differ from the published pixels" in capsys.readouterr().err


def test_a_download_is_checked_and_cached(server, archive):
    (server / hmt.ARCHIVE).write_bytes(archive.read_bytes())
    assert hmt.find() == (str(hmt.CACHED), "zenodo")
    (server / hmt.ARCHIVE).unlink()
    assert hmt.find() == (str(hmt.CACHED), "zenodo"), "the second time the cache answers"
    assert len(hmt.load().test) == 8


def test_a_download_of_something_else_is_refused_and_not_kept(server, archive, monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)  # before it tries again
    (server / hmt.ARCHIVE).write_bytes(b"not the archive")
    with pytest.raises(DataError, match="not the archive"):
        hmt.find()
    assert not hmt.CACHED.exists()


def test_an_answer_of_not_found_means_synthetic_tissue_and_says_so(server, capsys):
    assert hmt.find() == ("synthetic", "synthetic")
    assert "synthetic tissue stands in" in capsys.readouterr().err


def test_a_server_that_never_answers_is_given_up(server, monkeypatch):
    monkeypatch.setattr(download, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(download.requests, "head", lambda *_, **__: threading.Event().wait())
    assert hmt.find() == ("synthetic", "synthetic")


def test_the_folder_of_the_environment_comes_before_the_cache(folder, archive, monkeypatch):
    monkeypatch.setattr(hmt, "CACHED", archive)
    monkeypatch.setenv("XAI_HMT_DIR", str(folder))
    assert hmt.find() == (str(folder), "local")


def test_parent_images_are_read_from_the_names():
    names = [
        "13859_CRC-Prim-HE-04_033.tif_Row_601_Col_1.tif",
        "82DE_CRC-Prim-HE-07.tif_Row_1_Col_151.tif",
    ]
    assert hmt.parent_images(names).tolist() == ["CRC-Prim-HE-04_033", "CRC-Prim-HE-07"]


def _placed(*tiles):
    """Samples without pixels: ``(image, row, column, label)``, places counted in tiles."""
    names = [
        f"1_CRC-Prim-HE-{image}.tif_Row_{150 * row + 1}_Col_{150 * column + 1}.tif"
        for image, row, column, _ in tiles
    ]
    labels = np.array([label for *_, label in tiles])
    return Samples(np.zeros((len(tiles), 0)), labels, np.array(names))


def test_the_leak_of_a_split_counted_by_hand():
    train = _placed(("01_001", 0, 0, 3), ("01_001", 5, 5, 3), ("01_001", 0, 1, 2), ("02", 0, 0, 1))
    test = _placed(
        ("01_001", 1, 1, 3),  # touches two tiles; most of its siblings are of its class
        ("01_001", 3, 5, 2),  # two tiles away from the nearest; most siblings are of another class
        ("02", 9, 0, 1),
        ("03", 0, 0, 1),  # no sibling
    )
    data = Dataset(train, test, CLASSES, "local")
    nearest, distances = hmt.nearest_siblings(data)
    assert nearest.tolist() == [0, 1, 3, -1]
    assert distances.tolist() == [1, 2, 9, np.inf]
    assert hmt.split_leak(data) == {
        "shared_parent": 0.75,
        "adjacent": 0.25,
        "pixel_free_accuracy": 0.5,
    }


def test_the_official_split_has_ten_slides():
    names = [row["file"] for row in hmt.read_split()]
    assert sorted({*hmt.slides(names)}) == [f"CRC-Prim-HE-{slide:02}" for slide in range(1, 11)]


def test_the_middle_of_a_tile_is_cut_out_evenly():
    tiles = np.arange(2 * 6 * 6 * 3).reshape(2, 6, 6, 3)
    assert np.array_equal(hmt.middle(tiles, 2), tiles[:, 2:4, 2:4])
    assert np.array_equal(hmt.middle(tiles, 6), tiles)


def test_tiles_of_one_parent_image_are_a_cluster_and_synthetic_tiles_have_none():
    names = np.array(
        ["ab_CRC-Prim-HE-04_033.tif_Row_1_Col_1", "cd_CRC-Prim-HE-04_033.tif_Row_151_Col_1"]
    )
    assert set(hmt.clusters(names, "local").values()) == {"CRC-Prim-HE-04_033"}
    assert hmt.clusters(names, "synthetic") is None

import functools
import hashlib
import http.server
import os
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image

from xai_utils.data import DataError, voc
from xai_utils.run import files

OBJECT = "<object><name>{}</name>{}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
PART = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"


@pytest.fixture
def folder(tmp_path):
    """Two images of 448 × 112 pixels: a cat with a head and a dog, and a cat."""
    root = tmp_path / "VOCdevkit" / "VOC2007"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    objects = {
        "000002": [("cat", PART, 1, 1, 224, 56), ("dog", "", 225, 57, 448, 112)],
        "000001": [("cat", "", 3, 2, 4, 2)],
    }
    for name, own in objects.items():
        pixels = np.random.default_rng(int(name)).integers(0, 256, (112, 448, 3), np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg")
        annotate(root, name, own)
    (root / "ImageSets/Main/test.txt").write_text("000002\n000001\n")
    return root


def annotate(root, name, objects, size="<size><width>448</width><height>112</height></size>"):
    text = "".join(OBJECT.format(*one) for one in objects)
    (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{text}</annotation>")


def test_images_in_the_order_of_the_list_with_boxes_in_their_pixels(folder):
    """Pixels are counted from 1 and the last belongs to the box; the width is halved, the height doubled."""
    data = voc.load(folder)
    assert data.names.tolist() == ["000002", "000001"] and data.images.shape == (2, 224, 224, 3)
    assert [data.classes[label] for label in data.labels[0]] == ["cat", "dog"]
    assert data.boxes[0].tolist() == [[0, 0, 112, 112], [112, 112, 224, 224]]
    assert data.boxes[1].tolist() == [[1, 2, 2, 4]]
    [cat] = data.instances(0, voc.CLASSES.index("cat"))
    assert cat[:112, :112].all() and cat.sum() == 112 * 112
    assert voc.load(folder, limit=1).names.tolist() == ["000002"]


@pytest.mark.parametrize("up", [0, 1, 2])
def test_the_folder_may_be_that_of_the_devkit(folder, up):
    given = [folder, *folder.parents][up]
    assert voc.find(given) == (str(folder), "local")
    assert voc.parts(folder) == ["test"]


def test_the_variable_and_the_stand_in(folder, monkeypatch):
    monkeypatch.setenv("XAI_VOC_DIR", str(folder))
    assert voc.find() == (str(folder), "local")
    assert voc.find("synthetic") == ("generated", "generated")


def test_where_nothing_is_to_be_had_pictures_are_generated(monkeypatch, tmp_path, capsys):
    def nothing(*_):
        raise ConnectionError("no network")

    monkeypatch.delenv("XAI_VOC_DIR", raising=False)
    monkeypatch.setattr(voc, "CACHED", tmp_path / "VOCdevkit" / "VOC2007")
    monkeypatch.setattr(voc, "fetch", nothing)
    assert voc.find() == ("generated", "generated")
    assert "generated pictures stand in" in capsys.readouterr().err


def test_the_public_archive_is_downloaded_checked_and_unpacked_once(folder, tmp_path, monkeypatch):
    served, cache = tmp_path / "served", tmp_path / "cache"
    served.mkdir()
    with tarfile.open(served / voc.ARCHIVE, "w") as archive:
        archive.add(folder.parent, arcname="VOCdevkit")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    checksum = hashlib.md5((served / voc.ARCHIVE).read_bytes()).hexdigest()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{running.server_port}/{voc.ARCHIVE}"
        monkeypatch.delenv("XAI_VOC_DIR", raising=False)
        monkeypatch.setattr(voc, "ARCHIVE_URL", address)
        monkeypatch.setattr(voc, "ARCHIVE_MD5", checksum)
        monkeypatch.setattr(voc, "CACHED", cache / "VOCdevkit" / "VOC2007")
        found = voc.find()
        running.shutdown()
    assert found == (str(voc.CACHED), "public") == voc.find(), "the second time without a server"
    assert len(voc.load(voc.CACHED)) == 2 and voc.load(voc.CACHED).source == "public"


def member(name, **about):
    """One thing in an archive, as it is written there."""
    found = tarfile.TarInfo(name)
    for key, value in about.items():
        setattr(found, key, value)
    return found


LEADS_OUT = {
    "climbs": member("VOCdevkit/../../climbed"),
    "absolute link": member("VOCdevkit/out", type=tarfile.SYMTYPE, linkname="/etc"),
    "climbing link": member("VOCdevkit/out", type=tarfile.SYMTYPE, linkname="../../.."),
    "hard link": member("VOCdevkit/out", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "device": member("VOCdevkit/out", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "pipe": member("VOCdevkit/out", type=tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("kind", LEADS_OUT)
def test_an_archive_that_leads_out_of_its_folder_is_refused(kind, folder, tmp_path):
    path, cache = tmp_path / "voc.tar", tmp_path / "in" / "cache"
    cache.mkdir(parents=True)
    with tarfile.open(path, "w") as archive:
        archive.add(folder.parent, arcname="VOCdevkit")
        archive.addfile(LEADS_OUT[kind])
    with pytest.raises(DataError, match="cannot be unpacked"):
        voc.unpack(path, cache)
    assert not list(cache.iterdir()) and not list(tmp_path.rglob("climbed"))


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", None])
def test_an_archive_of_something_else_is_refused(content, folder, tmp_path):
    path, cache = tmp_path / "voc.tar", tmp_path / "cache"
    cache.mkdir()
    if content is None:
        with tarfile.open(path, "w") as archive:
            archive.add(folder, arcname="elsewhere")
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="delete it"):
        voc.unpack(path, cache)
    assert not list(cache.iterdir())


def test_the_rights_that_an_archive_asks_for_are_not_given(folder, tmp_path):
    path, cache = tmp_path / "voc.tar", tmp_path / "cache"
    cache.mkdir()
    with tarfile.open(path, "w") as archive:
        archive.add(folder.parent, arcname="VOCdevkit")
        archive.addfile(member("VOCdevkit/tool", mode=0o6777))
    dead = files.partial_name().replace(f"-{os.getpid()}-", "-999999999-")
    (cache / dead / "VOCdevkit").mkdir(parents=True)  # of a process that was killed
    voc.unpack(path, cache)
    assert (cache / "VOCdevkit/tool").stat().st_mode & 0o7022 == 0
    voc.unpack(path, cache)  # another run was first
    assert len(voc.load(cache / "VOCdevkit/VOC2007")) == 2 and len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda root: (root / "JPEGImages/000001.jpg").unlink(), "000001.jpg cannot be read"),
        (lambda root: (root / "JPEGImages/000001.jpg").write_text("x"), "000001.jpg cannot be read"),
        (lambda root: (root / "Annotations/000001.xml").unlink(), "000001.xml cannot be"),
        (lambda root: (root / "Annotations/000001.xml").write_text("<a"), "000001.xml cannot be"),
        (lambda root: (root / "ImageSets/Main/test.txt").unlink(), "this part of VOC is not here"),
        (lambda root: (root / "ImageSets/Main/test.txt").write_text("\n"), "names no image"),
        (lambda root: annotate(root, "000001", [("unicorn", "", 1, 1, 2, 2)]), "unicorn is none of"),
        (lambda root: annotate(root, "000001", [("cat", "", 1, 1, 449, 2)]), "box outside of its image"),
        (lambda root: annotate(root, "000001", [("cat", "", 5, 1, 4, 2)]), "box outside of its image"),
        (lambda root: annotate(root, "000001", [("cat", "", "a", 1, 4, 2)]), "cannot be used"),
        (lambda root: annotate(root, "000001", []), "no object"),
        (lambda root: annotate(root, "000001", [("cat", "", 1, 1, 2, 2)], "<size><width>9</width><height>9</height></size>"), "pixels, not 9×9"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(folder, spoil, message):
    spoil(folder)
    with pytest.raises(DataError, match=message):
        voc.load(folder)


def test_what_is_known_to_be_wrong_with_a_copy_is_said(folder, monkeypatch):
    assert voc.spoiled(folder) == ""
    first = files.file_sha256(folder / "JPEGImages/000002.jpg")
    monkeypatch.setitem(voc.SPOILED, first, "it is upside down")
    assert voc.spoiled(folder) == "it is upside down"


def test_a_size_need_not_be_given(folder):
    annotate(folder, "000001", [("cat", "", 1, 1, 2, 2)], size="")
    assert len(voc.load(folder)) == 2


def test_a_folder_that_is_none_of_voc_is_refused(tmp_path):
    with pytest.raises(DataError, match="give XAI_VOC_DIR the folder VOC2007"):
        voc.find(tmp_path)

"""Tiles, photographs and images with boxes that cannot be used, or are hostile."""

import contextlib
import io
import os
import shutil
import socket
import tarfile
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image

from tests.campaign import hostile
from xai_utils.data import DataError, hmt, photographs, voc
from xai_utils.data.pictures import open_picture
from xai_utils.data.synthetic_tissue import CLASSES
from xai_utils.run.errors import advice

pytestmark = pytest.mark.campaign(
    "Bad input refused in one line, with nothing executed and nothing half-written"
)


def refused(function, *arguments, error=DataError):
    """The line with which a function refuses, quickly."""
    started = time.time()
    with pytest.raises(error) as raised:
        function(*arguments)
    assert time.time() - started < hostile.QUICKLY
    said = advice(raised.value)
    assert said and "\n" not in said
    return said


CONTENTS = {
    "nothing": b"",
    "a zero": b"\0",
    "text": b"no picture",
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "a bomb of 60,000 by 60,000": hostile.png(60_000, 60_000, bytes(10**6)),
    "a bomb of 150 by two milliards": hostile.png(150, 2**31 - 1),
    "no rows": hostile.png(150, 150),
    "too few rows": hostile.png(150, 150, bytes(1000)),
    "no pixels": hostile.png(0, 0),
    "another size": hostile.picture(size=(150, 151)),
    "a pixel less": hostile.picture(size=(149, 150)),
    "16 bits": hostile.sixteen_bits(),
    "16 bits as TIFF": hostile.sixteen_bits("TIFF"),
    "32 bits as TIFF": hostile.picture("TIFF", "I"),
    "floats as TIFF": hostile.picture("TIFF", "F"),
    "a zip archive": b"PK\x03\x04" + bytes(100),
    "a program of ELF": b"\x7fELF" + bytes(100),
    "a pickle": b"cos\nsystem\n(S'touch canary'\ntR.",
    "a script": b"#!/bin/sh\ntouch canary\n",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_tile_of_something_else_is_refused(content, canary, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "tile.png" in refused(open_picture, "tile.png", (150, 150), content)


@pytest.mark.parametrize("make", [hostile.postscript, hostile.envelope, hostile.vector_graphics])
def test_a_picture_that_is_a_program_is_not_run(make, canary, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_: pytest.fail("it would have been run"))
    refused(open_picture, "tile.eps", None, make(canary))


@pytest.mark.parametrize("make", [hostile.postscript, hostile.envelope])
def test_left_alone_pillow_would_run_it(make, canary, monkeypatch):
    asked = []
    monkeypatch.setattr(
        EpsImagePlugin, "Ghostscript", lambda *_: asked.append(1) or Image.core.new("L", (1, 1))
    )
    with contextlib.suppress(Exception):
        Image.open(io.BytesIO(make(canary))).load()
    assert asked


HEADS = [hostile.picture(form)[:40] for form in ("PNG", "TIFF", "WEBP", "BMP", "JPEG", "GIF")] + [b""]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "BMP", "JPEG", "GIF"])
@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_tile_is_refused_or_a_picture(form, seed):
    """Damage that a format does not notice gives a picture of the right size, and nothing else."""
    try:
        found = open_picture("tile", (150, 150), hostile.damaged(hostile.picture(form), seed))
    except DataError as error:
        assert "\n" not in advice(error)
    else:
        assert (found.size, found.mode) == ((150, 150), "RGB")


@hostile.GENERATED
@given(start=st.sampled_from(HEADS), content=st.binary(max_size=500))
def test_any_bytes_are_refused_or_a_picture(start, content):
    try:
        found = open_picture("tile", (150, 150), start + content)
    except DataError as error:
        assert "\n" not in advice(error)
    else:
        assert (found.size, found.mode) == ((150, 150), "RGB")


@pytest.mark.parametrize(
    "form, mode",
    [
        ("PNG", "L"),
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "LA"),
        ("PNG", "1"),
        ("TIFF", "CMYK"),
        ("JPEG", "CMYK"),
    ],
)
def test_a_picture_of_8_bits_in_any_mode_has_three_channels(form, mode):
    found = open_picture("tile", (150, 150), hostile.picture(form, mode))
    assert np.asarray(found).shape == (150, 150, 3)


def folder(path):
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


def link_to_itself(path):
    path.symlink_to(path)


def link_to_nowhere(path):
    path.symlink_to("nowhere/at/all")


def link_to_a_device(path):
    path.symlink_to("/dev/zero")


def listening_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(path.parent)  # the name of a socket is short
        made.bind(path.name)


def unreadable(path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path.write_bytes(hostile.picture())
    path.chmod(0)


IN_PLACE = [
    folder,
    pipe,
    link_to_itself,
    link_to_nowhere,
    link_to_a_device,
    listening_socket,
    unreadable,
]


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """All tiles of the split, empty: what is asked first is whether they can be read."""
    made = tmp_path_factory.mktemp("tiles")
    for name in CLASSES:
        (made / name).mkdir()
    for row in hmt.read_split():
        (made / row["class"] / row["file"]).write_bytes(b"")
    return made


@pytest.mark.parametrize("make", IN_PLACE)
def test_what_stands_in_the_place_of_a_tile_is_refused(make, tiles, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    row = hmt.read_split()[0]
    place = tiles / row["class"] / row["file"]
    place.unlink()
    make(place)
    try:
        assert row["file"] in refused(hmt.load, tiles)
    finally:
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        place.write_bytes(b"")


@pytest.mark.parametrize("make", IN_PLACE)
def test_what_stands_in_the_place_of_a_photograph_is_refused_or_passed_over(
    make, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    given = tmp_path / "given"
    given.mkdir()
    make(given / "n02133161_bear.png")
    assert "n02133161_bear.png" in refused(photographs.read_folder, given, 224)


def test_a_photograph_whose_name_is_no_text_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"bear \xff.png")).write_bytes(hostile.picture())
    assert "rename it" in refused(photographs.read_folder, tmp_path, 224)


def a_file(path):
    path.write_text("x")


@pytest.mark.parametrize("name", ["hmt", "voc", "photographs"])
@pytest.mark.parametrize("make", [a_file, pipe, link_to_itself, link_to_nowhere, folder])
def test_what_stands_in_the_place_of_the_data_is_refused(make, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "given")
    if name == "photographs":
        refused(lambda: photographs.read_folder(photographs.find(tmp_path / "given")[0], 224))
    elif name == "voc":
        refused(voc.find, tmp_path / "given")
    else:
        refused(hmt.load, tmp_path / "given")


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a\nb", "~nobody/x", "-rf", "%s%n", "\udcff", "https://example.org"]
)
def test_a_name_of_no_folder_is_refused(name):
    for function in (hmt.find, voc.find, photographs.find):
        refused(function, name, error=(DataError, OSError))


def archives(canary):
    """Archives that are not the published one, by name."""

    def zipped(path, *members):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)

    def tar(path):
        with tarfile.open(path, "w") as archive:
            archive.addfile(tarfile.TarInfo("../../climbed"))

    return {
        "empty": lambda path: path.write_bytes(b""),
        "truncated": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(1000)),
        "a tar": tar,
        "a page": lambda path: path.write_text("<html>404</html>"),
        "a picture": lambda path: path.write_bytes(hostile.picture()),
        "climbs out": lambda path: zipped(path, ("../../climbed", "x"), ("/climbed", "x")),
        "a bomb": lambda path: zipped(path, ("01_TUMOR/a.tif", bytes(10**8))),
        "no tiles": lambda path: zipped(path, ("readme.txt", "x")),
        "hostile": lambda path: zipped(path, (f"01_TUMOR/$(touch {canary}).tif", "x")),
    }


@pytest.mark.parametrize("kind", archives(None))
def test_an_archive_of_something_else_is_refused(kind, canary, tmp_path):
    path = tmp_path / "deep" / "down" / hmt.ARCHIVE
    path.parent.mkdir(parents=True)
    archives(canary)[kind](path)
    assert "delete it and download" in refused(hmt.load, path)
    assert not list(tmp_path.rglob("climbed")) and sorted(os.listdir(path.parent)) == [path.name]


LAUGHS = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
ANNOTATIONS = {
    "empty": "",
    "text": "no annotation",
    "cut off": "<annotation><object><name>cat</name>",
    "laughs": f'<!DOCTYPE a [<!ENTITY a0 "ha">{LAUGHS}]><annotation><object><name>&a9;</name></object></annotation>',
    "reads a file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><object><name>&x;</name></object></annotation>',
    "an unknown encoding": '<?xml version="1.0" encoding="klingon"?><annotation/>',
    "no object": "<annotation/>",
    "no box": "<annotation><object><name>cat</name></object></annotation>",
    "an unknown class": "<annotation><object><name>unicorn</name>{box}</object></annotation>",
    "no number": "<annotation><object><name>cat</name><bndbox><xmin>one</xmin></bndbox></object></annotation>",
    "not a number": "<annotation><object><name>cat</name>{nan}</object></annotation>",
    "infinite": "<annotation><object><name>cat</name>{inf}</object></annotation>",
    "outside": "<annotation><object><name>cat</name>{far}</object></annotation>",
    "turned round": "<annotation><object><name>cat</name>{turned}</object></annotation>",
    "another size": "<annotation><size><width>9</width><height>9</height></size><object><name>cat</name>{box}</object></annotation>",
    "no size": "<annotation><size/><object><name>cat</name>{box}</object></annotation>",
    "deep": "<a>" * 10_000,
}


def box(*sides):
    names = ("xmin", "ymin", "xmax", "ymax")
    return f"<bndbox>{''.join(f'<{name}>{side}</{name}>' for name, side in zip(names, sides))}</bndbox>"


@pytest.fixture
def images(tmp_path):
    """A VOC of one image."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "JPEGImages/000001.jpg").write_bytes(hostile.picture("JPEG", size=(60, 40)))
    (tmp_path / "Annotations/000001.xml").write_text(
        f"<annotation><object><name>cat</name>{box(1, 1, 20, 20)}</object></annotation>"
    )
    (tmp_path / "ImageSets/Main/test.txt").write_text("000001\n")
    return tmp_path


def test_the_image_can_be_used_before_it_is_spoilt(images):
    assert len(voc.load(images)) == 1


@pytest.mark.parametrize("text", ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_an_annotation_that_cannot_be_used_is_refused(text, images):
    boxes = {
        "box": box(1, 1, 20, 20), "nan": box("nan", 1, 20, 20), "inf": box(1, 1, "inf", 20),
        "far": box(1, 1, 10**9, 20), "turned": box(20, 20, 1, 1),
    }  # fmt: skip
    for name, made in boxes.items():
        text = text.replace(f"{{{name}}}", made)
    (images / "Annotations/000001.xml").write_text(text)
    assert "000001" in refused(voc.load, images)


@pytest.mark.parametrize("make", IN_PLACE)
@pytest.mark.parametrize(
    "place", ["Annotations/000001.xml", "JPEGImages/000001.jpg", "ImageSets/Main/test.txt"]
)
def test_what_stands_in_the_place_of_a_file_of_voc_is_refused(make, place, images, monkeypatch):
    monkeypatch.chdir(images)
    (images / place).unlink()
    make(images / place)
    refused(voc.load, images)


@pytest.mark.parametrize(
    "names", ["", "\n \n", "../../etc/passwd", "/etc/passwd", "000002", "\0", "000001\n../x"]
)
def test_a_list_of_no_images_is_refused(names, images):
    (images / "ImageSets/Main/test.txt").write_text(names)
    refused(voc.load, images)


def test_a_list_that_is_no_text_is_refused(images):
    (images / "ImageSets/Main/test.txt").write_bytes(bytes(range(128, 256)))
    refused(voc.load, images)

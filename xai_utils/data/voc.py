"""PASCAL VOC 2007: photographs in which every object of twenty classes has a box.

The images come from the first of: the folder ``XAI_VOC_DIR``, the test images in ``data/downloads``, the
public archive. With none of them to be had, generated pictures stand in.
"""

import argparse
import json
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from xai_utils.data import DataError
from xai_utils.data.boxed import Boxed
from xai_utils.data.download import fetch
from xai_utils.data.hmt import DATA
from xai_utils.data.pictures import check_file, open_picture
from xai_utils.run.errors import in_one_line
from xai_utils.run.files import file_sha256, partial_name, remove_partial, write

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
SIZE = 224  # pixels, to which the images are squeezed
ARCHIVE = "VOCtest_06-Nov-2007.tar"
ARCHIVE_URL = f"http://host.robots.ox.ac.uk/pascal/VOC/voc2007/{ARCHIVE}"
ARCHIVE_MD5 = "b6e924de25625d8de591ea690078ad9f"
# Copies that are passed on with something wrong, by the SHA-256 of their first image.
SPOILED = {
    "cf55119040dd61ca31891bdd89925cf4330bc48dc57a77374ec2ecd5f77d25d7": (
        "a detector has drawn its boxes, with names and confidences, into the images of this copy, "
        "which a network can read and a map can point at"
    ),
}
CACHED = DATA / "downloads" / "VOCdevkit" / "VOC2007"


def find(asked=None):
    """Where the images are: ``(path, source)``, source one of ``local public generated``.

    A relative ``XAI_VOC_DIR`` starts at the root of the repository; it may lead to ``VOC2007``, to
    ``VOCdevkit``, or to the folder of that. The public archive is downloaded where neither is there.
    """
    asked = str(asked or os.environ.get("XAI_VOC_DIR", ""))
    if asked == "synthetic":
        return "generated", "generated"
    if asked:
        path = Path(os.path.abspath(DATA.parent / asked))
        places = (path, path / "VOC2007", path / "VOCdevkit" / "VOC2007")
        found = [place for place in places if (place / "ImageSets" / "Main").is_dir()]
        if not found:
            raise DataError(f"{path} holds no ImageSets/Main: give XAI_VOC_DIR the folder VOC2007")
        return str(found[0]), "local"
    if not CACHED.is_dir():
        try:
            archive = download()
        except OSError as error:
            print(
                f"VOC could not be downloaded ({type(error).__name__}): generated pictures stand in",
                file=sys.stderr,
            )
            return "generated", "generated"
        unpack(archive, CACHED.parents[1])
    return str(CACHED), "public"


def download():
    """Download the test images (451 MB), as :func:`xai_utils.data.download.fetch` does; returns the archive."""
    return fetch(ARCHIVE_URL, f"md5:{ARCHIVE_MD5}", CACHED.parents[1], "set XAI_VOC_DIR")


def unpack(archive, folder):
    """Unpack the archive's ``VOCdevkit`` into ``folder``, whole or not at all.

    Raises :class:`DataError` for an archive of something else, of which nothing is written outside (PEP 706).
    """
    remove_partial(Path(folder).glob("partial-*"))  # what one that was killed unpacked
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"{partial_name()}-") as partial:
        found, wanted = (Path(place) / CACHED.parent.name for place in (partial, folder))
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(partial, filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise DataError(f"{archive} cannot be unpacked ({error}): delete it") from error
        if not found.is_dir():
            raise DataError(f"{archive} holds no {found.name}: delete it")
        if not wanted.is_dir():  # another run may have been first
            found.rename(wanted)


def parts(path):
    """Which of ``trainval`` and ``test`` are at hand."""
    lists = Path(path) / "ImageSets" / "Main"
    return [part for part in ("trainval", "test") if (lists / f"{part}.txt").is_file()]


def spoiled(path, part="test"):
    """What is known to be wrong with this copy of the images; "" if nothing is."""
    first = Path(path) / "JPEGImages" / f"{_listed(path, part)[0]}.jpg"
    return SPOILED.get(file_sha256(first), "")


def state(path, part):
    """The name, size and time of every image of a part: what changes when one of them does."""
    files = [Path(path) / "JPEGImages" / f"{name}.jpg" for name in _listed(path, part)]
    found = [(file, file.stat()) for file in files if file.exists()]
    return [[str(file), about.st_size, about.st_mtime_ns] for file, about in found]


def load(path, part="test", limit=None):
    """The first images of a part, in the order of its list, squeezed to 224 × 224, with their boxes.

    Raises :class:`DataError` for a list, an image or an annotation that is missing or cannot be used.
    """
    path = Path(path)
    names = _listed(path, part)[:limit]
    images, boxes, labels = zip(*(_read(path, name) for name in names))
    source = "public" if path == CACHED else "local"
    return Boxed(np.stack(images), np.array(names), boxes, labels, CLASSES, source)


def _listed(path, part):
    """The names of the images of a part."""
    file = Path(path) / "ImageSets" / "Main" / f"{part}.txt"
    if not file.is_file():
        raise DataError(f"There is no {file}: this part of VOC is not here")
    try:
        names = [line.split()[0] for line in check_file(file).read_text().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text: replace it") from error
    if strange := [name for name in names if Path(name).name != name]:
        raise DataError(f"{file} names {strange[0]}, which is no name of an image: replace it")
    if not names:
        raise DataError(f"{file} names no image")
    return names


def _read(path, name):
    """An image, its boxes ``(k, 4)`` and their classes ``(k,)``."""
    file = path / "Annotations" / f"{name}.xml"
    try:
        about = ElementTree.parse(check_file(file)).getroot()
        given = about.find("size")
        size = (
            None if given is None else tuple(int(given.find(side).text) for side in ("width", "height"))
        )
        objects = [_object(one) for one in about.findall("object")]
    except DataError:
        raise
    except (OSError, ElementTree.ParseError, AttributeError, ValueError, LookupError) as error:
        raise DataError(f"{file} cannot be used ({error}): replace it") from error
    image = open_picture(path / "JPEGImages" / f"{name}.jpg", size)
    boxes = np.array([box for _, box in objects]).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, 2:]
    if not objects or not ((low >= 0) & (high <= image.size) & (low < high)).all():
        raise DataError(f"{file} has no object, or a box outside of its image: replace it")
    squeezed = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return squeezed, boxes * SIZE / np.tile(image.size, 2), np.array([label for label, _ in objects])


def _object(one):
    """The class of an object, and its box. VOC counts pixels from 1, and the last belongs to the box."""
    name, box = one.find("name").text.strip(), one.find("bndbox")
    if name not in CLASSES:
        raise ValueError(f"{name} is none of the twenty classes")
    left, top, right, bottom = (float(box.find(side).text) for side in ("xmin", "ymin", "xmax", "ymax"))
    return CLASSES.index(name), (left - 1, top - 1, right, bottom)


def main():
    """Find the images and write down where they are."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    started = time.time()
    with in_one_line():
        path, source = find()
        number = "no" if source == "generated" else len(_listed(path, "test"))
        write(options.output, json.dumps({"path": path, "source": source}, indent=1))
    print(f"VOC: {number} images, {source}  {time.time() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()

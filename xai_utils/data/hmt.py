"""HMT: 5000 tiles of colorectal tissue in eight classes (Kather et al., 2016; CC BY 4.0).

The tiles come from the first of: the folder or archive that is asked for (``--hmt-dir`` or
``XAI_HMT_DIR``), the archive cached under ``data/downloads``, the public archive on Zenodo. With
none of them to be had, synthetic tissue stands in, and everything that shows it says so.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from xai_utils.data import DataError, Dataset, Samples, synthetic_tissue
from xai_utils.data.download import fetch
from xai_utils.data.pictures import check_file, open_picture
from xai_utils.data.synthetic_tissue import CLASSES, SIZE
from xai_utils.run.errors import in_one_line
from xai_utils.run.files import write

DATA = Path(__file__).resolve().parents[2] / "data"
ARCHIVE = "Kather_texture_2016_image_tiles_5000.zip"
ARCHIVE_URL = f"https://zenodo.org/records/53169/files/{ARCHIVE}"
ARCHIVE_SHA256 = "936d0b95ae0f04f1f7b18a2b7e8c55776c3e887d102f645bcee752d1a6626a32"
CACHED = DATA / "downloads" / ARCHIVE
COURSE_SIZE = 224  # pixels; the course enlarged the tiles to it


def load(hmt_dir=None):
    """The official split (by file name) of the tiles, uint8 ``(n, 150, 150, 3)``.

    ``hmt_dir`` is a folder of the eight class folders, the archive itself, or ``"synthetic"``;
    by default, what :func:`find` finds. Takes about 5 seconds.

    Raises :class:`DataError` when a class or a tile is missing, cannot be read, or has another
    size, and when the archive has another checksum.
    """
    path, source = find(hmt_dir)
    if source == "synthetic":
        return synthetic_tissue.load()
    rows = read_split()
    tiles, hashes = _read_tiles(Path(path), rows)
    identical = np.array([found == row["pixels_sha256"] for found, row in zip(hashes, rows)])
    if not identical.all():
        print(f"HMT: {np.sum(~identical)} tiles differ from the published pixels", file=sys.stderr)
    labels = np.array([CLASSES.index(row["class"]) for row in rows])
    names = np.array([row["file"] for row in rows])
    every = Samples(tiles, labels, names)
    is_test = np.array([row["split"] == "test" for row in rows])
    return Dataset(every.take(~is_test), every.take(is_test), CLASSES, source)


def find(hmt_dir=None):
    """Where the tiles are: ``(path, source)``, source one of ``local zenodo synthetic``.

    A relative ``XAI_HMT_DIR`` starts at the root of the repository.
    """
    asked = str(hmt_dir or os.environ.get("XAI_HMT_DIR", ""))
    if asked == "synthetic":
        return "synthetic", "synthetic"
    if asked:
        path = Path(os.path.abspath(DATA.parent / asked))
        if not path.exists():
            raise DataError(f"{path} does not exist: correct --hmt-dir or XAI_HMT_DIR")
        return str(path), "zenodo" if path == CACHED else "local"
    if CACHED.exists():
        return str(CACHED), "zenodo"
    try:
        download()
    except OSError as error:
        print(
            f"HMT could not be downloaded ({type(error).__name__}): synthetic tissue stands in",
            file=sys.stderr,
        )
        return "synthetic", "synthetic"
    return str(CACHED), "zenodo"


def state(path):
    """The name, size and time of every file of the tiles: what changes when one of them does."""
    path = Path(path)
    files = sorted(path.glob("*/*")) if path.is_dir() else [path]
    found = [(file, file.stat()) for file in files if file.exists()]
    return [[str(file), about.st_size, about.st_mtime_ns] for file, about in found]


def download():
    """Download the public archive (258 MB) into the cache, as :func:`xai_utils.data.download.fetch` does."""
    fetch(ARCHIVE_URL, f"sha256:{ARCHIVE_SHA256}", CACHED.parent, "give it as --hmt-dir")


def read_split():
    """The official split: one row a tile, with ``file``, ``class``, ``split``, ``pixels_sha256``."""
    with open(DATA / "hmt_split.csv", newline="") as file:
        return list(csv.DictReader(file))


def parent_images(names):
    """The image that each tile was cut from, by its file name: ``CRC-Prim-HE-04_033``."""
    return np.array([name.split("_", 1)[1].split(".tif_Row_")[0] for name in names])


def clusters(names, source):
    """``{tile: parent image}``: tiles of one are not independent. None for synthetic tissue, whose
    tiles are."""
    return None if source == "synthetic" else dict(zip(names, parent_images(names)))


def slides(names):
    """The slide, so the patient, of each tile: ``CRC-Prim-HE-04``, in file names also ``04b``."""
    return np.array([re.match(r"CRC-Prim-HE-\d\d", image)[0] for image in parent_images(names)])


def corners(names):
    """The place of each tile in its parent image: row and column of its corner in pixels."""
    return np.array([re.search(r"_Row_(\d+)_Col_(\d+)", name).groups() for name in names], int)


def nearest_siblings(data):
    """For each test tile, the training tile of the same parent image that is nearest to it.

    Returns the indices, -1 where there is none, and the distances in tiles (Chebyshev: 1 touches).
    """
    parents, places = parent_images(data.train.names), corners(data.train.names)
    nearest, distances = np.full(len(data.test), -1), np.full(len(data.test), np.inf)
    own = zip(parent_images(data.test.names), corners(data.test.names))
    for index, (parent, place) in enumerate(own):
        siblings = np.flatnonzero(parents == parent)
        if len(siblings):
            away = np.abs(places[siblings] - place).max(axis=1) / SIZE
            nearest[index], distances[index] = siblings[away.argmin()], away.min()
    return nearest, distances


def split_leak(data):
    """What the official split gives away: shares of the test tiles, by the file names alone.

    ``shared_parent``: their parent image has training tiles too. ``adjacent``: one of these touches
    them. ``pixel_free_accuracy``: the most frequent class among these is the right one.
    """
    parents = parent_images(data.train.names)
    guesses = [
        np.bincount(data.train.y[parents == parent], minlength=1).argmax()
        for parent in parent_images(data.test.names)
    ]
    nearest, distances = nearest_siblings(data)
    return {
        "shared_parent": float(np.mean(nearest >= 0)),
        "adjacent": float(np.mean(distances <= 1)),
        "pixel_free_accuracy": float(np.mean((nearest >= 0) & (guesses == data.test.y))),
    }


def middle(tiles, size):
    """The middle of each tile, ``size`` × ``size`` pixels."""
    top, left = (np.subtract(tiles.shape[1:3], size)) // 2
    return tiles[:, top : top + size, left : left + size]


def resize(tiles, size):
    """uint8 tiles at ``size`` × ``size`` pixels, bilinear, as the course fed them (224)."""
    resized = [
        np.asarray(Image.fromarray(tile).resize((size, size), Image.Resampling.BILINEAR))
        for tile in tiles
    ]
    return np.stack(resized)


def _read_tiles(path, rows):
    """Every tile of the split, in its order, and the SHA-256 of each one's pixels."""
    files, read = _archive_files(path) if path.is_file() else _folder_files(path)
    missing = [row for row in rows if (row["class"], _stem(row["file"])) not in files]
    if missing:
        raise DataError(
            f"{path} lacks {len(missing)} of the {len(rows)} tiles, first "
            f"{missing[0]['class']}/{missing[0]['file']}: complete it, or leave --hmt-dir out to "
            "download the tiles"
        )
    tiles = np.empty((len(rows), SIZE, SIZE, 3), np.uint8)
    for index, row in enumerate(rows):
        name = files[row["class"], _stem(row["file"])]
        tiles[index] = np.asarray(open_picture(name, (SIZE, SIZE), read(name)))
    return tiles, [hashlib.sha256(tile.tobytes()).hexdigest() for tile in tiles]


def _folder_files(path):
    """``{(class, stem): file}`` of a folder, and how to read one."""
    for name in CLASSES:
        if not (path / name).is_dir():
            raise DataError(
                f"{path} has no folder {name}: give --hmt-dir the folder that holds the eight "
                f"class folders {CLASSES[0]} to {CLASSES[-1]}"
            )
    files = {(name, _stem(file.name)): file for name in CLASSES for file in (path / name).iterdir()}
    return files, lambda file: check_file(file).read_bytes()


def _archive_files(path):
    """``{(class, stem): member}`` of the archive, and how to read one."""
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != ARCHIVE_SHA256:
        raise DataError(
            f"{path} has the SHA-256 {found[:12]}…, not {ARCHIVE_SHA256[:12]}…: delete it and "
            f"download {ARCHIVE} again"
        )
    archive = zipfile.ZipFile(path)
    members = [name.split("/") for name in archive.namelist() if not name.endswith("/")]
    files = {(parts[-2], _stem(parts[-1])): "/".join(parts) for parts in members if len(parts) > 1}
    return files, archive.read


def _stem(file_name):
    """The name without its last suffix: ``….tif_Row_1_Col_1.webp`` and ``….tif`` are one tile."""
    return file_name.rsplit(".", 1)[0]


def main():
    """Find the tiles, check every one of them, and write down where they are."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    started = time.time()
    with in_one_line():
        path, source = find()
        data = load(path)
        facts = {"path": path, "source": source, "tiles": len(data.train) + len(data.test)}
        write(options.output, json.dumps(facts | {"test_sha256": data.test.checksum()}, indent=1))
    print(f"HMT: {facts['tiles']} tiles, {source}  {time.time() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()

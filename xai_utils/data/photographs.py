"""Photographs of ImageNet classes, and any folder of pictures.

The photographs come from the folder ``XAI_PHOTOS``; where that is not set, generated pictures stand in.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from xai_utils.data import DataError, Samples
from xai_utils.data.pictures import open_picture
from xai_utils.run.files import REPOSITORY

SIDE, SIZE = 256, 224  # pixels: the shorter side, and the square cut from the middle


def find(asked=None):
    """Where the photographs are: ``(path, source)``, source ``local`` or ``generated``.

    A relative ``XAI_PHOTOS`` starts at the root of the repository.
    """
    asked = str(asked or os.environ.get("XAI_PHOTOS", ""))
    if asked in ("", "synthetic"):
        return "generated", "generated"
    path = Path(os.path.abspath(REPOSITORY / asked))
    if not path.is_dir():
        raise DataError(f"There is no folder {path}: correct XAI_PHOTOS")
    return str(path), "local"


def load(folder, identifiers):
    """The photographs of a folder, in the order of their names: uint8 ``(n, 224, 224, 3)``.

    The name of a file begins with the WordNet identifier of what it shows, ``n02133161_….JPEG``; its
    place among ``identifiers`` is the label. Raises :class:`DataError` for a name without one.
    """
    images, names = read_folder(folder, SIZE)
    known = {identifier: place for place, identifier in enumerate(identifiers)}
    if strange := [name for name in names if name.split("_")[0] not in known]:
        raise DataError(
            f"{folder}/{strange[0]} does not begin with the identifier of an ImageNet class, such as "
            "n02133161: rename it, or take it out of the folder"
        )
    return Samples(images, np.array([known[name.split("_")[0]] for name in names]), names)


def read_folder(folder, size, count=None):
    """The first pictures of a folder, by name: uint8 ``(n, size, size, 3)``, and their names ``(n,)``.

    Each is scaled so that its shorter side has 8/7 of ``size`` pixels, and its middle is cut out, as
    networks of ImageNet are used to. Raises :class:`DataError` where there is none, or one that cannot
    be read, or whose name cannot be written down.
    """
    if not Path(folder).is_dir():
        raise DataError(f"There is no folder {folder}")
    files = sorted(file for file in Path(folder).iterdir() if _is_picture(file))
    if not files:
        raise DataError(f"There is no picture in {folder}")
    for file in files[:count]:
        if file.name.encode(errors="ignore").decode() != file.name:  # bytes that are no UTF-8
            raise DataError(f"{str(file)!r} has a name that cannot be written down: rename it")
    images = [_middle(open_picture(file), size) for file in files[:count]]
    return np.stack(images), np.array([file.stem for file in files[:count]])


def _is_picture(file):
    return file.suffix.lower() in Image.registered_extensions() and not file.name.startswith(".")


def _middle(image, size):
    """The middle of a picture, a square."""
    scale = SIDE / SIZE * size / min(image.size)
    width, height = (max(round(side * scale), size) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    whole = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(whole.crop((left, top, left + size, top + size)))

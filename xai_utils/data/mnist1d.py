"""MNIST-1D (Greydanus & Kobak, 2024): ten 1-D digits of 40 points, 4000 to train and 1000 to test.

The data are generated, not downloaded: the package's generator with its default seed gives the
official data to 1e-15.
"""

import hashlib
import random

import numpy as np
from mnist1d.data import get_templates, make_dataset

from xai_utils.data import DataError, Dataset, Samples

# Of the four arrays rounded to six decimals, which hides the last-digit differences between
# platforms and shows every other one.
SHA256 = "56802e64dad12bbb5a7d0ced606041e9754aad9603cb1dc40816d6c208e83900"


def load():
    """The official split; ``x`` is float32 ``(n, 40, 1)``, ``y`` int64 ``(n,)``."""
    arrays = _generate()
    found = checksum(arrays)
    if found != SHA256:
        raise DataError(
            f"MNIST-1D as generated here has the checksum {found[:12]}…, not {SHA256[:12]}…. "
            "Install the pinned versions: pip install -r requirements.lock"
        )
    return Dataset(
        train=_samples(arrays["x"], arrays["y"], "train"),
        test=_samples(arrays["x_test"], arrays["y_test"], "test"),
        classes=tuple("0123456789"),
        source="generated",
    )


def templates():
    """The ten class templates, ``(10, 12)``, in the scale in which the generator starts."""
    return get_templates()["x"]


def checksum(arrays):
    """The SHA-256 of the generated arrays, rounded to six decimals."""
    digest = hashlib.sha256()
    for key in ("x", "y", "x_test", "y_test"):
        digest.update(np.round(np.asarray(arrays[key]) * 1e6).astype("<i8").tobytes())
    return digest.hexdigest()


def _generate():
    """The package's default data set, leaving the global random states as they were."""
    states = np.random.get_state(), random.getstate()
    try:
        return make_dataset()
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])


def _samples(x, y, part):
    names = np.array([f"{part}-{index}" for index in range(len(y))])
    return Samples(x.astype(np.float32)[..., np.newaxis], y.astype(np.int64), names)

"""MNIST-1D (Greydanus & Kobak, 2024): ten 1-D digits of 40 points, 4000 to train and 1000 to test.

The data are generated, not downloaded: the package's generator with its default seed gives the
official data to 1e-15.
"""

import hashlib
import random

import numpy as np
from mnist1d.data import get_dataset_args, get_templates, make_dataset

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


def template_intervals():
    """Where the class template lies in each signal of the official test set, bool ``(1000, 40)``.

    The generator runs once more with a box for every template and nothing that changes its height.
    It draws the same random numbers, so each box lands where the template did. Interpolation
    slopes its ends: a point belongs to the template where the box keeps half its height.
    """
    args = get_dataset_args()
    args.scale_coeff = args.corr_noise_scale = args.iid_noise_scale = args.shear_scale = 0
    box = get_templates() | {"x": np.ones_like(templates())}
    boxes = _generate(args=args, template=box)
    # The order of the signals is drawn last: it is the same only if every draw before it was.
    if not np.array_equal(boxes["y_test"], load().test.y):
        raise DataError("the generator of MNIST-1D drew other random numbers for the boxes")
    heights = boxes["x_test"]
    return heights >= (heights.min() + heights.max()) / 2


def other_place(signal, inside, template):
    """Where else a signal ``(40,)`` looks most like the template: the place, bool ``(40,)``, and how
    much, a correlation.

    Searched are all places as long as the true interval ``inside``, bool ``(40,)``, and without any
    of its points. Flat places look like nothing. Raises ValueError where there is none.
    """
    size = int(np.sum(inside))
    places = np.lib.stride_tricks.sliding_window_view(np.arange(len(signal)), size)
    others = [place for place in places if not inside[place].any() and np.ptp(signal[place])]
    if not others:
        raise ValueError(f"the signal has no other place of {size} points")
    resized = np.interp(np.linspace(0, len(template) - 1, size), np.arange(len(template)), template)
    found = [np.corrcoef(resized, signal[place])[0, 1] for place in others]
    return np.isin(np.arange(len(signal)), others[np.argmax(found)]), float(max(found))


def checksum(arrays):
    """The SHA-256 of the generated arrays, rounded to six decimals."""
    digest = hashlib.sha256()
    for key in ("x", "y", "x_test", "y_test"):
        digest.update(np.round(np.asarray(arrays[key]) * 1e6).astype("<i8").tobytes())
    return digest.hexdigest()


def _generate(**changes):
    """The package's data set, by default the official, leaving the global random states alone."""
    states = np.random.get_state(), random.getstate()
    try:
        return make_dataset(**changes)
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])


def _samples(x, y, part):
    names = np.array([f"{part}-{index}" for index in range(len(y))])
    return Samples(x.astype(np.float32)[..., np.newaxis], y.astype(np.int64), names)

"""Controls: maps that know nothing of the model, which a method has to beat."""

import zlib

import numpy as np
from scipy import ndimage


def random(model, x, target, *, seed=0):
    """Independent uniform noise in [0, 1), another map for every input and seed."""
    return np.stack([rng.random(x.shape[1:-1]) for rng in generators(x, seed)])


def random_smooth(model, x, target, *, seed=0, width=0.05):
    """Gaussian noise blurred over the share ``width`` of the input: as smooth as a class activation."""
    noise = [rng.standard_normal(x.shape[1:-1]) for rng in generators(x, seed)]
    sigma = [width * size for size in x.shape[1:-1]]
    return np.stack([ndimage.gaussian_filter(one, sigma, mode="nearest") for one in noise])


def center(model, x, target):
    """How much nearer each point is to the middle than a corner, in units of the input's size."""
    axes = [(np.arange(size) + 0.5) / size - 0.5 for size in x.shape[1:-1]]
    squares = sum(np.square(grid) for grid in np.meshgrid(*axes, indexing="ij"))
    return np.broadcast_to(np.sqrt(len(axes)) / 2 - np.sqrt(squares), x.shape[:-1])


def edge(model, x, target):
    """How fast the input changes at each point: the Sobel operator, over all axes and channels."""
    squares = [
        np.square(np.stack([ndimage.sobel(one, axis=axis) for one in channel]))
        for channel in np.moveaxis(x, -1, 0)
        for axis in range(x.ndim - 2)
    ]
    return np.sqrt(sum(squares))


def constant(model, x, target):
    """The same value everywhere: what a metric makes of a map that says nothing."""
    return np.ones(x.shape[:-1])


def generators(x, seed):
    """A random generator for each sample: the same for the same sample, alone or in a batch."""
    return [np.random.default_rng([seed, zlib.crc32(one.tobytes())]) for one in x]

"""The datasets: MNIST-1D, HMT, and the synthetic tissue that stands in for HMT offline."""

import functools
import hashlib
from dataclasses import dataclass

import numpy as np

from xai_utils.run.errors import UsageError


class DataError(UsageError):
    """Data that cannot be used as they are; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Samples:
    """Inputs ``x`` of shape ``(n, *space, channels)``, labels ``y`` ``(n,)`` and a name for each."""

    x: np.ndarray
    y: np.ndarray
    names: np.ndarray

    def __len__(self):
        return len(self.y)

    @functools.cached_property
    def keys(self):
        """A hash of each input, texts ``(n,)``: what a sample is known by wherever it stands."""
        hashes = [hashlib.blake2b(np.ascontiguousarray(one), digest_size=16) for one in self.x]
        about = f"{self.x.dtype}{self.x.shape[1:]}-"
        return np.array([about + found.hexdigest() for found in hashes])

    def take(self, index):
        """The samples at ``index``: integers, a slice or a boolean mask."""
        taken = Samples(self.x[index], self.y[index], self.names[index])
        if "keys" in self.__dict__:
            taken.__dict__["keys"] = self.keys[index]
        return taken

    def join(self, other):
        """These samples, then the others."""
        pairs = ((self.x, other.x), (self.y, other.y), (self.names, other.names))
        return Samples(*map(np.concatenate, pairs))

    def checksum(self):
        """The SHA-256 of the inputs and labels."""
        return hashlib.sha256(self.x.tobytes() + self.y.astype("<i8").tobytes()).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A classification task in the official split, and where its data came from."""

    train: Samples
    test: Samples
    classes: tuple[str, ...]
    source: str


def unit_range(images):
    """uint8 images as float32 in [0, 1], the input of the networks."""
    return images.astype(np.float32) / 255

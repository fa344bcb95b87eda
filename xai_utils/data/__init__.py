"""The datasets: MNIST-1D, HMT, and the synthetic tissue that stands in for HMT offline."""

import hashlib
from dataclasses import dataclass

import numpy as np


class DataError(ValueError):
    """Data that cannot be used as they are; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Samples:
    """Inputs ``x`` of shape ``(n, *space, channels)``, labels ``y`` ``(n,)`` and a name for each."""

    x: np.ndarray
    y: np.ndarray
    names: np.ndarray

    def __len__(self):
        return len(self.y)

    def take(self, index):
        """The samples at ``index``: integers, a slice or a boolean mask."""
        return Samples(self.x[index], self.y[index], self.names[index])

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

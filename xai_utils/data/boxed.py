"""Images in which objects of several classes stand, each with a box around it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Boxed:
    """Images uint8 ``(n, size, size, 3)`` with a name each, and the boxes of the objects in them.

    ``boxes`` has an array ``(k, 4)`` an image, left, top, right and bottom in its pixels, the last two
    exclusive; ``labels`` the class of each box, ``(k,)``.
    """

    images: np.ndarray
    names: np.ndarray
    boxes: tuple
    labels: tuple
    classes: tuple
    source: str

    def __len__(self):
        return len(self.names)

    def present(self):
        """Which classes stand in each image, bool ``(n, classes)``."""
        found = np.zeros((len(self), len(self.classes)), bool)
        for row, labels in zip(found, self.labels):
            row[labels] = True
        return found

    def instances(self, place, label):
        """A mask for each object of a class in the image at ``place``, bool ``(k, size, size)``.

        A pixel belongs to a box if its middle does; a box that holds no middle has the pixel of its own.
        """
        size = self.images.shape[1]
        own = self.boxes[place][self.labels[place] == label]
        middles = np.arange(size) + 0.5
        masks = [
            _between(middles, top, bottom)[:, np.newaxis] & _between(middles, left, right)
            for left, top, right, bottom in own
        ]
        return np.array(masks, bool).reshape(-1, size, size)


def _between(middles, low, high):
    inside = (middles >= low) & (middles < high)
    if not inside.any():
        inside[min(int((low + high) / 2), len(middles) - 1)] = True
    return inside

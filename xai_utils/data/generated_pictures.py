"""Pictures with boxes where there are no photographs: rectangles of synthetic tissue on empty ground.

A third of them shows two classes, a third two objects of one class, the rest one object.
"""

import numpy as np

from xai_utils.data import synthetic_tissue
from xai_utils.data.boxed import Boxed
from xai_utils.data.synthetic_tissue import CLASSES, SIZE

EMPTY = CLASSES.index("08_EMPTY")
SMALLEST, LARGEST = 45, 70  # pixels: the sides of the rectangles
COVERED = 0.5  # of a rectangle, at least, by the texture that makes the class
PER_CLASS = 12  # tiles to cut from


def load(count, seed=0):
    """The first ``count`` of the pictures, uint8 ``(n, 150, 150, 3)``: the same, however many."""
    tiles, labels, masks = synthetic_tissue.generate(PER_CLASS, seed=seed + 1000)
    drawn = [_picture(np.random.default_rng([seed, place]), place, tiles, labels, masks)
             for place in range(count)]  # fmt: skip
    images, boxes, own = zip(*drawn)
    names = np.array([f"picture-{place}" for place in range(count)])
    return Boxed(np.stack(images), names, boxes, own, CLASSES, "generated")


def _picture(rng, place, tiles, labels, masks):
    """An image, its boxes and their classes."""
    first, second = rng.choice(
        [label for label in range(len(CLASSES)) if label != EMPTY], 2, replace=False
    )
    classes = [[first, second], [first, first], [first]][place % 3]
    image = tiles[rng.choice(np.flatnonzero(labels == EMPTY))].copy()
    # One in the left half and one in the right, so that no two overlap.
    starts = rng.permutation([0, SIZE // 2])
    boxes = []
    for label, start in zip(classes, starts):
        width, height = rng.integers(SMALLEST, LARGEST + 1, 2)
        left, top = start + rng.integers(SIZE // 2 - width + 1), rng.integers(SIZE - height + 1)
        image[top : top + height, left : left + width] = _cut(
            rng, label, (height, width), tiles, labels, masks
        )
        boxes.append((left, top, left + width, top + height))
    return image, np.array(boxes, float), np.array(classes)


def _cut(rng, label, shape, tiles, labels, masks):
    """A rectangle of a tile of that class, of those tried the first that shows enough of it, or the one
    that shows most."""
    best, most = None, -1.0
    for place in rng.choice(np.flatnonzero(labels == label), 20):
        top, left = (rng.integers(SIZE - side + 1) for side in shape)
        part = slice(top, top + shape[0]), slice(left, left + shape[1])
        share = masks[place][part].mean()
        if share > most:
            best, most = tiles[place][part], share
        if most >= COVERED:
            break
    return best

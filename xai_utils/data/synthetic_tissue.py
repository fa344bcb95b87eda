"""Synthetic tissue: eight H&E-like textures, and the mask of what makes each of them its class.

It stands in for HMT where the tiles cannot be had, and it is the test fixture. It is no model of
tissue: every tile is a pale ground of stroma with a patch of one texture in it. Light passes two
stains, so a pixel is ``exp(-(h·H + e·E))`` with the stain vectors of Ruifrok & Johnston (2001).
"""

import numpy as np
from scipy import ndimage

from xai_utils.data import Dataset, Samples

CLASSES = (
    "01_TUMOR",
    "02_STROMA",
    "03_COMPLEX",
    "04_LYMPHO",
    "05_DEBRIS",
    "06_MUCOSA",
    "07_ADIPOSE",
    "08_EMPTY",
)
SIZE = 150
TRAIN_PER_CLASS, TEST_PER_CLASS = 60, 20

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11])


def load():
    """A dataset in the form of HMT: uint8 tiles ``(n, 150, 150, 3)`` of the eight classes."""
    train_x, train_y, _ = generate(TRAIN_PER_CLASS, seed=0)
    test_x, test_y, _ = _test_part()
    return Dataset(
        train=Samples(train_x, train_y, _names(train_y, "train")),
        test=Samples(test_x, test_y, _names(test_y, "test")),
        classes=CLASSES,
        source="synthetic",
    )


def test_masks():
    """The masks, bool ``(160, 150, 150)``, of the test tiles that ``load`` gives, in its order."""
    return _test_part()[2]


def generate(per_class, seed):
    """Tiles uint8 ``(8·per_class, 150, 150, 3)``, labels, and masks bool ``(n, 150, 150)``.

    A mask is true where the texture that defines the class stands; for ``08_EMPTY``, which is the
    absence of tissue, everywhere.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(CLASSES)), per_class)
    drawn = [_tile(rng, CLASSES[label]) for label in labels]
    return np.stack([tile for tile, _ in drawn]), labels, np.stack([mask for _, mask in drawn])


def _test_part():
    return generate(TEST_PER_CLASS, seed=1)


def _tile(rng, name):
    patch = _patch(rng)
    haematoxylin, eosin, mask = _TEXTURES[name](rng, patch)
    if name != "08_EMPTY":
        eosin = eosin + np.where(patch, 0.0, 0.22 + 0.1 * _fibres(rng))
    density = (
        haematoxylin[..., None] * HAEMATOXYLIN * rng.uniform(0.6, 1.4)
        + eosin[..., None] * EOSIN * rng.uniform(0.6, 1.4)
        + 0.06
    )
    light = np.exp(-density) + rng.normal(0, 0.015, density.shape)
    return np.round(255 * np.clip(light, 0, 1)).astype(np.uint8), mask


def _patch(rng):
    """A smooth random region that covers between 10 and 50 % of the tile."""
    field = _smooth_noise(rng, 22)
    return field > np.quantile(field, rng.uniform(0.5, 0.9))


def _smooth_noise(rng, sigma):
    field = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), sigma, mode="wrap")
    return (field - field.mean()) / field.std()


def _fibres(rng):
    """Wavy parallel fibres in [0, 1], at a random angle."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    angle = rng.uniform(0, np.pi)
    across = np.cos(angle) * rows + np.sin(angle) * columns + 5 * _smooth_noise(rng, 14)
    return 0.5 + 0.5 * np.sin(2 * np.pi * across / rng.uniform(7, 11))


def _nuclei(rng, where, count, radius, elongation=1.3):
    """About ``count`` filled ellipses (per full tile) with centres inside ``where``, bool."""
    drawn = np.zeros((SIZE, SIZE), bool)
    centres = np.argwhere(where)
    picked = rng.choice(len(centres), max(3, round(count * where.mean())))
    rows, columns = np.mgrid[-20:21, -20:21]
    for row, column in centres[picked]:
        angle, size = rng.uniform(0, np.pi), radius * rng.uniform(0.8, 1.25)
        along = np.cos(angle) * rows + np.sin(angle) * columns
        across = np.cos(angle) * columns - np.sin(angle) * rows
        ellipse = (along / (size * elongation)) ** 2 + (across / size) ** 2 < 1
        top, left = max(row - 20, 0), max(column - 20, 0)
        bottom, right = min(row + 21, SIZE), min(column + 21, SIZE)
        drawn[top:bottom, left:right] |= ellipse[
            top - row + 20 : bottom - row + 20, left - column + 20 : right - column + 20
        ]
    return drawn


def _stained(mask, strength):
    return strength * ndimage.gaussian_filter(mask.astype(float), 0.8)


def _tumor(rng, patch):
    nuclei = _nuclei(rng, patch, rng.uniform(60, 150), rng.uniform(3.5, 5.5), 1.4)
    return _stained(nuclei, 0.95), np.where(patch, 0.35, 0.0), nuclei


def _stroma(rng, patch):
    nuclei = _nuclei(rng, patch, rng.uniform(10, 50), 1.8, 4.0)
    return _stained(nuclei, 0.7), np.where(patch, 0.25 + 0.5 * _fibres(rng), 0.0), patch


def _complex(rng, patch):
    nuclei = _nuclei(rng, patch, rng.uniform(40, 160), 2.4, 1.1)
    return _stained(nuclei, 1.1), np.where(patch, 0.25 + 0.5 * _fibres(rng), 0.0), nuclei


def _lympho(rng, patch):
    nuclei = _nuclei(rng, patch, rng.uniform(150, 560), 3.0, 1.1)
    return _stained(nuclei, 1.5), np.where(patch, 0.15, 0.0), nuclei


def _debris(rng, patch):
    granules = patch & (_smooth_noise(rng, 1.5) > 0.9)
    smear = np.where(patch, 0.2 + 0.1 * _smooth_noise(rng, 6), 0.0).clip(0)
    return smear + _stained(granules, 0.5), 0.5 * smear, patch


def _mucosa(rng, patch):
    """Glands: a pale lumen inside a ring of nuclei, a few of them in the patch."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    centres = np.argwhere(patch)
    centres = centres[rng.choice(len(centres), 7)]
    sizes = rng.uniform(13, 20, len(centres))
    distance = np.min(
        [np.hypot(rows - r, columns - c) / s for (r, c), s in zip(centres, sizes)], axis=0
    )
    ring, lumen = (distance > 0.7) & (distance < 1), distance < 0.7
    nuclei = ring & _nuclei(rng, ring, 900, 2.2, 1.6)
    return _stained(nuclei, 1.0), np.where(ring, 0.4, np.where(lumen, 0.05, 0.2)), ring | lumen


def _adipose(rng, patch):
    """Fat: the thin walls between large pale cells, the borders of a Voronoi tessellation."""
    seeds = rng.uniform(-20, SIZE + 20, (28, 2))
    pixels = np.stack(np.mgrid[:SIZE, :SIZE], axis=-1)[..., None, :]
    nearest = np.sort(np.linalg.norm(pixels - seeds, axis=-1), axis=-1)
    walls = patch & (nearest[..., 1] - nearest[..., 0] < 3)
    return np.zeros((SIZE, SIZE)), _stained(walls, 0.7), patch


def _empty(rng, patch):
    nothing = np.zeros((SIZE, SIZE))
    return nothing, nothing + 0.02, np.ones((SIZE, SIZE), bool)


_TEXTURES = dict(zip(CLASSES, (_tumor, _stroma, _complex, _lympho, _debris, _mucosa, _adipose, _empty)))


def _names(labels, part):
    return np.array([f"{CLASSES[label]}-{part}-{index}" for index, label in enumerate(labels)])

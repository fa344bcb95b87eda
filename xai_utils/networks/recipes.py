"""How the networks of the study are trained: how long, by which optimizer, on which variants."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Recipe:
    """How long, with which optimizer and on which variants of the samples a network is trained.

    ``optimizer`` takes the number of steps; ``augment(x, rng)`` turns samples into a batch of
    network input. With ``crop``, the batch is cut to squares of that many pixels, but for the last
    eighth of the epochs, which show whole tiles. A class of n samples is drawn as if it had
    n^(1 − ``balance``) of them: as often as it is there by 0, as often as any other by 1.
    """

    epochs: int
    optimizer: Callable
    augment: Callable
    crop: int | None = None
    balance: float = 0.0


def adamw(steps):
    """AdamW, its learning rate falling from 3e-3 to zero on a cosine."""
    return keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(3e-3, steps))


def sgd(steps):
    """Plain stochastic gradient descent, as the reports used it: Keras' default, at 0.01."""
    return keras.optimizers.SGD(0.01)


def as_they_are(x, rng):
    """No augmentation."""
    return x


def augment_signals(x, rng):
    """Roll by up to 6 points, scale by 0.8 to 1.2, add a slope and a little noise."""
    rolled = np.stack([np.roll(signal, rng.integers(-6, 7), axis=0) for signal in x])
    scale = rng.uniform(0.8, 1.2, (len(x), 1, 1))
    slope = rng.uniform(-0.5, 0.5, (len(x), 1, 1)) * np.linspace(-1, 1, x.shape[1])[:, None]
    noise = rng.normal(0, 0.05, x.shape)
    return (scale * rolled + slope + noise).astype(np.float32)


def augment_tiles(tiles, rng):
    """Flip tiles in [0, 1] and rotate them by quarter turns, and jitter each colour by a few percent."""
    turned = np.empty_like(tiles)
    for index, tile in enumerate(tiles):
        tile = np.rot90(tile, rng.integers(4))
        turned[index] = tile[::-1] if rng.integers(2) else tile
    gain = rng.uniform(0.95, 1.05, (len(tiles), 1, 1, 3))
    shift = rng.uniform(-0.03, 0.03, (len(tiles), 1, 1, 3))
    return (turned * gain + shift).astype(np.float32)


def augment_blackened(tiles, rng, size=3):
    """As :func:`augment_tiles`; then, of every second tile, up to a half turns black: scattered pixels, or
    spots of several.

    A point of ``tiles`` is the average of ``size`` × ``size`` pixels, of which each is black or not.
    """
    turned = augment_tiles(tiles, rng)
    rows, columns = tiles.shape[1:3]
    for place in np.flatnonzero(rng.integers(2, size=len(tiles))):
        noise = gaussian_filter(rng.normal(size=(rows * size, columns * size)), rng.uniform(0, 8))
        kept = noise >= np.quantile(noise, rng.uniform(0, 0.5))
        turned[place] *= kept.reshape(rows, size, columns, size, 1).mean(axis=(1, 3))
    return turned


def draw(y, balance, rng):
    """The places ``(n,)`` of the samples that an epoch shows, ``y`` being the classes of all.

    Each sample comes as often as it should, rounded up or down, in random order.
    """
    order = rng.permutation(len(y))
    if not balance:
        return order
    share = np.bincount(y)[y[order]] ** -balance
    ends = share.cumsum() * len(y) / share.sum()
    drawn = np.searchsorted(ends, np.arange(len(y)) + rng.uniform())
    return rng.permutation(order[np.minimum(drawn, len(y) - 1)])


def random_crop(tiles, size, rng):
    """A square of ``size`` pixels from a random place of each tile."""
    places = rng.integers(0, np.array(tiles.shape[1:3]) - size + 1, (len(tiles), 2))
    return np.stack(
        [tile[top : top + size, left : left + size] for tile, (top, left) in zip(tiles, places)]
    )


COURSE = Recipe(200, sgd, as_they_are)  # as report 003 prints it: the schedule there is not used
STRONG = Recipe(100, adamw, augment_signals)
# Tiles of 50 pixels: the network averages those of 150.
VGG7 = Recipe(120, adamw, augment_tiles, crop=32, balance=0.5)

"""Does a map point at what makes the class? Shares of the map that lie inside a known region.

Every function takes raw maps ``(n, *space)``, signed or not, and the truth, bool of the same shape,
and gives a value in [0, 1] for each sample, ``(n,)``, higher being better. It is NaN for a map that
is not finite everywhere and for a truth without any point.
"""

import numpy as np


def energy(maps, truth):
    """The share of the map's positive part that lies inside the truth (Wang 2020).

    A map without positive values has nothing to place: it counts as spread evenly.
    """
    maps, truth = _flat(maps, truth)
    positive = np.maximum(maps, 0)
    return _share(np.where(positive.any(axis=1, keepdims=True), positive, 1.0), truth)


def bounding_box(maps, truth):
    """Of the N highest points, N being those of the truth, the share inside (Schulz 2020).

    Where several are equal at the threshold, the mean over all choices among them.
    """
    maps, truth = _flat(maps, truth)
    count = truth.sum(axis=1, keepdims=True)
    place = np.minimum(maps.shape[1] - count, maps.shape[1] - 1)
    threshold = np.array([np.partition(one, k)[k] for one, (k,) in zip(maps, place)])[:, np.newaxis]
    above, tied = maps > threshold, maps == threshold
    left = count - above.sum(axis=1, keepdims=True)
    return _share(above + tied * left / np.maximum(tied.sum(axis=1, keepdims=True), 1), truth)


def pointing(maps, truth):
    """1 where the highest point lies inside the truth, else 0 (Zhang 2018).

    Of several highest points, the share inside.
    """
    maps, truth = _flat(maps, truth)
    return _share(maps == maps.max(axis=1, keepdims=True), truth)


def chance(truth):
    """The share of the area that the truth covers: what a constant map gets."""
    truth = np.asarray(truth, bool)
    return _share(*_flat(np.ones(truth.shape), truth))


def instance_shares(one_map, instances):
    """How much of a map ``(*space)`` each instance ``(k, *space)`` of a class gets: ``(shares, density)``.

    ``shares`` ``(k,)`` are those of the map's positive part; ``density`` ``(k,)`` is the share by the
    area that the instance takes, 1 being what a constant map gives. Both are NaN for a map that is not
    finite, and a map without positive values counts as spread evenly.
    """
    positive = np.maximum(np.asarray(one_map, float), 0)
    positive = positive if positive.any() else np.ones_like(positive)
    weights, own = positive.reshape(-1), np.asarray(instances, bool).reshape(len(instances), -1)
    shares = own @ weights / weights.sum() if np.isfinite(one_map).all() else np.full(len(own), np.nan)
    return shares, shares / own.mean(axis=1)


def _flat(maps, truth):
    """Both as ``(n, points)``; a map that is not finite everywhere becomes NaN everywhere."""
    if np.shape(maps) != np.shape(truth):
        raise ValueError(f"maps have the shape {np.shape(maps)}, the truth {np.shape(truth)}")
    maps = np.asarray(maps, float).reshape(len(maps), -1)
    defined = np.isfinite(maps).all(axis=1, keepdims=True)
    return np.where(defined, maps, np.nan), np.asarray(truth, bool).reshape(maps.shape)


def _share(weights, truth):
    """The part of each sample's weight that lies inside; NaN where there is no weight or truth."""
    total = np.sum(weights, axis=1, dtype=float)
    inside = np.sum(weights * truth, axis=1, dtype=float)
    known = (total > 0) & truth.any(axis=1)
    return np.divide(inside, total, out=np.full(len(total), np.nan), where=known)

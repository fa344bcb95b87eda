"""Mosaics of four tiles for the grid pointing game (Böhle 2021; Arias-Duart 2022).

No tile says where in it its class stands. Of four tiles of different classes put together, though,
the evidence for one class must lie in its own cell.
"""

from itertools import cycle

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from xai_utils.data import Samples

CELLS = 4


def grid(samples, confidence, correct, count, *, twice=False, seed=0):
    """Mosaics of 2 × 2 tiles of four classes, and where the explained class stands in each.

    ``samples`` are tiles ``(n, h, w, channels)``; ``confidence`` and ``correct``, ``(n,)``, say how
    surely and whether rightly each is classified. Only correct tiles are used, the surest of each
    class where it is explained, those that follow beside others, and again from the surest when all
    were used: until then no tile stands in two mosaics. The classes are explained in turn; one without
    enough correct tiles is left out. Places and other classes are random.

    Returns ``Samples`` ``(count, 2h, 2w, channels)``, labelled with the explained class and named
    by their tiles in reading order, and the truth, bool ``(count, 2h, 2w)``. With ``twice``, two
    tiles of the explained class stand among two other classes, as in Focus!, and the truth is
    ``(count, 2, 2h, 2w)``, a mask for each of the two.
    """
    instances = 2 if twice else 1
    best = _best_first(samples.y, np.asarray(confidence), np.asarray(correct, bool))
    best = {label: tiles for label, tiles in best.items() if len(tiles) >= instances}
    others_count = CELLS - instances
    if len(best) <= others_count:
        raise ValueError(
            f"the mosaics need {others_count + 1} classes with {instances} or more correctly "
            f"classified tiles each; there are {len(best)}"
        )

    rng = np.random.default_rng(seed)
    left = {label: cycle(tiles) for label, tiles in best.items()}
    labels = np.resize(list(best), count)
    explained = [[next(left[label]) for _ in range(instances)] for label in labels]
    tiles = np.empty((count, CELLS), int)
    places = np.empty((count, CELLS), int)
    for mosaic, label in enumerate(labels):
        rest = rng.choice([other for other in best if other != label], others_count, replace=False)
        places[mosaic] = rng.permutation(CELLS)
        tiles[mosaic, places[mosaic]] = explained[mosaic] + [next(left[other]) for other in rest]

    x = _assemble(samples.x[tiles])
    names = np.array(["+".join(row) for row in samples.names[tiles]])
    cells = places[:, :instances, np.newaxis] == np.arange(CELLS)
    height, width = samples.x.shape[1:3]
    masks = np.broadcast_to(cells[..., np.newaxis, np.newaxis], (*cells.shape, height, width))
    truth = np.stack([_assemble(masks[:, instance]) for instance in range(instances)], axis=1)
    return Samples(x, labels, names), truth if twice else truth[:, 0]


def explained_tiles(names, truth):
    """The names ``(n, instances)`` of the tiles that are explained in each mosaic, by the names and the
    truth of :func:`grid`."""
    masks = truth[:, np.newaxis] if truth.ndim == 3 else truth
    height, width = (size // 2 for size in masks.shape[2:])
    cells = masks[:, :, ::height, ::width].reshape(*masks.shape[:2], CELLS).argmax(axis=2)
    return np.array([[name.split("+")[cell] for cell in own] for name, own in zip(names, cells)])


def linked(origins):
    """A label ``(n,)`` of each sample, the same for those that share an origin, directly or by others.

    ``origins`` ``(n, k)`` are what the parts of each sample come from.
    """
    known, origin = np.unique(origins, return_inverse=True)
    sample = np.repeat(np.arange(len(origins)), origins.shape[1])
    size = len(origins) + len(known)
    edges = coo_array((np.ones(origin.size), (sample, len(origins) + origin.ravel())), (size, size))
    return connected_components(edges, directed=False)[1][: len(origins)]


def _best_first(labels, confidence, correct):
    """The correct tiles of each class, the surest first: ``{label: indices}``."""
    order = np.argsort(-confidence, kind="stable")
    order = order[correct[order]]
    return {label: order[labels[order] == label] for label in np.unique(labels)}


def _assemble(tiles):
    """``(n, 4, h, w, ...)``, in reading order, put together as ``(n, 2h, 2w, ...)``."""
    count, _, height, width, *rest = tiles.shape
    tiles = tiles.reshape(count, 2, 2, height, width, *rest).swapaxes(2, 3)
    return tiles.reshape(count, 2 * height, 2 * width, *rest)

"""Methods that look at the input through masks, and watch the score."""

import functools
import math

import numpy as np
import tensorflow as tf
from skimage.filters import threshold_otsu

from xai_utils.attributions.cam import features_and_gradient, scores_behind, upsample
from xai_utils.attributions.controls import generators
from xai_utils.graphs import graph
from xai_utils.models import batches, block_layers, passes_at_once, target_scores


def rise(model, x, target, *, score="probability", masks=1000, cells=7, keep=0.5, seed=0):
    """The mean of random masks, weighted by the score behind them (Petsiuk 2018, eq. 6).

    ``S = 1/(p N) Σ_i y(x ∘ M_i) M_i``. A mask is a coarse grid of ``cells`` along each axis, open
    with probability p = ``keep``, enlarged bilinearly and shifted at random. The score is the
    probability, as in the paper. ``masks`` forward passes for each sample.
    """
    maps = np.zeros(x.shape[:-1], np.float32)
    for index, rng in enumerate(generators(x, seed)):
        one = slice(index, index + 1)
        grids = np.float32(rng.random((masks, *(cells,) * (x.ndim - 2))) < keep)
        shifts = rng.random((masks, x.ndim - 2))
        for part in batches(masks, passes_at_once(model, x.shape[1:])):
            given = x[one], target[one], grids[part], shifts[part]
            maps[index] += _weighted_masks(model, *given, score=score)
    return maps / (keep * masks)


@graph
def _weighted_masks(model, x, target, grids, shifts, *, score):
    """The sum of masks, each weighted by the score of the one input behind it: ``(*space)``."""
    masks = enlarged(grids, shifts, x.shape[1:-1])
    return tf.tensordot(target_scores(model, x * masks[..., np.newaxis], target, score=score), masks, 1)


def sise(model, x, target, *, score="probability"):
    """Feature maps as masks, block by block, from fine to coarse (Sattarzadeh 2021).

    Of the last layer of every convolutional block the feature maps with a positive mean gradient
    are kept (that of the log odds, which has the sign of the probability's and does not vanish
    where that is rounded to 1); a block's map is ``V = Σ_k y(x ∘ H^k) H^k`` with ``H^k`` the
    enlarged feature map scaled to [0, 1]. The blocks are fused from the first to the last: two
    maps, scaled to [0, 1], are added, and the sum is kept where the later one is above its Otsu
    threshold. The score is the probability, as in the paper. A forward and a partial backward pass
    for each block, and a forward pass for each feature map kept.
    """
    slope = "log_odds" if score == "probability" else score
    blocks = [
        features_and_gradient(model, x, target, score=slope, layer=place)
        for place in block_layers(model, x.shape[1:])
    ]
    size = passes_at_once(model, x.shape[1:])

    def block_map(index, features, gradient):
        chosen = features[index][..., gradient[index].mean(axis=tuple(range(x.ndim - 2))) > 0]
        total = np.zeros(x.shape[1:-1], np.float32)
        one = slice(index, index + 1)
        for part in batches(chosen.shape[-1], size):
            given = x[one], target[one], np.moveaxis(chosen[..., part], -1, 0)
            seen, masks = scores_behind(model, *given, score=score)
            total += np.tensordot(seen, masks, axes=1)
        return _unit(total)

    return np.stack(
        [
            functools.reduce(_fuse, [block_map(index, *block) for block in blocks])
            for index in range(len(x))
        ]
    )


def _fuse(earlier, later):
    """The sum of two maps where the later one is above its Otsu threshold."""
    if later.min() == later.max():  # nothing to divide
        return earlier + later
    return _unit((earlier + later) * (later > threshold_otsu(later)))


def _unit(values):
    """Scaled to [0, 1]; a constant map becomes zero."""
    values = values - values.min()
    return values / values.max() if values.max() > 0 else values


def enlarged(grids, shifts, space):
    """Coarse grids at a cell more than ``space``, cut out after a shift in [0, 1) of a cell."""
    cell = [math.ceil(size / cells) for size, cells in zip(space, grids.shape[1:])]
    large = upsample(grids, [(n + 1) * size for n, size in zip(grids.shape[1:], cell)])
    corners = tf.cast(shifts * cell, tf.int32)
    for axis, size in enumerate(space, start=1):
        places = corners[:, axis - 1, np.newaxis] + tf.range(size)
        large = tf.gather(large, places, axis=axis, batch_dims=1)
    return large

"""Class activation maps: weighted sums of a convolution's feature maps.

All but :func:`cam` keep the positive part and are enlarged to the input's resolution; ``A^k`` is the
k-th feature map of ``layer``, ``y`` the target's score, ``Z`` the number of positions.
"""

import numpy as np
import tensorflow as tf
from scipy import ndimage

from xai_utils.attributions.gradients import guided_backprop, slope
from xai_utils.graphs import graph
from xai_utils.models import (
    batches,
    class_activation_layers,
    dense_head,
    feature_model,
    has_head,
    head_model,
    of_target,
    passes_at_once,
    target_scores,
)


@graph
def cam(model, x, target, *, upsampling="bilinear"):
    """Feature maps weighted as the last dense layer weights their means (Zhou 2016, eq. 2).

    ``M = Σ_k w_k A^k``, signed, for networks that end in global average pooling and one dense
    layer; elsewhere ValueError. The layer is the one that is averaged. One forward pass.
    """
    layer, dense = class_activation_layers(model)
    _, features = features_of(model, x, score="logit", layer=layer)
    weights = tf.gather(tf.transpose(dense.kernel), target)
    maps = tf.reduce_sum(_per_channel(weights, x) * features, axis=-1)
    return upsample(maps, x.shape[1:-1], upsampling)


@graph
def grad_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Feature maps weighted by the mean gradient of the score (Selvaraju 2017).

    ``L = ReLU(Σ_k α_k A^k)`` with ``α_k = 1/Z Σ_ij ∂y/∂A^k_ij`` (eqs. 1 and 2). One forward and
    one partial backward pass.
    """
    features, gradient = features_and_gradient(model, x, target, score=score, layer=layer)
    return _weighted(features, _mean(gradient), x, upsampling)


@graph
def grad_cam_pp(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Positive gradients weighted so that every instance of the class counts (Chattopadhay 2018).

    ``w_k = Σ_ij α_ij ReLU(g_ij)`` (eq. 5) with ``g = ∂y/∂A^k_ij`` and
    ``α_ij = g² / (2 g² + g³ Σ_ab A_ab) = 1 / (2 + g Σ_ab A_ab)`` (eq. 19, which holds for the
    exponential of the logit y). The paper's factor ``exp(y)``, the same for all channels, is left
    out. Meant for feature maps that are never negative. One forward and one partial backward pass.
    """
    features, gradient = features_and_gradient(model, x, target, score=score, layer=layer)
    positive = tf.nn.relu(gradient)
    weights = tf.math.divide_no_nan(positive, 2 + positive * _sum(features))
    return _weighted(features, _sum(weights), x, upsampling)


@graph
def xgrad_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Gradients averaged with the feature map as their weight (Fu 2020).

    ``w_k = Σ_ij A^k_ij/(Σ_ab A^k_ab) ∂y/∂A^k_ij`` (eq. 8), 0 for a feature map that sums to 0. One
    forward and one partial backward pass.
    """
    features, gradient = features_and_gradient(model, x, target, score=score, layer=layer)
    weights = tf.math.divide_no_nan(_sum(features * gradient), _sum(features))
    return _weighted(features, weights, x, upsampling)


def score_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Feature maps weighted by the score of the input seen through them (Wang 2020).

    ``w = softmax_k(y(x ∘ H^k) - y(0))`` (eqs. 4 to 6) with ``H^k`` the enlarged feature map scaled
    to [0, 1]; a constant one hides everything. No gradient: two forward passes, and one for each
    channel that is not constant.
    """
    _, features = features_of(model, x, score=score, layer=layer)
    nothing = features_of(model, np.zeros_like(x[:1]), score=score, layer=layer)[0][0, target]
    seen = np.repeat(nothing[:, np.newaxis], features.shape[-1], axis=1)
    for index, maps in enumerate(np.moveaxis(features, -1, 1)):
        one = slice(index, index + 1)
        shown = np.flatnonzero(np.ptp(maps.reshape(len(maps), -1), axis=1))
        for part in batches(len(shown), passes_at_once(model, x.shape[1:])):
            given = x[one], target[one], maps[shown[part]]
            seen[index, shown[part]], _ = scores_behind(
                model, *given, score=score, upsampling=upsampling
            )
    weights = tf.nn.softmax(seen, axis=1)  # y(0), the same for all, cancels
    return _weighted(features, _per_channel(weights, x), x, upsampling).numpy()


def ablation_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Feature maps weighted by what the score loses without them (Desai 2020, eq. 3).

    ``w_k = (y - y_k)/|y|`` with ``y_k`` the score when channel k is zero. The paper divides by y,
    which for a negative score would turn the map around. One forward pass, and one of the layers
    after ``layer`` for each channel; where these are dense layers behind poolings, a matrix product.
    """
    # The log odds of all classes are too large a table for all channels at once.
    behind_dense = score != "log_odds" and dense_head(model, score, layer) is not None
    ablated = _ablated_before_dense if behind_dense else _ablated_one_by_one
    return ablated(model, x, target, score=score, layer=layer, upsampling=upsampling)


@graph
def _ablated_before_dense(model, x, target, *, score, layer, upsampling):
    """:func:`ablation_cam` where each channel adds to a dense layer on its own."""
    features = features_of(model, x, score=score, layer=layer)[1]
    pool, dense, rest = dense_head(model, score, layer)
    channels, units = features.shape[-1], dense.units
    pooled = tf.reshape(
        tf.cast(pool(features), tf.float32), (-1, dense.kernel.shape[0] // channels, channels)
    )
    added = tf.einsum("npk,pku->nku", pooled, tf.reshape(dense.kernel, (-1, channels, units)))
    whole = tf.reduce_sum(added, axis=1) + (dense.bias if dense.use_bias else 0)
    own = of_target(rest(whole), target)
    less = tf.reshape(whole[:, np.newaxis] - added, (-1, units))
    without = of_target(rest(less), tf.repeat(target, channels))
    return _weighted(features, _lost(own, tf.reshape(without, (-1, channels)), x), x, upsampling)


def _ablated_one_by_one(model, x, target, *, score, layer, upsampling):
    """:func:`ablation_cam` by a pass through the head for each channel."""
    scores, features = features_of(model, x, score=score, layer=layer)
    channels = np.arange(features.shape[-1])
    without = np.empty((len(x), len(channels)), np.float32)
    for index in range(len(x)):
        one = slice(index, index + 1)
        for part in batches(len(channels), passes_at_once(model, x.shape[1:])):
            given = features[one], target[one], channels[part]
            without[index, part] = _scores_without(model, *given, score=score, layer=layer)
    weights = _lost(scores[np.arange(len(x)), target], without, x)
    return _weighted(features, weights, x, upsampling).numpy()


@graph
def _scores_without(model, features, target, channels, *, score, layer):
    """The score of one sample's feature maps when each of these channels is zero."""
    others = 1 - tf.one_hot(channels, features.shape[-1])
    ablated = features * _per_channel(others, features)
    return of_target(head_model(model, score, layer)(ablated, training=False), target)


def _lost(own, without, x):
    """The share of its score that each sample loses without each channel, as weights of the channels."""
    own = own[:, np.newaxis]
    return _per_channel((own - without) / tf.maximum(tf.abs(own), 1e-12), x)


def integrated_grad_cam(
    model,
    x,
    target,
    *,
    score="logit",
    layer=None,
    upsampling="bilinear",
    baseline=0.0,
    steps=20,
):
    """Grad-CAM averaged on the straight path from a baseline (Sattarzadeh 2021).

    ``1/m Σ_t ReLU(Σ_k (Σ_ij ∂y/∂A^k_ij(γ_t)) (A^k(γ_t) - A^k(x')))`` with
    ``γ_t = x' + t/m (x - x')`` (eq. 6). ``baseline`` is a number or of the shape of one sample.
    ``steps`` + 1 forward and partial backward passes.
    """
    baseline = np.broadcast_to(np.float32(baseline), x[:1].shape)
    _, start = features_of(model, baseline, score=score, layer=layer)
    distinct, own = distinct_inputs(model, x, layer)
    total = 0
    for step in range(1, steps + 1):
        point = baseline + step / steps * (distinct - baseline)
        total += path_step(model, point, own, target, start, score=score, layer=layer) / steps
    return upsample(total, x.shape[1:-1], upsampling).numpy()


def distinct_inputs(model, x, layer):
    """The inputs that differ, and which of them each sample has: one that is explained for several
    classes need go through the network once, where the scores depend on the layer alone."""
    if not has_head(model, layer):
        return x, np.arange(len(x))
    _, first, own = np.unique(x.reshape(len(x), -1), axis=0, return_index=True, return_inverse=True)
    return x[first], own.reshape(-1)


@graph
def path_step(model, point, own, target, start, *, score, layer):
    """What one point of the path adds to :func:`integrated_grad_cam`; ``own`` says which of the points
    is each sample's."""
    scores, features = _map_model(model, score, layer)(point, training=False)
    if has_head(model, layer):
        features = tf.gather(features, own)
        scores = head_model(model, score, layer)(features, training=False)
    gradient = tf.cast(slope(of_target(scores, target), features), tf.float32)
    return tf.nn.relu(tf.reduce_sum(_sum(gradient) * (tf.cast(features, tf.float32) - start), axis=-1))


@graph
def guided_grad_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Guided backpropagation times Grad-CAM, point by point (Selvaraju 2017, sec. 3.2).

    Two forward and two backward passes.
    """
    coarse = grad_cam(model, x, target, score=score, layer=layer, upsampling=upsampling)
    return coarse * guided_backprop(model, x, target, score=score)


def upsample(maps, space, kind="bilinear"):
    """Maps ``(n, *coarse)`` at the resolution ``space``.

    ``"bilinear"`` puts each coarse value at the centre of the pixels that it stands for;
    ``"cubic_spline"`` is what the deliverable did, a spline whose corner values stay in the
    corners, which can fall below zero.
    """
    if kind == "bilinear":
        # a signal is an image one pixel wide
        image = maps[..., np.newaxis] if len(space) == 2 else maps[..., np.newaxis, np.newaxis]
        return tf.reshape(tf.image.resize(image, (*space, 1)[:2]), (-1, *space))
    if kind == "cubic_spline":
        for fine, coarse in zip(space, maps.shape[1:]):  # a spline is linear in what it goes through
            spline = ndimage.zoom(np.eye(coarse), (fine / coarse, 1), order=3)
            maps = tf.tensordot(maps, tf.constant(spline, maps.dtype), [[1], [1]])
        return maps
    raise ValueError(f"upsampling is {kind!r}; it must be 'bilinear' or 'cubic_spline'")


@graph
def scores_behind(model, x, target, coarse, *, score, upsampling="bilinear"):
    """The score of one input seen through masks, and these: ``(k,)`` and ``(k, *space)``.

    A mask is a coarse map, enlarged and scaled to [0, 1]; a constant one is zero.
    """
    masks = upsample(coarse, x.shape[1:-1], upsampling)
    axes = range(1, len(masks.shape))
    masks -= tf.reduce_min(masks, axes, keepdims=True)
    masks = tf.math.divide_no_nan(masks, tf.reduce_max(masks, axes, keepdims=True))
    return target_scores(model, x * masks[..., np.newaxis], target, score=score), masks


@graph
def features_and_gradient(model, x, target, *, score, layer):
    """The layer's feature maps and the gradient of the score there."""
    scores, features = _map_model(model, score, layer)(x, training=False)
    gradient = slope(of_target(scores, target), features)
    return tf.cast(features, tf.float32), tf.cast(gradient, tf.float32)


@graph
def features_of(model, x, *, score, layer):
    """The scores of all classes and the layer's feature maps."""
    scores, features = _map_model(model, score, layer)(x, training=False)
    return scores, tf.cast(features, tf.float32)


def _map_model(model, score, layer):
    """:func:`feature_model` for a layer whose output is a map of the input, else ValueError."""
    built = feature_model(model, score, layer)
    if len(built.outputs[1].shape) != len(model.inputs[0].shape):
        raise ValueError(
            f"The output of {layer!r} has the shape {tuple(built.outputs[1].shape)}, which is no "
            "map of the input: choose a convolution or pooling layer"
        )
    return built


def _weighted(features, weights, x, upsampling):
    maps = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))
    return upsample(maps, x.shape[1:-1], upsampling)


def _sum(features):
    return tf.reduce_sum(features, range(1, len(features.shape) - 1), keepdims=True)


def _mean(features):
    return tf.reduce_mean(features, range(1, len(features.shape) - 1), keepdims=True)


def _per_channel(weights, x):
    """Weights ``(n, k)`` shaped to multiply feature maps."""
    return tf.reshape(weights, (-1, *(1,) * (len(x.shape) - 2), weights.shape[-1]))

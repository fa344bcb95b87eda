"""Class activation maps: weighted sums of a convolution's feature maps.

All but :func:`cam` keep the positive part and are enlarged to the input's resolution; ``A^k`` is the
k-th feature map of ``layer``, ``y`` the target's score, ``Z`` the number of positions.
"""

import numpy as np
import tensorflow as tf
from scipy import ndimage

from xai_utils.attributions.gradients import guided_backprop
from xai_utils.models import (
    batches,
    built_once,
    class_activation_weights,
    feature_model,
    head_model,
    score_model,
)


def cam(model, x, target, *, upsampling="bilinear"):
    """Feature maps weighted as the last dense layer weights their means (Zhou 2016, eq. 2).

    ``M = Σ_k w_k A^k``, signed, for networks that end in global average pooling and one dense
    layer; elsewhere ValueError. The layer is the one that is averaged. One forward pass.
    """
    layer, weights = class_activation_weights(model)
    _, features = _scores_and_features(model, x, "logit", layer)
    maps = np.einsum("n...k,kn->n...", features, weights[:, target])
    return upsample(maps, x.shape[1:-1], upsampling)


def grad_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Feature maps weighted by the mean gradient of the score (Selvaraju 2017).

    ``L = ReLU(Σ_k α_k A^k)`` with ``α_k = 1/Z Σ_ij ∂y/∂A^k_ij`` (eqs. 1 and 2). One forward and
    one partial backward pass.
    """
    features, gradient = features_and_gradient(model, score, layer)(x, target)
    return _weighted(features, _mean(gradient), x, upsampling)


def grad_cam_pp(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Positive gradients weighted so that every instance of the class counts (Chattopadhay 2018).

    ``w_k = Σ_ij α_ij ReLU(g_ij)`` (eq. 5) with ``g = ∂y/∂A^k_ij`` and
    ``α_ij = g² / (2 g² + g³ Σ_ab A_ab) = 1 / (2 + g Σ_ab A_ab)`` (eq. 19, which holds for the
    exponential of the logit y). The paper's factor ``exp(y)``, the same for all channels, is left
    out. Meant for feature maps that are never negative. One forward and one partial backward pass.
    """
    features, gradient = features_and_gradient(model, score, layer)(x, target)
    positive = np.maximum(gradient, 0)
    denominator = 2 + positive * _sum(features)
    parts = np.divide(positive, denominator, out=np.zeros_like(positive), where=denominator != 0)
    return _weighted(features, _sum(parts), x, upsampling)


def xgrad_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Gradients averaged with the feature map as their weight (Fu 2020).

    ``w_k = Σ_ij A^k_ij/(Σ_ab A^k_ab) ∂y/∂A^k_ij`` (eq. 8), 0 for a feature map that sums to 0. One
    forward and one partial backward pass.
    """
    features, gradient = features_and_gradient(model, score, layer)(x, target)
    total = _sum(features)
    weights = np.divide(_sum(features * gradient), total, out=np.zeros_like(total), where=total != 0)
    return _weighted(features, weights, x, upsampling)


def score_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear", batch_size=32):
    """Feature maps weighted by the score of the input seen through them (Wang 2020).

    ``w = softmax_k(y(x ∘ H^k) - y(0))`` (eqs. 4 to 6) with ``H^k`` the enlarged feature map scaled
    to [0, 1]; a constant one hides everything. No gradient: two forward passes, and one for each
    channel that is not constant.
    """
    scores = score_model(model, score)
    _, features = _scores_and_features(model, x, score, layer)
    nothing = scores.predict_on_batch(np.zeros_like(x[:1]))[0]
    weights = np.empty((len(x), features.shape[-1]))
    for index, (one, maps) in enumerate(zip(x, features)):
        seen = np.full(maps.shape[-1], nothing[target[index]])
        shown = np.flatnonzero(np.ptp(maps.reshape(-1, maps.shape[-1]), axis=0))
        for part in batches(len(shown), batch_size):
            masks = unit_masks(maps[..., shown[part]], x.shape[1:-1], upsampling)
            masked = one * masks[..., np.newaxis]
            seen[shown[part]] = scores.predict_on_batch(masked)[:, target[index]]
        weights[index] = np.exp(seen - seen.max())  # y(0), the same for all, cancels
    weights /= weights.sum(axis=1, keepdims=True)
    return _weighted(features, _per_channel(weights, x), x, upsampling)


def ablation_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear", batch_size=32):
    """Feature maps weighted by what the score loses without them (Desai 2020, eq. 3).

    ``w_k = (y - y_k)/|y|`` with ``y_k`` the score when channel k is zero. The paper divides by y,
    which for a negative score would turn the map around. One forward pass, and one of the layers
    after ``layer`` for each channel.
    """
    scores, features = _scores_and_features(model, x, score, layer)
    head = head_model(model, score, layer)
    own = scores[np.arange(len(x)), target]
    channels = np.arange(features.shape[-1])
    weights = np.empty((len(x), len(channels)))
    for index, maps in enumerate(features):
        for part in batches(len(channels), batch_size):
            ablated = np.repeat(maps[np.newaxis], len(channels[part]), axis=0)
            np.moveaxis(ablated, -1, 0)[channels[part], np.arange(len(ablated))] = 0
            without = head.predict_on_batch(ablated)[:, target[index]]
            weights[index, part] = (own[index] - without) / max(abs(own[index]), 1e-12)
    return _weighted(features, _per_channel(weights, x), x, upsampling)


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
    at = features_and_gradient(model, score, layer)
    baseline = np.broadcast_to(np.float32(baseline), x.shape)
    start, _ = at(baseline, target)
    total = 0
    for step in range(1, steps + 1):
        features, gradient = at(baseline + step / steps * (x - baseline), target)
        total += np.maximum(np.sum(_sum(gradient) * (features - start), axis=-1), 0) / steps
    return upsample(total, x.shape[1:-1], upsampling)


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
        image = maps.reshape(*maps.shape[:2], -1, 1)  # a signal is an image one pixel wide
        return tf.image.resize(image, (*space, 1)[:2]).numpy().reshape(-1, *space)
    if kind == "cubic_spline":
        factors = [fine / coarse for fine, coarse in zip(space, maps.shape[1:])]
        return np.stack([ndimage.zoom(coarse, factors, order=3) for coarse in maps])
    raise ValueError(f"upsampling is {kind!r}; it must be 'bilinear' or 'cubic_spline'")


def unit_masks(features, space, upsampling="bilinear"):
    """The feature maps ``(*coarse, k)`` of one sample as masks ``(k, *space)``, each in [0, 1].

    A constant feature map gives a mask of zeros.
    """
    masks = upsample(np.moveaxis(features, -1, 0), space, upsampling)
    axes = tuple(range(1, masks.ndim))
    masks = masks - masks.min(axis=axes, keepdims=True)
    top = masks.max(axis=axes, keepdims=True)
    return np.divide(masks, top, out=np.zeros_like(masks), where=top > 0)


@built_once
def features_and_gradient(model, score, layer):
    """A function of (x, target): the layer's feature maps and the gradient of the score there."""
    scores_and_features = _map_model(model, score, layer)

    @tf.function(reduce_retracing=True)
    def compute(x, target):
        with tf.GradientTape() as tape:
            tape.watch(x)  # the features are then watched too
            scores, features = scores_and_features(x, training=False)
            explained = tf.gather(scores, target, batch_dims=1)
        gradient = tape.gradient(explained, features)
        return tf.cast(features, tf.float32), tf.cast(gradient, tf.float32)

    return lambda x, target: tuple(
        made.numpy() for made in compute(tf.constant(x, tf.float32), tf.constant(target))
    )


def _scores_and_features(model, x, score, layer):
    scores, features = _map_model(model, score, layer).predict_on_batch(x)
    return scores, features.astype(np.float32)


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
    maps = np.maximum(np.sum(weights * features, axis=-1), 0)
    return upsample(maps, x.shape[1:-1], upsampling)


def _sum(features):
    return features.sum(axis=tuple(range(1, features.ndim - 1)), keepdims=True)


def _mean(features):
    return features.mean(axis=tuple(range(1, features.ndim - 1)), keepdims=True)


def _per_channel(weights, x):
    """Weights ``(n, k)`` shaped to multiply feature maps."""
    return weights.reshape(len(weights), *(1,) * (x.ndim - 2), -1)

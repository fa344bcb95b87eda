"""Class activation maps: weighted sums of a convolution's feature maps."""

import numpy as np
import tensorflow as tf
from scipy import ndimage

from xai_utils.models import feature_model


def grad_cam(model, x, target, *, score="logit", layer=None, upsampling="bilinear"):
    """Feature maps weighted by the mean gradient of the score, positive part (Selvaraju 2017).

    ``L = ReLU(Σ_k α_k A^k)`` with ``α_k = 1/Z Σ_ij ∂y/∂A^k_ij`` (eqs. 1 and 2). One forward and
    one partial backward pass.
    """
    scores_and_features = feature_model(model, score, layer)
    with tf.GradientTape() as tape:
        x = tf.convert_to_tensor(x)
        tape.watch(x)
        scores, features = scores_and_features(x, training=False)
        explained = tf.gather(scores, target, batch_dims=1)
    gradient = tape.gradient(explained, features)
    space = list(range(1, len(features.shape) - 1))
    weights = tf.reduce_mean(gradient, axis=space, keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))
    return upsample(maps.numpy(), x.shape[1:-1], upsampling)


def upsample(maps, space, kind="bilinear"):
    """Maps ``(n, *coarse)`` at the resolution ``space``.

    ``"bilinear"`` puts each coarse value at the centre of the pixels that it stands for;
    ``"cubic_spline"`` is what the deliverable did, a spline whose corner values stay in the
    corners, which can fall below zero.
    """
    factors = [1] + [fine / coarse for fine, coarse in zip(space, maps.shape[1:])]
    if kind == "bilinear":
        return ndimage.zoom(maps, factors, order=1, mode="nearest", grid_mode=True)
    if kind == "cubic_spline":
        return np.stack([ndimage.zoom(coarse, factors[1:], order=3) for coarse in maps])
    raise ValueError(f"upsampling is {kind!r}; it must be 'bilinear' or 'cubic_spline'")

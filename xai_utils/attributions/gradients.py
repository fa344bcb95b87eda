"""Methods that follow the gradient of the score back to the input."""

import keras
import numpy as np
import tensorflow as tf
from tf_explain.core.integrated_gradients import IntegratedGradients

from xai_utils.models import score_model


def integrated_gradients(model, x, target, *, score="logit", baseline=0.0, steps=32):
    """The gradient averaged on the straight path from a baseline, times the way (Sundararajan 2017).

    ``(x - x') ∫₀¹ ∂F(x' + a(x - x'))/∂x da`` (eq. 1), by the midpoint rule; channels summed. A
    map sums up to ``F(x) - F(x')`` but for the error of the integral. ``steps`` forward and
    backward passes.
    """
    gradient = _gradient_function(model, score)
    baseline = np.broadcast_to(np.float32(baseline), x.shape)
    total = np.zeros_like(x)
    for step in range(steps):
        total += gradient(baseline + (step + 0.5) / steps * (x - baseline), target).numpy()
    return np.sum((x - baseline) * total / steps, axis=-1)


def tf_explain_integrated_gradients(model, x, target, *, steps=10):
    """What ``IntegratedGradients`` of tf-explain 0.3.1 returns, as the deliverable used it.

    Not the method of that name: the mean gradient of the probability without the factor
    ``(x - x')``, the absolute values of the channels summed, standardized, times 255, and cast
    to 8 bits, which leaves the negative values to the processor. One image a call, ``steps``
    forward and backward passes each. A signal is handed over as an image one pixel wide.
    """
    if x.ndim == 3:
        image = keras.Input((*x.shape[1:-1], 1, x.shape[-1]))
        model = keras.Model(image, model(keras.layers.Reshape(x.shape[1:])(image)))
        x = x[:, :, np.newaxis]
    library = IntegratedGradients()
    maps = [
        library.explain((one[np.newaxis], None), model, int(label), n_steps=steps)
        for one, label in zip(x, target)
    ]
    return np.squeeze(np.stack(maps), axis=2) if x.shape[2] == 1 else np.stack(maps)


def _gradient_function(model, score):
    """A function of (x, target): the gradient of each sample's target score, shaped like x.

    As a graph, which takes half the time that it takes step by step.
    """
    scores = score_model(model, score)

    @tf.function
    def gradient(x, target):
        with tf.GradientTape() as tape:
            tape.watch(x)
            explained = tf.gather(scores(x, training=False), target, batch_dims=1)
        return tape.gradient(explained, x)

    return gradient

"""What Project A gives you: the data, two networks, and their scores and gradients as NumPy arrays.

One sample has the shape ``(*space, channels)``: ``(40, 1)`` for a signal, ``(150, 150, 3)`` for a tile.
"""

import contextlib
import functools
import os
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def nothing_on_stderr():
    """Where TensorFlow tells of graphics cards that are not there, before it can be asked not to."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with nothing_on_stderr():
    import keras
    import tensorflow as tf

DATA = Path(__file__).resolve().parent / "data"


def signals():
    """MNIST-1D: ``x_train`` ``(4000, 40, 1)``, ``y_train``, ``x_test`` ``(1000, 40, 1)``, ``y_test``; where the
    digit lies in each test signal, ``inside``, bool ``(1000, 40)``; and the ``templates``, ``(10, 12)``."""
    with np.load(DATA / "signals.npz") as arrays:
        return dict(arrays)


def tiles():
    """Tiles of tissue: ``x`` ``(n, 150, 150, 3)`` in [0, 1], ``y``, the ``classes``, the ``mean`` of the training
    tiles, ``(150, 150, 3)``; the ``source``; and the curves of the network's training, as ``history``."""
    with np.load(DATA / "tiles.npz") as arrays:
        found = dict(arrays)
    history = {name[8:]: found.pop(name) for name in list(found) if name.startswith("history ")}
    scaled = {name: (found[name] / 255).astype(np.float32) for name in ("x", "mean")}
    return found | scaled | {"source": str(found["source"]), "history": history}


def maps(name):
    """Maps of the ``"signals"`` (all test signals) or of some ``"tiles"``, for the class that is predicted:
    ``grad_cam`` and ``integrated_gradients``, ``(n, *space)``, of the samples at ``places``, ``(n,)``."""
    with np.load(DATA / f"{name}_maps.npz") as arrays:
        return dict(arrays)


def network(name):
    """The network that was trained on ``"signals"`` or on ``"tiles"``; it gives probabilities."""
    return keras.models.load_model(DATA / f"{name}.keras", compile=False)


def probabilities(model, x):
    """The probabilities ``(n, classes)`` of samples ``(n, *space, channels)``."""
    return model.predict(np.asarray(x, np.float32), batch_size=32, verbose=0)


def score_function(model, target, score):
    """A function that gives the score of the class ``target`` for one sample ``(*space, channels)``, a number.

    ``score`` is ``"logit"``, before the softmax, or ``"probability"``, behind it.
    """
    scores = _scores(model, score)
    return lambda x: float(scores(np.float32(x)[np.newaxis], training=False)[0, target])


def gradient_function(model, target, score):
    """A function that gives the gradient of that score with respect to one sample, in its shape."""
    gradient = _gradient(model, score)
    return lambda x: gradient(np.float32(x)[np.newaxis], np.int32(target))[0].numpy()


def features_and_gradients(model, x, target, layer, score):
    """The feature maps of ``layer`` for one sample ``x``, and the gradient of the score with respect to them.

    Two arrays ``(*space, maps)``; the space of a layer may be smaller than that of the sample.
    """
    both = _features_and_gradients(model, layer, score)(np.float32(x)[np.newaxis], np.int32(target))
    return tuple(one[0].numpy() for one in both)


def enlarged(image, shape):
    """An image ``(height, width)`` in another size, ``shape``, by linear interpolation."""
    return tf.image.resize(np.float32(image)[..., np.newaxis], shape)[..., 0].numpy()


@functools.cache
def _scores(model, score):
    """The model as it is, or up to what goes into its softmax."""
    if score == "probability":
        return model
    if score != "logit":
        raise ValueError(f"score is {score!r}; it must be 'logit' or 'probability'")
    last = model.layers[-1]
    logits = keras.layers.Dense(last.units, name="logits")
    up_to_logits = keras.Model(model.inputs[0], logits(last.input))
    logits.set_weights(last.get_weights())
    return up_to_logits


@functools.cache
def _gradient(model, score):
    scores = _scores(model, score)

    @tf.function
    def gradient(x, target):
        with tf.GradientTape() as tape:
            tape.watch(x)
            explained = scores(x, training=False)[0, target]
        return tape.gradient(explained, x)

    return gradient


@functools.cache
def _features_and_gradients(model, layer, score):
    outputs = [model.get_layer(layer).output, _scores(model, score).outputs[0]]
    both = keras.Model(model.inputs[0], outputs)

    @tf.function
    def features_and_gradients(x, target):
        with tf.GradientTape() as tape:
            features, scores = both(x, training=False)
            explained = scores[0, target]
        return features, tape.gradient(explained, features)

    return features_and_gradients

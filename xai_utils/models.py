"""The two networks of the course, their weights, and what explanations need of any network."""

import os
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
CONVOLUTIONS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
)


class WeightsError(ValueError):
    """A weight file that cannot be used; the message says why and what to do."""


def shallow_cnn(classes=10):
    """The course's 1-D CNN for signals ``(40, 1)``: 13,960 parameters, softmax output."""
    inputs = keras.Input((40, 1))
    x = layers.Conv1D(25, 5, padding="same", activation="relu", name="conv1d")(inputs)
    x = layers.Conv1D(25, 3, padding="same", activation="relu", name="conv1d_1")(x)
    x = layers.Conv1D(25, 3, padding="same", activation="relu", name="conv1d_2")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(classes, activation="softmax", name="dense")(x)
    return keras.Model(inputs, outputs, name="shallow_cnn")


def vgg7(classes=8, normalize=True):
    """The course's VGG-7 for images in [0, 1] of any size: 66,088 parameters, softmax output.

    With ``normalize`` the network standardizes each channel of its input; the mean and variance
    belong to the weights and are learned with ``get_layer("normalization").adapt(images)``. The
    network of the course lacks that layer.
    """
    inputs = keras.Input((None, None, 3))
    x = layers.Normalization(name="normalization")(inputs) if normalize else inputs
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2d")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2d_1")(x)
    x = layers.MaxPooling2D(name="max_pooling2d")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2d_2")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2d_3")(x)
    x = layers.MaxPooling2D(name="max_pooling2d_1")(x)
    x = layers.GlobalAveragePooling2D(name="global_average_pooling2d")(x)
    outputs = layers.Dense(classes, activation="softmax", name="dense")(x)
    return keras.Model(inputs, outputs, name="vgg7")


def load_weights(model, path):
    """Load a weight file into ``model``, which is returned.

    Only weights are read, into an architecture defined here: a ``.h5`` file may hold code, and
    Keras does not guard against it. Raises :class:`WeightsError` for a file that is missing,
    is no weight file, or belongs to another architecture.
    """
    if not Path(path).is_file():
        raise WeightsError(f"There is no weight file {path}")
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that the file lacks, and leaves them at random weights.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(
            f"{path} does not fit {model.name} ({model.count_params()} parameters): {reason} "
            "Give a weight file of this architecture"
        ) from error
    return model


def shipped_weights(source):
    """The weights of the VGG-7 trained by this project on HMT or on synthetic tissue."""
    return WEIGHTS / f"vgg7_{'synthetic' if source == 'synthetic' else 'hmt'}.weights.h5"


def course_model(name):
    """The network whose weights the course handed out, ``MNIST1D`` or ``HMT``.

    They are looked for in the folder ``XAI_COURSE_MODELS``, a relative one from the root of the
    repository; None where that is not set.
    """
    folder = os.environ.get("XAI_COURSE_MODELS")
    if not folder:
        return None
    model = shallow_cnn() if name == "MNIST1D" else vgg7(normalize=False)
    return load_weights(model, WEIGHTS.parents[1] / folder / f"{name}.h5")


def predict(model, x, batch_size=32):
    """The output of the model for ``x``, as ``model.predict`` gives it, in half the time."""
    starts = range(0, len(x), batch_size)
    return np.concatenate(
        [model.predict_on_batch(x[start : start + batch_size]) for start in starts]
    )


def score_model(model, score="logit", layer=None):
    """A model from the input to ``(scores, features)``, sharing the weights of ``model``.

    ``scores`` are the class scores ``(n, classes)`` before (``"logit"``) or after
    (``"probability"``) the softmax, whichever of the two the model itself ends in; ``features``
    is the output of ``layer``, by default of the last convolution.

    Raises ValueError for an unknown score or layer, and for a model whose last layer is not a
    dense layer that ends in a softmax or in nothing.
    """
    if score not in ("logit", "probability"):
        raise ValueError(f"score is {score!r}; it must be 'logit' or 'probability'")
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    if not isinstance(last, layers.Dense) or activation not in (
        keras.activations.softmax,
        keras.activations.linear,
    ):
        raise ValueError(
            f"The last layer of {model.name}, {last.name}, is not a dense layer with a softmax "
            "or without activation, so its logits cannot be read"
        )
    logits = keras.ops.add(keras.ops.matmul(last.input, last.kernel), last.bias)
    scores = logits if score == "logit" else keras.ops.softmax(logits)
    return keras.Model(model.inputs[0], [scores, _layer(model, layer).output])


def _layer(model, name):
    """The layer of that name, by default the last convolution."""
    convolutions = [layer for layer in model.layers if isinstance(layer, CONVOLUTIONS)]
    named = {layer.name: layer for layer in model.layers}
    if name is None and convolutions:
        return convolutions[-1]
    if name not in named:
        raise ValueError(f"{model.name} has no layer {name!r}; it has {', '.join(named)}")
    return named[name]

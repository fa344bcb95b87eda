"""The two networks of the course."""

import keras
import numpy as np
from keras import layers


def shallow_cnn(classes=10):
    """The course's 1-D CNN for signals ``(40, 1)``: 13,960 parameters, softmax output."""
    inputs = keras.Input((40, 1))
    x = layers.Conv1D(25, 5, padding="same", activation="relu", name="conv1d")(inputs)
    x = layers.Conv1D(25, 3, padding="same", activation="relu", name="conv1d_1")(x)
    x = layers.Conv1D(25, 3, padding="same", activation="relu", name="conv1d_2")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(classes, activation="softmax", name="dense")(x)
    return keras.Model(inputs, outputs, name="shallow_cnn")


def vgg7(classes=8, average=3, normalize=True, batch_normalization=False, dtype="float32"):
    """The course's VGG-7 for images in [0, 1] of any size: 66,088 parameters, softmax output.

    Ours first averages ``average`` × ``average`` pixels, since its last convolution sees 16 × 16 of what
    it is given: on a tile as it is no more than a nucleus, 8 µm. With ``normalize`` it then standardizes
    each channel; the mean and variance belong to the weights and are learned with
    ``get_layer("normalization").adapt(images)``. The network of the course does neither. With
    ``batch_normalization`` (Ioffe & Szegedy, 2015) it is a network to train, of which :func:`folded`
    makes one without. ``dtype`` is the precision of the convolutions.
    """

    def convolution(x, filters, name):
        options = {"kernel_size": 3, "padding": "same", "dtype": dtype, "name": name}
        if not batch_normalization:
            return layers.Conv2D(filters, activation="relu", **options)(x)
        x = layers.Conv2D(filters, **options)(x)
        x = layers.BatchNormalization(name=f"{name}_normalization")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = x = keras.Input((None, None, 3))
    if average > 1:
        x = layers.AveragePooling2D(average, name="average_pooling2d")(x)
    if normalize:
        x = layers.Normalization(name="normalization")(x)
    x = convolution(x, 32, "conv2d")
    x = convolution(x, 32, "conv2d_1")
    x = layers.MaxPooling2D(name="max_pooling2d")(x)
    x = convolution(x, 64, "conv2d_2")
    x = convolution(x, 64, "conv2d_3")
    x = layers.MaxPooling2D(name="max_pooling2d_1")(x)
    x = layers.GlobalAveragePooling2D(name="global_average_pooling2d")(x)
    outputs = layers.Dense(classes, activation="softmax", name="dense")(x)
    return keras.Model(inputs, outputs, name="vgg7")


def folded(model, **options):
    """The VGG-7 without batch normalization that computes what ``model`` computes with it.

    What a convolution gives is there shifted and scaled by fixed numbers, so its kernel and bias can be.
    ``options`` are those of :func:`vgg7`.
    """
    plain = vgg7(**options)
    for layer in plain.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, bias = model.get_layer(layer.name).get_weights()
            normalization = model.get_layer(f"{layer.name}_normalization")
            gamma, beta, mean, variance = normalization.get_weights()
            scale = gamma / np.sqrt(variance + normalization.epsilon)
            layer.set_weights([kernel * scale, (bias - mean) * scale + beta])
        elif layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    if "normalization" in (layer.name for layer in plain.layers):
        plain.get_layer("normalization").finalize_state()  # set_weights alone does not
    return plain

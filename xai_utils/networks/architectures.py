"""The two networks of the course."""

import functools

import keras
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


def vgg7(classes=8, normalize=True, dtype="float32"):
    """The course's VGG-7 for images in [0, 1] of any size: 66,088 parameters, softmax output.

    With ``normalize`` the network standardizes each channel of its input; the mean and variance
    belong to the weights and are learned with ``get_layer("normalization").adapt(images)``. The
    network of the course lacks that layer. ``dtype`` is the precision of the convolutions.
    """
    convolution = functools.partial(
        layers.Conv2D, kernel_size=3, padding="same", activation="relu", dtype=dtype
    )
    inputs = keras.Input((None, None, 3))
    x = layers.Normalization(name="normalization")(inputs) if normalize else inputs
    x = convolution(32, name="conv2d")(x)
    x = convolution(32, name="conv2d_1")(x)
    x = layers.MaxPooling2D(name="max_pooling2d")(x)
    x = convolution(64, name="conv2d_2")(x)
    x = convolution(64, name="conv2d_3")(x)
    x = layers.MaxPooling2D(name="max_pooling2d_1")(x)
    x = layers.GlobalAveragePooling2D(name="global_average_pooling2d")(x)
    outputs = layers.Dense(classes, activation="softmax", name="dense")(x)
    return keras.Model(inputs, outputs, name="vgg7")

"""A Keras network as the layers that the explorer's page runs (``explorer_page/network.js``).

The page knows arrays ``(height, width, channels)``: a signal is one row high, and a dense layer is a
convolution of one point.
"""

import itertools

import keras
import numpy as np
from keras import layers

from report.common import ReportError

# What the page knows of all that a layer of Keras could be set to.
KNOWN = {
    "activation": ("linear", "relu", "softmax"),
    "data_format": ("channels_last",),
    "dilation_rate": (1, (1,), (1, 1)),
    "groups": (1,),
    "invert": (False,),
    "padding": ("same", "valid"),
}


def page_layers(model):
    """The layers of a chain of layers, each a dict of its kind, settings and weights (float32 arrays).

    Raises ReportError for a network that is no chain, and for a layer or setting that the page lacks.
    """
    chain = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    for before, layer in itertools.pairwise(chain):
        if layer.input is not before.output:
            raise ReportError(
                f"the explorer runs chains of layers: {layer.name} takes not just {before.name}"
            )
    return [page_layer(layer) for layer in chain]


def page_layer(layer):
    """One layer as the page knows it."""
    if type(layer) not in KINDS:
        kind = type(layer).__name__
        raise ReportError(f"the explorer cannot run the layer {layer.name} of the kind {kind}")
    settings = layer.get_config()
    for name, known in KNOWN.items():
        if name in settings and settings[name] not in known:
            raise ReportError(f"the explorer cannot run {layer.name} with {name} {settings[name]}")
    if layer.compute_dtype != "float32":
        raise ReportError(
            f"the explorer computes in float32, and {layer.name} in {layer.compute_dtype}"
        )
    return KINDS[type(layer)](layer, settings)


def _convolution(layer, settings):
    return _weights(layer, settings) | {
        "size": _of_rows(settings["kernel_size"]),
        "strides": _of_rows(settings["strides"]),
        "padding": settings["padding"],
    }


def _dense(layer, settings):
    return _weights(layer, settings) | {"size": [1, 1], "strides": [1, 1], "padding": "valid"}


def _weights(layer, settings):
    """What convolutions and dense layers have in common: the kernel ends in ``(channels, filters)``."""
    kernel, *bias = layer.get_weights()
    filters = kernel.shape[-1]
    return {
        "kind": "convolution",
        "filters": filters,
        "activation": settings["activation"],
        "kernel": kernel,
        "bias": bias[0] if bias else np.zeros(filters, np.float32),
    }


def _pooling(layer, settings):
    return {
        "kind": "pooling",
        "average": isinstance(layer, (layers.AveragePooling1D, layers.AveragePooling2D)),
        "size": _of_rows(settings["pool_size"]),
        "strides": _of_rows(settings["strides"]),
        "padding": settings["padding"],
    }


def _normalization(layer, settings):
    mean, variance = np.array(layer.mean), np.array(layer.variance)
    if mean.size != mean.shape[-1]:
        raise ReportError(f"the explorer normalizes channels, and {layer.name} something else")
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return {"kind": "normalization", "mean": mean.ravel(), "deviation": deviation.ravel()}


def _global_average(layer, settings):
    return {"kind": "globalAverage"}


def _flatten(layer, settings):
    return {"kind": "flatten"}


def _of_rows(sizes):
    """Sizes along the axes as ``[rows, columns]``: a signal is one row."""
    return [1, *sizes] if len(sizes) == 1 else list(sizes)


KINDS = {
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.MaxPooling1D: _pooling,
    layers.MaxPooling2D: _pooling,
    layers.AveragePooling1D: _pooling,
    layers.AveragePooling2D: _pooling,
    layers.GlobalAveragePooling1D: _global_average,
    layers.GlobalAveragePooling2D: _global_average,
    layers.Flatten: _flatten,
    layers.Normalization: _normalization,
}

"""A linear head for several labels on a network that others trained, fitted on its averaged features."""

import keras
import numpy as np
from keras import layers
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from xai_utils.models import dense_head, feature_model

FOLDS = 5


def body_of(network):
    """The network up to its first dense layer: from the input to the pooled features ``(n, d)``.

    Raises ValueError where something else than poolings stands between the feature maps and that layer.
    """
    head = dense_head(network)
    if head is None:
        raise ValueError(f"{network.name} has no dense layer right behind a pooling of feature maps")
    upto = feature_model(network)
    return keras.Model(upto.inputs, head.pool(upto.outputs[1]), name=network.name)


def fit(features, present, fold):
    """Logistic regressions, one a class and fold, on the samples of the other folds.

    ``features`` is ``(n, d)``, ``present`` bool ``(n, classes)``, ``fold`` ``(n,)``; where all are in
    fold -1, one head is fitted on all. Returns a kernel ``(d, folds · classes)`` and a bias, a fold after
    the other. A class that stands in none or all of a fold's samples gets its smoothed log odds.
    """
    weights = [
        _fitted(features[fold != held], present[fold != held, label])
        for held in range(max(fold.max(), 0) + 1)
        for label in range(present.shape[1])
    ]
    kernels, biases = zip(*weights)
    return np.float32(np.transpose(kernels)), np.float32(biases)


def _fitted(features, y):
    if y.all() or not y.any():
        return np.zeros(features.shape[1]), np.log((y.sum() + 0.5) / ((~y).sum() + 0.5))
    # To the optimum, of which there is one: where the default stops, rounding decides, and with it the processor.
    found = LogisticRegression(tol=1e-8, max_iter=10_000).fit(features.astype(np.float64), y)
    return found.coef_[0], found.intercept_[0]


def with_head(body, kernel, bias):
    """The body and the head as one network, whose outputs each have a probability of their own."""
    dense = layers.Dense(len(bias), activation="sigmoid", name="classes")
    model = keras.Model(body.inputs, dense(body.outputs[0]), name=f"{body.name}_labels")
    dense.set_weights([kernel, bias])
    return model


def own_outputs(fold, labels, classes):
    """The output ``(n,)`` that answers for a class, of the head that did not see the sample."""
    return np.maximum(fold, 0) * classes + labels


def quality(scores, present):
    """How well scores ``(n, classes)`` tell the classes: the mean average precision over the classes
    that are there, and how often the highest score is that of a class that is present."""
    shown = present.any(axis=0)
    precision = average_precision_score(present[:, shown], scores[:, shown], average="macro")
    top1 = np.take_along_axis(present, scores.argmax(axis=1)[:, np.newaxis], axis=1).mean()
    return {"map": float(precision), "top1": float(top1)}

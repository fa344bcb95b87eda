"""What explanations ask of any Keras network: scores, feature maps, the head behind them."""

import functools
import hashlib
import json
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from xai_utils.graphs import graph, kept

CONVOLUTIONS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
)


# What may follow a convolution and still belongs to it.
ACTIVATIONS = (
    layers.BatchNormalization,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ELU,
)

POOLINGS = (
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
)

# What looks at each channel alone, and makes of a channel of zeros zeros.
CHANNELWISE = (*POOLINGS, layers.Flatten, layers.Dropout)


def predict(model, x, batch_size=32):
    """The output of the model for ``x``, as ``model.predict`` gives it, in half the time."""
    return np.concatenate([model.predict_on_batch(x[part]) for part in batches(len(x), batch_size)])


@graph
def target_scores(model, x, target, *, score="logit"):
    """The score of each sample's class ``(n,)``; ``target`` is ``(n,)``, or ``(1,)`` for all.

    See :func:`score_model`.
    """
    return of_target(score_model(model, score)(x, training=False), target)


def of_target(scores, target):
    """The scores ``(n,)`` of the target, which may be ``(1,)`` for all, among those of all classes."""
    target = tf.broadcast_to(tf.cast(target, tf.int64), tf.shape(scores)[:1])
    return tf.gather(scores, target, batch_dims=1)


CACHE = 64 * 2**20  # bytes of the largest output of a layer that a pass should not exceed


@kept
def passes_at_once(model, shape):
    """How many samples ``(*space, channels)`` a pass takes best: what stays near the processor.

    32 for a model whose layers are not known.
    """
    try:
        outputs = keras.tree.flatten([made.output for made in _calls(model, keras.Input(shape))])
    except ValueError:
        return 32
    largest = max(math.prod(size or 1 for size in output.shape[1:]) for output in outputs)
    return max(1, min(1024, CACHE // (4 * largest)))


def batches(count, size):
    """The slices that cut ``count`` things into batches of at most ``size``."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def fingerprint(model):
    """A hash of what a model computes: its layers, how they are connected, its weights and state.

    Names are told apart but do not count by themselves, since Keras numbers them.
    """
    config = json.dumps(model.get_config(), sort_keys=True, default=repr)
    for place, name in enumerate(dict.fromkeys(re.findall(r'"name": "([^"]+)"', config))):
        config = config.replace(f'"{name}"', f'"{re.sub(r"_[0-9]+$", "", name)}#{place}"')
    found = hashlib.sha256(config.encode())
    for array in [*model.get_weights(), *_derived(model)]:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()


def _derived(model):
    """What layers for normalization compute with: derived from their weights, but not always anew."""
    derived = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            derived += _derived(layer)
        elif isinstance(layer, layers.Normalization):
            derived += [np.asarray(part) for part in (layer.mean, layer.variance) if part is not None]
    return derived


@kept
def score_model(model, score="logit"):
    """A model from the input to the class scores ``(n, classes)``, sharing the weights of ``model``.

    The scores are those before (``"logit"``) or after (``"probability"``) the softmax, whichever of
    the two the model itself ends in, or ``"log_odds"``, the logarithm of p/(1 - p), which rises where
    p does and has a gradient where p is 1 for all that a float can tell. They are float32. ``model``
    may be Functional or Sequential, and hold models as layers. Call it with ``training=False``.
    Raises ValueError for an unknown score, and for a model that cannot be taken apart or ends in
    something else than class scores.
    """
    inputs = _new_input(model)
    return keras.Model(inputs, _scores(model, _calls(model, inputs)[-1], score))


@kept
def feature_model(model, score="logit", layer=None):
    """A model from the input to ``(scores, features)``.

    ``scores`` as in :func:`score_model`; ``features`` is the output of ``layer``, by default of the
    last convolution, activation included. The layers of a model that serves as a layer are known by
    their own names; a number is the place in the order in which the layers are called. Raises
    ValueError for an unknown layer.
    """
    inputs = _new_input(model)
    calls = _calls(model, inputs)
    features = _features(model, calls, layer).output
    return keras.Model(inputs, [_scores(model, calls[-1], score), features])


@kept
def head_model(model, score="logit", layer=None):
    """The rest of ``model`` from ``layer`` on: a model from its ``features`` to the scores.

    Both as in :func:`feature_model`. Raises ValueError where the scores also depend on the input by
    a way around the layer.
    """
    calls = _calls(model, _new_input(model))
    cut = _features(model, calls, layer)
    try:
        return keras.Model(cut.output, _scores(model, calls[-1], score))
    except ValueError as error:
        raise ValueError(
            f"The scores of {model.name} do not depend on {cut.layer.name} alone, so the model "
            "has no head from there on: choose a layer that everything passes through"
        ) from error


class DenseHead(NamedTuple):
    """A head of poolings, one dense layer, and the rest: ``pool`` makes ``(n, d)`` of the feature maps,
    channels last; ``rest`` makes scores of what the dense layer gives before its activation."""

    pool: Callable
    dense: layers.Dense
    rest: Callable


@kept
def dense_head(model, score="logit", layer=None):
    """The head of :func:`head_model` as a :class:`DenseHead`; None where it is another."""
    calls = _calls(model, _new_input(model))
    cut = before = _features(model, calls, layer)
    for made in calls[calls.index(cut) + 1 :]:
        if len(made.inputs) != 1 or made.inputs[0] is not before.output:
            return None
        if isinstance(made.layer, layers.Dense):
            break
        if not isinstance(made.layer, CHANNELWISE):
            return None
        before = made
    else:
        return None
    if before is cut or len(before.output.shape) != 2:
        return None
    pool = keras.Model(cut.output, before.output)
    if made is calls[-1]:
        _scores(model, made, score)  # refuses what is no class score
        return DenseHead(pool, made.layer, lambda logits: _of_logits(logits, score))
    scores = _scores(model, calls[-1], score)
    try:
        rest = keras.Model(made.output, scores)
    except ValueError:  # a way leads around the dense layer
        return None
    return DenseHead(pool, made.layer, lambda given: rest(made.layer.activation(given)))


@kept
def class_activation_layers(model):
    """What class activation mapping needs: the averaged layer's place, and the dense layer whose kernel
    holds the weights ``(k, classes)``.

    Raises ValueError where the last dense layer does not follow global average pooling.
    """
    calls = _calls(model, _new_input(model))
    place_of = {id(made.output): place for place, made in enumerate(calls)}

    def before(place, passed=()):
        """The place of the call whose output this one takes, seen through layers that pass it on."""
        place = place_of.get(id(calls[place].inputs[0]))
        skip = place is not None and isinstance(calls[place].layer, passed)
        return before(place, passed) if skip else place

    def is_at(place, *kinds):
        return place is not None and isinstance(calls[place].layer, kinds)

    last = len(calls) - 1
    dense = before(last) if is_at(last, layers.Softmax, layers.Activation) else last
    pooling = before(dense, (layers.Dropout,)) if is_at(dense, layers.Dense) else None
    averaged = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)
    features = before(pooling) if is_at(pooling, *averaged) else None
    if features is None:
        raise ValueError(
            f"{model.name} has no global average pooling of feature maps right before its last "
            "dense layer, without which class activation mapping is not defined: use grad_cam, "
            "which needs none"
        )
    return features, calls[dense].layer


@kept
def block_layers(model):
    """The places of the last layers of the convolutional blocks, activation included.

    A block ends where a pooling layer or the end of the convolutions follows.
    """
    calls = _calls(model, _new_input(model))
    places, last = [], None
    for place, made in enumerate(calls):
        if isinstance(made.layer, CONVOLUTIONS):
            last = place
        elif last is None:
            continue
        elif isinstance(made.layer, ACTIVATIONS) and made.inputs[0] is calls[last].output:
            last = place
        elif isinstance(made.layer, POOLINGS):
            places, last = [*places, last], None
    if last is not None:
        places.append(last)
    if not places:
        raise ValueError(f"{model.name} has no convolution, so no convolutional blocks")
    return places


class _Call(NamedTuple):
    """One use of a layer while a model is applied."""

    layer: keras.layers.Layer
    inputs: tuple
    output: object


def _new_input(model):
    """An input like the model's, but never of whole numbers: they have no gradient."""
    given = model.inputs[0]
    return keras.Input(
        batch_shape=given.shape, dtype=given.dtype if "float" in given.dtype else "float32"
    )


def _calls(model, x):
    """Apply the layers of ``model`` to ``x`` once more and list the calls, the output's last.

    A layer that was called in training mode is not: it would change, and give noise.
    """
    calls = []

    def call(layer, *args, training=None, **options):
        if isinstance(layer, keras.Model):
            return apply(layer, *args)
        output = layer(*args, **options)
        calls.append(_Call(layer, args, output))
        return output

    def apply(part, x):
        if isinstance(part, keras.Sequential):
            return functools.reduce(lambda tensor, layer: call(layer, tensor), part.layers, x)
        (before,), (after,) = part.inputs, part.outputs
        same = {"clone_function": lambda layer: layer, "call_function": call}
        plain = keras.Model(before, after)  # clone_model compiles what was compiled
        return keras.models.clone_model(plain, input_tensors=x, **same).outputs[0]

    try:
        output = apply(model, x)
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"{model.name} cannot be taken apart into its layers: it must be a Functional or "
            f"Sequential model with one input and one output ({error})"
        ) from error
    return sorted(calls, key=lambda made: made.output is output)  # stable: only the last moves


def _features(model, calls, name):
    """The call of the layer of that name, by default of the last convolution, activated."""
    if isinstance(name, int):
        return calls[name]
    if name is None:
        places = [i for i, made in enumerate(calls) if isinstance(made.layer, CONVOLUTIONS)]
        if not places:
            raise ValueError(f"{model.name} has no convolution: name the layer to use")
        chosen = calls[places[-1]]
        for after in calls[places[-1] + 1 :]:
            if isinstance(after.layer, ACTIVATIONS) and after.inputs[0] is chosen.output:
                chosen = after
        return chosen
    named = [made for made in calls if made.layer.name == name]
    if len(named) != 1:
        known = ", ".join(dict.fromkeys(made.layer.name for made in calls))
        raise ValueError(
            f"{model.name} has {'no layer' if not named else 'several layers'} {name!r}; it has {known}"
        )
    return named[0]


def _scores(model, last, score):
    """The logits or probabilities of a model whose output is that of the call ``last``."""
    if score not in ("logit", "probability", "log_odds"):
        raise ValueError(f"score is {score!r}; it must be 'logit', 'probability' or 'log_odds'")
    activation = getattr(last.layer, "activation", keras.activations.linear)
    softmax = isinstance(last.layer, layers.Softmax) or activation is keras.activations.softmax
    if not softmax and activation is not keras.activations.linear:
        raise ValueError(
            f"{model.name} ends in {last.layer.name} with the activation {activation.__name__}; "
            "it must end in class scores, with or without a softmax"
        )
    if len(last.output.shape) != 2:
        raise ValueError(
            f"The output of {model.name} has the shape {tuple(last.output.shape)}; it must be one "
            "score a class"
        )
    if not softmax:
        logits = last.output
    elif isinstance(last.layer, (layers.Softmax, layers.Activation)):
        logits = last.inputs[0]
    elif isinstance(last.layer, layers.Dense):
        logits = _BeforeActivation(last.layer)(last.inputs[0])
    else:
        raise ValueError(
            f"The logits of {model.name} cannot be read, because its last layer, "
            f"{last.layer.name}, is no dense layer but has a softmax in it"
        )
    return _of_logits(logits, score)


class _BeforeActivation(keras.layers.Layer):
    """What a dense layer gives before its activation; its kernel may itself be computed, so it is read at
    each call."""

    def __init__(self, dense):
        super().__init__(name=f"before_{dense.name}")
        self.dense = dense

    def call(self, x):
        logits = keras.ops.matmul(x, self.dense.kernel)
        return keras.ops.add(logits, self.dense.bias) if self.dense.use_bias else logits


def _of_logits(logits, score):
    """The scores of that kind."""
    logits = keras.ops.cast(logits, "float32")
    if score == "log_odds":
        own = keras.ops.eye(logits.shape[-1])
        others = keras.ops.where(own > 0, -np.inf, keras.ops.expand_dims(logits, 1))
        return logits - keras.ops.logsumexp(others, axis=-1)
    return logits if score == "logit" else keras.ops.softmax(logits)

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

# What gives on what it gets when nothing is trained; activations that are linear do too.
IDENTITIES = (
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.AlphaDropout,
    layers.GaussianNoise,
    layers.GaussianDropout,
    layers.ActivityRegularization,
)

# What cuts, pads or scales a map, and adds no feature to it.
RESIZINGS = (
    *POOLINGS,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Resizing,
)

# What looks at each channel alone, and makes of a channel of zeros zeros.
CHANNELWISE = (*POOLINGS, layers.Flatten, layers.Dropout)

# What makes probabilities of logits. The logarithm of a softmax is the logits but for a constant.
SOFTMAX, SIGMOID = "softmax", "sigmoid"
PROBABILITIES = {
    keras.activations.softmax: SOFTMAX,
    keras.activations.log_softmax: SOFTMAX,
    keras.ops.softmax: SOFTMAX,
    tf.nn.softmax: SOFTMAX,
    keras.activations.sigmoid: SIGMOID,
    keras.ops.sigmoid: SIGMOID,
    tf.nn.sigmoid: SIGMOID,
}
OPERATIONS = {"Softmax": SOFTMAX, "LogSoftmax": SOFTMAX, "Sigmoid": SIGMOID}  # of layers and keras.ops


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
    p does and has a gradient where p is 1 for all that a float can tell. They are float32. A model that
    ends in a sigmoid, or in one output, has for each output a probability of its own: then the logit
    and the log odds are the same. ``model`` may be Functional or Sequential, and hold models as layers.
    Call it with ``training=False``. Raises ValueError for an unknown score, and for a model that cannot
    be taken apart or ends in something else than class scores.
    """
    inputs = _new_input(model)
    calls = _calls(model, inputs)
    return keras.Model(inputs, _scores(model, calls, score))


@kept
def feature_model(model, score="logit", layer=None):
    """A model from the input to ``(scores, features)``.

    ``scores`` as in :func:`score_model`; ``features`` is the output of ``layer``, by default the last
    map that everything passes through, its non-linearity included. The layers of a model that serves
    as a layer are known by their own names; a number is the place in the order in which the layers are
    called. Raises ValueError for an unknown layer, and for a model that has no such map.
    """
    inputs = _new_input(model)
    calls = _calls(model, inputs)
    features = _features(model, calls, layer).output
    return keras.Model(inputs, [_scores(model, calls, score), features])


@kept
def head_model(model, score="logit", layer=None):
    """The rest of ``model`` from ``layer`` on: a model from its ``features`` to the scores.

    Both as in :func:`feature_model`. Raises ValueError where the scores also depend on the input by
    a way around the layer.
    """
    calls = _calls(model, _new_input(model))
    cut, scores = _features(model, calls, layer), _scores(model, calls, score)
    try:
        return keras.Model(cut.output, scores)
    except ValueError as error:
        raise ValueError(
            f"The scores of {model.name} do not depend on {cut.layer.name} alone, so the model "
            "has no head from there on: choose a layer that everything passes through"
        ) from error


@kept
def has_head(model, layer=None):
    """Whether the scores depend on the layer alone, so that there is a :func:`head_model`."""
    try:
        return head_model(model, layer=layer) is not None
    except ValueError:
        return False


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
    pool, end = keras.Model(cut.output, before.output), _end(model, calls)
    if made is calls[end.place]:
        return DenseHead(pool, made.layer, lambda logits: _of_logits(logits, end.kind, score))
    try:
        rest = keras.Model(made.output, _of_logits(end.logits, end.kind, score))
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

    def is_at(place, *kinds):
        return place is not None and isinstance(calls[place].layer, kinds)

    averaged = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)
    dense = _end(model, calls).place
    pooling = _place_before(calls, dense) if is_at(dense, layers.Dense) else None
    features = _place_before(calls, pooling) if is_at(pooling, *averaged) else None
    if features is None:
        raise ValueError(
            f"{model.name} has no global average pooling of feature maps right before its last "
            "dense layer, without which class activation mapping is not defined: use grad_cam, "
            "which needs none"
        )
    return features, calls[dense].layer


@kept
def block_layers(model, shape):
    """The places of the last maps of the convolutional blocks, for inputs ``(*space, channels)``.

    Of the maps that everything passes through: a block ends where the next of them has at most half as
    many points, and with the last.
    """
    calls = _calls(model, keras.Input(shape))
    places = _bottlenecks(model, calls)
    if not places:
        raise _without_bottleneck(model, calls)
    points = [math.prod(calls[place].output.shape[1:-1]) for place in places]
    ends = [after <= before / 2 for before, after in zip(points, points[1:])] + [True]
    return [place for place, is_end in zip(places, ends) if is_end]


class _Call(NamedTuple):
    """One use of a layer, or of an operation of Keras, while a model is applied."""

    layer: keras.Operation
    inputs: list
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
        given = [
            one for one in keras.tree.flatten((args, options)) if isinstance(one, keras.KerasTensor)
        ]
        calls.append(_Call(layer, given, output))
        return output

    def apply(part, x):
        if isinstance(part, keras.Sequential):
            return functools.reduce(lambda tensor, layer: call(layer, tensor), part.layers, x)
        (_,), (_,) = part.inputs, part.outputs
        # Keras' own way through the graph: clone_model would cut a nested model off its input.
        found = part._run_through_graph([x], lambda layer: functools.partial(call, layer))
        return keras.tree.flatten(found)[0]

    try:
        output = apply(model, x)
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"{model.name} cannot be taken apart into its layers: it must be a Functional or "
            f"Sequential model with one input and one output ({error})"
        ) from error
    return sorted(calls, key=lambda made: made.output is output)  # stable: only the last moves


def _features(model, calls, name):
    """The call of the layer of that name or place, by default the last map that everything passes."""
    if isinstance(name, int):
        return calls[name]
    if name is None:
        places = _bottlenecks(model, calls)
        if not places:
            raise _without_bottleneck(model, calls)
        return calls[places[-1]]
    named = [made for made in calls if made.layer.name == name]
    if len(named) != 1:
        known = ", ".join(dict.fromkeys(made.layer.name for made in calls))
        raise ValueError(
            f"{model.name} has {'no layer' if not named else 'several layers'} {name!r}; it has {known}"
        )
    return named[0]


def _bottlenecks(model, calls):
    """The places of the maps of features that everything passes through, in the order of the calls.

    From the scores back: the tensors that are still needed are those on some way to the scores. Where
    there is but one, nothing leads around it.
    """
    found, needed = [], {id(calls[-1].output)}
    maps = _maps(model, calls)
    for place in reversed(range(len(calls))):
        made = {id(output) for output in keras.tree.flatten(calls[place].output)}
        if not made & needed:
            continue
        if needed == made and place in maps:
            found.append(place)
        needed = needed - made | {id(given) for given in calls[place].inputs}
    return found[::-1]


def _maps(model, calls):
    """The places of the calls that make features of the input, at more than one point.

    Features begin with the first layer that has a kernel; what only resizes a map or gives it on makes
    none.
    """
    rank = len(model.inputs[0].shape)
    has_kernel = [any(len(w.shape) > 1 for w in getattr(made.layer, "weights", ())) for made in calls]
    return {
        place
        for place in range(has_kernel.index(True) if True in has_kernel else len(calls), len(calls))
        if len(getattr(calls[place].output, "shape", ())) == rank
        and calls[place].output.shape[1:-1] != (1,) * (rank - 2)
        and not isinstance(calls[place].layer, RESIZINGS)
        and not _gives_on(calls[place].layer)
    }


def _without_bottleneck(model, calls):
    """The error that says which layers there are to choose from."""
    names = sorted({calls[place].layer.name for place in _maps(model, calls)})
    choice = f"name the layer to use, one of {', '.join(names)}" if names else "no layer makes one"
    return ValueError(f"{model.name} has no map of features that everything passes through: {choice}")


class _End(NamedTuple):
    """How a model ends: the place of the call that makes the logits, these, and what makes
    probabilities of them, in the model or, where it ends in logits, by their number."""

    place: int | None
    logits: object
    kind: str


def _end(model, calls):
    """Find the logits, wherever the softmax or the sigmoid stands on the way out."""
    output = calls[-1].output
    if len(getattr(output, "shape", ())) != 2:
        raise ValueError(
            f"The output of {model.name} has the shape {tuple(output.shape)}; it must be one score a class"
        )
    place = _seen_through(calls, len(calls) - 1)
    last = calls[-1 if place is None else place]
    activation = getattr(last.layer, "activation", keras.activations.linear)
    kind = _kind(last.layer) or _kind(activation)
    if kind is None:
        if activation is not keras.activations.linear:
            raise ValueError(
                f"{model.name} ends in {last.layer.name} with the activation "
                f"{getattr(activation, '__name__', activation)}; it must end in class scores, with or "
                "without a softmax or sigmoid"
            )
        _refuse_probabilities(model)
        return _End(place, output, SIGMOID if output.shape[-1] == 1 else SOFTMAX)
    if kind == SOFTMAX and output.shape[-1] == 1:
        raise ValueError(f"{model.name} ends in a softmax of one output, which is 1 whatever it sees")
    if isinstance(last.layer, layers.Dense):
        return _End(place, _BeforeActivation(last.layer)(last.inputs[0]), kind)
    if getattr(last.layer, "weights", ()):
        raise ValueError(
            f"The logits of {model.name} cannot be read, because its last layer, "
            f"{last.layer.name}, is no dense layer but has a {kind} in it"
        )
    return _End(_place_before(calls, place), last.inputs[0], kind)


def _kind(thing):
    """Whether a layer, an operation or a function makes probabilities of logits, and how."""
    return OPERATIONS.get(type(thing).__name__) or PROBABILITIES.get(thing)


def _place_before(calls, place):
    """The place of the call whose output that one takes, seen through what gives on what it gets;
    None where it takes the input."""
    places = {id(made.output): place for place, made in enumerate(calls)}
    return _seen_through(calls, places.get(id(calls[place].inputs[0])))


def _seen_through(calls, place):
    """The place itself, or the one before it that does not give on what it gets."""
    gives_on = place is not None and _gives_on(calls[place].layer)
    return _place_before(calls, place) if gives_on else place


def _gives_on(layer):
    """Whether a layer or operation gives on what it gets, in another precision at most."""
    if isinstance(layer, layers.Activation):
        return layer.activation is keras.activations.linear
    return isinstance(layer, IDENTITIES) or type(layer).__name__ == "Cast"


def _scores(model, calls, score):
    """The scores of a model, of its calls: in the same graph, so that features may stand beside them."""
    end = _end(model, calls)
    return _of_logits(end.logits, end.kind, score)


@kept
def _refuse_probabilities(model):
    """Refuse a model whose logits, as we take its output to be, look like probabilities: for inputs of
    any size they are in [0, 1], and not always the same."""
    inputs = _new_input(model)
    shape = [size or 64 for size in inputs.shape[1:]]
    given = np.random.default_rng(0).standard_normal((6, *shape), np.float32)
    sizes = np.float32([0.01, 0.1, 1, 10, 100, 1000]).reshape(-1, *(1,) * len(shape))
    output = keras.Model(inputs, _calls(model, inputs)[-1].output)
    found = np.asarray(output(given * sizes, training=False), np.float32)
    if found.min() >= 0 and found.max() <= 1 and np.ptp(found, axis=0).any():
        raise ValueError(
            f"What {model.name} gives looks like probabilities (from 0 to 1 for any input), but no "
            "softmax or sigmoid was found at its end: let it end in one, as a layer of Keras, or in logits"
        )


class _BeforeActivation(keras.layers.Layer):
    """What a dense layer gives before its activation; its kernel may itself be computed, so it is read at
    each call."""

    def __init__(self, dense):
        super().__init__(name=f"before_{dense.name}")
        self.dense = dense

    def call(self, x):
        logits = keras.ops.matmul(x, self.dense.kernel)
        return keras.ops.add(logits, self.dense.bias) if self.dense.use_bias else logits


def _of_logits(logits, kind, score):
    """The scores of that name, of logits that a softmax or a sigmoid makes probabilities of."""
    if score not in ("logit", "probability", "log_odds"):
        raise ValueError(f"score is {score!r}; it must be 'logit', 'probability' or 'log_odds'")
    logits = keras.ops.cast(logits, "float32")
    if kind == SIGMOID:
        return keras.ops.sigmoid(logits) if score == "probability" else logits
    if score == "log_odds":
        own = keras.ops.eye(logits.shape[-1])
        others = keras.ops.where(own > 0, -np.inf, keras.ops.expand_dims(logits, 1))
        return logits - keras.ops.logsumexp(others, axis=-1)
    return logits if score == "logit" else keras.ops.softmax(logits)

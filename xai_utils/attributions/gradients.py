"""Methods that follow the gradient of the score back to the input."""

import contextlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tf_explain.core.integrated_gradients import IntegratedGradients
from tf_explain.utils.image import transform_to_normalized_grayscale

from xai_utils.attributions.controls import generators
from xai_utils.graphs import graph, kept
from xai_utils.models import batches, of_target, passes_at_once, score_model, target_scores


@graph
def gradient(model, x, target, *, score="logit"):
    """How much the score changes with each point: ``max_c |∂S/∂x_c|`` (Simonyan 2014, sec. 3.1).

    One forward and one backward pass. Not signed: of the channels the steepest counts.
    """
    return tf.reduce_max(tf.abs(input_gradient(model, x, target, score=score)), axis=-1)


@graph
def gradient_x_input(model, x, target, *, score="logit"):
    """The gradient times the input, ``Σ_c x_c ∂S/∂x_c`` (Shrikumar 2017).

    The first-order share of each point in the score. One forward and one backward pass.
    """
    return tf.reduce_sum(x * input_gradient(model, x, target, score=score), axis=-1)


def smooth_grad(model, x, target, *, score="logit", noise=0.15, samples=16, seed=0):
    """The mean gradient over noisy copies of the input (Smilkov 2017).

    ``max_c |1/n Σ ∂S/∂x_c (x + N(0, σ²))|`` with σ the share ``noise`` of the range of the sample's
    values. ``samples`` forward and backward passes.
    """
    axes = tuple(range(1, x.ndim))
    sigma = noise * (x.max(axis=axes, keepdims=True) - x.min(axis=axes, keepdims=True))
    rngs = generators(x, seed)
    total = np.zeros_like(x)
    for part in batches(samples, max(1, passes_at_once(model, x.shape[1:]) // len(x))):
        copies = len(range(samples)[part])
        drawn = [rng.standard_normal((copies, *x.shape[1:]), np.float32) for rng in rngs]
        noisy = (x + sigma * np.stack(drawn, axis=1)).reshape(-1, *x.shape[1:])
        slopes = input_gradient(model, noisy, np.tile(target, copies), score=score)
        for one in slopes.reshape(copies, *x.shape):  # in the same order, however many go together
            total += one
    return np.abs(total / samples).max(axis=-1)


def integrated_gradients(
    model, x, target, *, score="logit", baseline=0.0, steps=10, tolerance=0.01, limit=100
):
    """The gradient averaged on the straight path from a baseline, times the way (Sundararajan 2017).

    ``(x - x') ∫₀¹ ∂F(x' + a(x - x'))/∂x da`` (eq. 1); channels summed. A map sums up to
    ``F(x) - F(x')`` but for the error of the integral. ``baseline`` is a number or of the shape of
    one sample.

    The integral is a mean over the middles of ``steps`` equal pieces of the path. Where a sample
    misses its sum by more than ``tolerance`` of the change of F (of at least half a unit), one piece
    after the other is cut in three, whose middle one is known already. So the sum is right by
    construction, or as right as ``limit`` allows; single points, whose errors cancel in the sum, are
    less so. From ``steps`` to ``limit`` forward and backward passes, and two forward ones where the limit
    leaves room for more than ``steps``. About twice ``steps`` maps are in memory for each sample of a
    batch.
    """
    baseline = np.broadcast_to(np.float32(baseline), x.shape)
    each, space = np.arange(len(x)), tuple(range(1, x.ndim - 1))

    def rates(samples, places):
        """Maps of how fast the score changes at places of these samples' paths."""
        found = []
        for part in batches(len(samples), passes_at_once(model, x.shape[1:])):
            own, at = samples[part], np.float32(places[part])
            found.append(_rates(model, x[own], target[own], baseline[own], at, score=score))
        return np.concatenate(found)

    middles = (np.arange(steps) + 0.5) / steps
    found = rates(np.repeat(each, steps), np.tile(middles, len(x))).reshape(
        len(x), steps, *x.shape[1:-1]
    )
    maps = found.mean(axis=1)
    if limit < steps + 2:
        return maps
    change = _change(model, x, target, baseline, score=score)
    allowed = tolerance * np.maximum(np.abs(change), 0.5)

    def refine(group):
        """Cut pieces of these samples' paths until the maps sum up, or ``limit`` is reached."""
        paths = {i: [_Piece(*piece, 1 / steps) for piece in zip(middles, found[i])] for i in group}
        for _ in range(steps + 2, limit + 1, 2):
            missed = group[np.abs(maps[group].sum(axis=space) - change[group]) > allowed[group]]
            if not len(missed):
                break
            rough = [_roughest(paths[index]) for index in missed]
            cut = [paths[index][k] for index, k in zip(missed, rough)]
            middle, third = np.transpose([(piece.middle, piece.width / 3) for piece in cut])
            sides = rates(np.tile(missed, 2), np.append(middle - third, middle + third))
            for index, k, piece, *ends in zip(missed, rough, cut, *np.split(sides, 2)):
                maps[index] += piece.width / 3 * (sum(ends) - 2 * piece.rate)
                paths[index][k : k + 1] = piece.thirds(*ends)

    # A few samples at a time, so that the pieces of their paths take no more than the first ones did.
    for part in batches(len(x), max(1, len(x) * steps // limit)):
        refine(each[part])
    return maps


@graph
def _change(model, x, target, baseline, *, score):
    """How much the score changes from the baseline to the sample."""
    return target_scores(model, x, target, score=score) - target_scores(
        model, baseline, target, score=score
    )


@graph
def _rates(model, x, target, baseline, places, *, score):
    """How fast the score changes at places in [0, 1] of the paths, for each point: its share."""
    way = x - baseline
    at = baseline + tf.reshape(places, (-1, *(1,) * (len(x.shape) - 1))) * way
    return tf.reduce_sum(way * input_gradient(model, at, target, score=score), axis=-1)


class _Piece(NamedTuple):
    """A piece of a path: where its middle lies, the map of rates there, and how wide it is."""

    middle: float
    rate: np.ndarray
    width: float

    def thirds(self, first, last):
        """Its three thirds, given the rates in the middles of the outer two."""
        third = self.width / 3
        rates = {self.middle - third: first, self.middle: self.rate, self.middle + third: last}
        return [_Piece(middle, rate, third) for middle, rate in rates.items()]


def _roughest(path):
    """The number of the piece whose slope differs most from its neighbours', for its width.

    An end has one neighbour, which counts twice; one alone has none.
    """
    if len(path) == 1:
        return 0
    slopes = [piece.rate.sum() for piece in path]
    changes = np.pad(np.abs(np.diff(slopes)), 1, mode="edge")
    return int(np.argmax([piece.width**2 for piece in path] * (changes[:-1] + changes[1:])))


@graph
def guided_backprop(model, x, target, *, score="logit"):
    """The gradient, with negative parts dropped at every ReLU on the way back (Springenberg 2015).

    Channels summed. A ReLU is one that is capped too, as a layer, an activation or an operation, of
    Keras or TensorFlow. Other activations pass the gradient as it is. A model without any ReLU is
    refused, and one with a ReLU in a layer of its own making. It shows edges rather than reasons: much of it does not depend on the target
    (Nie 2018). One forward and one backward pass.
    """
    explained = of_target(_guided_model(model, score)(x, training=False), target)
    return tf.reduce_sum(slope(explained, x), axis=-1)


def tf_explain_integrated_gradients(model, x, target, *, steps=10):
    """What ``IntegratedGradients`` of tf-explain 0.3.1 returns, as the deliverable used it.

    Not the method of that name: the mean gradient of the probability without the factor
    ``(x - x')``, the absolute values of the channels summed, standardized, times 255, and cast
    to 8 bits, which leaves the negative values to the processor. ``steps`` forward and backward passes
    for each sample. The library takes images: a signal is one that is a pixel wide.
    """
    return tf_explain_scaled(np.abs(tf_explain_mean_gradient(model, x, target, steps=steps)))


def tf_explain_mean_gradient(model, x, target, *, steps=10):
    """The first half of what tf-explain does: the mean gradient of the probability on the path.

    Shaped like ``x``, channels apart: the map before the absolute values and the 8 bits. The library
    makes the path. It also goes through the network again for each sample's first point, which is black:
    here it is once for each class.
    """
    at_black, maps = {}, np.empty(x.shape, np.float32)
    for index, label in enumerate(target.tolist()):
        one = slice(index, index + 1)
        path = np.float32(IntegratedGradients.generate_interpolations(x[one], steps))
        if label not in at_black:
            at_black[label] = _path_gradient(model, path[np.newaxis, :1], target[one])
        slopes = _path_gradient(model, path[np.newaxis, 1:], target[one])
        maps[index] = tf.reduce_mean(np.concatenate([at_black[label], slopes]), axis=0)
    return maps


@graph
def _path_gradient(model, path, target):
    """The gradient of the output of the model itself, at the points of one path ``(1, points, …)``.

    How many points there are is known to the graph, as it is to the library's: else TensorFlow joins
    other operations, and rounds otherwise.
    """
    points = tf.reshape(path, path.shape[1:])
    return slope(of_target(model(points, training=False), target), points)


def tf_explain_scaled(x):
    """The second half: channels summed, each map standardized, times 255, cast to 8 bits."""
    image = x.reshape(*x.shape[:2], -1, x.shape[-1])
    maps = [transform_to_normalized_grayscale(tf.constant(one[np.newaxis]))[0] for one in image]
    return np.stack(maps).reshape(x.shape[:-1])


@kept
def _guided_model(model, score):
    """The scores with another way back: through the layers with a ReLU, whose weights are shared."""
    found = []

    def guided(layer):
        if _is_relu(layer) or _is_relu(getattr(layer, "activation", None)):
            found.append(layer)
            return _Overridden(layer, GUIDED)
        return _Overridden(layer, UNKNOWN) if _is_unknown(layer) else layer

    def call(layer, *args, **options):
        # Operations are not cloned, and those that are not layers have no activation.
        is_relu = not isinstance(layer, keras.layers.Layer) and _is_relu(layer)
        return guided(layer)(*args) if is_relu else layer(*args, **options)

    how = {"clone_function": guided, "call_function": call}
    made = keras.models.clone_model(score_model(model, score), **how)
    if not found:
        raise ValueError("The model has no ReLU, without which guided backpropagation is the gradient")
    return made


class _Overridden(keras.layers.Layer):
    """A layer or operation with other gradients of the ReLUs in it."""

    def __init__(self, layer, gradients):
        super().__init__(name=f"overridden_{layer.name}", dtype=getattr(layer, "dtype_policy", None))
        self.layer, self.gradients = layer, gradients

    def call(self, *args, **options):
        with tf.compat.v1.get_default_graph().gradient_override_map(self.gradients):
            return self.layer(*args, **options)


RELUS = (keras.activations.relu, keras.activations.relu6, tf.nn.relu, tf.nn.relu6)
RELUS += (keras.ops.relu, keras.ops.relu6)


def _is_relu(thing):
    """Whether a layer, an operation or a function is a ReLU, capped or not, and not a leaky one."""
    if isinstance(thing, keras.Operation):  # a layer is one too
        is_bent = getattr(thing, "negative_slope", 0) or getattr(thing, "threshold", 0)
        return type(thing).__name__ in ("ReLU", "Relu", "Relu6") and not is_bent
    return thing in RELUS


def _is_unknown(layer):
    """Whether there may be a ReLU in a layer that does not say so: it is not of Keras, or a function in
    it is not."""
    functions = [getattr(layer, name, None) for name in ("activation", "function")]
    own = [type(layer), *(function for function in functions if function is not None)]
    return any(not (getattr(one, "__module__", None) or "").startswith("keras.") for one in own)


GUIDED = {"Relu": "xai_utils guided ReLU", "Relu6": "xai_utils guided ReLU6"}
UNKNOWN = dict.fromkeys(GUIDED, "xai_utils unknown ReLU")
with contextlib.suppress(KeyError):  # they are known already where the module is loaded again

    @tf.RegisterGradient(GUIDED["Relu"])
    def _guided_relu(relu, upstream):
        return tf.raw_ops.ReluGrad(gradients=tf.nn.relu(upstream), features=relu.outputs[0])

    @tf.RegisterGradient(GUIDED["Relu6"])
    def _guided_relu6(relu, upstream):
        return tf.raw_ops.Relu6Grad(gradients=tf.nn.relu(upstream), features=relu.outputs[0])

    @tf.RegisterGradient(UNKNOWN["Relu"])
    def _unknown_relu(relu, upstream):
        raise ValueError(
            f"There is a ReLU, {relu.name}, in a layer that does not say so, which guided backpropagation "
            "cannot reach: make it a layer or an activation of Keras"
        )


@graph
def input_gradient(model, x, target, *, score="logit"):
    """The gradient of each sample's target score, shaped like x."""
    return slope(target_scores(model, x, target, score=score), x)


def slope(explained, x):
    """The gradient of scores at what they were computed from, tensors."""
    found = tf.gradients(explained, x)[0]
    if found is None:
        raise ValueError("The score has no gradient here: on the way is a layer that cannot be derived")
    return found

"""What is built of a model, kept as long as the model lives and is what it was.

To build a graph takes longer than to explain a sample with it. So :func:`kept` and :func:`graph` keep
what they build with the model that it was built of, and build it anew when the model is another one:
when its layers, their activations or other settings, what is trainable or the variables that hold its
weights were replaced. The values of the weights are read at every call. An array that belongs to a layer
and is written into, not replaced, is not noticed.
"""

import functools
import operator
import weakref

import keras
import tensorflow as tf

_kept = weakref.WeakKeyDictionary()  # model: (its state, {what was built: the result})
CONTAINERS = (list, dict, set)
OF_EVERY_LAYER = set(vars(keras.layers.Layer()))  # the containers among them keep Keras' books
PLAIN = (bool, int, float, str, tuple, type(None))


def kept(build):
    """Mark a function of a model and of settings that builds something of that model.

    What it builds must not hold the model itself, or the model would never die.
    """

    @functools.wraps(build)
    def built(model, *settings, **more):
        now = _state(model)
        before, own = _kept.get(model, ((), {}))
        if not _same(before, now):
            _kept[model] = now, (own := {})
        key = build, settings, *sorted(more.items())
        if key not in own:
            with tf.init_scope():  # a graph may be at work that needs what is built
                own[key] = build(model, *settings, **more)
        return own[key]

    return built


def graph(function):
    """Mark a function ``(model, *tensors, **settings)`` of tensors: it is run as one graph.

    It is called with arrays and returns arrays; of another such function, with tensors. The first
    axis of each array may have another length at each call. The settings are Python's.
    """

    @functools.wraps(function)
    def run(model, *arrays, **settings):
        if tf.config.functions_run_eagerly():
            raise ValueError("Graphs are needed: call tf.config.run_functions_eagerly(False)")
        if any(map(tf.is_symbolic_tensor, arrays)):
            return function(model, *arrays, **settings)
        given = [tf.convert_to_tensor(array) for array in arrays]
        kinds = tuple((*one.shape[1:], one.dtype) for one in given)
        made = _traced(model, function, kinds, **settings)(*given)
        return tuple(map(_array, made)) if isinstance(made, (list, tuple)) else _array(made)

    return run


@kept
def _traced(model, function, kinds, **settings):
    """The graph for tensors of these kinds: the sizes of all axes but the first, and the type."""
    alive = weakref.ref(model)
    specs = [tf.TensorSpec((None, *size), dtype) for *size, dtype in kinds]
    traced = tf.function(
        lambda *tensors: function(alive(), *tensors, **settings), input_signature=specs, autograph=False
    )
    return traced.get_concrete_function()  # to choose it at each call takes as long as a small network


def _array(tensor):
    return tensor.numpy()


def _state(model):
    """What decides which graph a model is, in the order of its layers."""
    state = [model.trainable]
    for layer in model._flatten_layers(include_self=False):
        state += (layer, layer.trainable)
        if isinstance(layer, keras.Model):  # which only holds layers, and what trains them
            continue
        own = vars(layer)
        state += own.values()
        for name in own.keys() - OF_EVERY_LAYER:
            is_keeping_books = name.startswith("_self_")  # TensorFlow's
            if isinstance(own[name], CONTAINERS) and not is_keeping_books:
                state += _plain_items(own[name])
    return state


def _plain_items(container):
    """What a list or dict holds that is plain: the rest is of Keras, or is a layer and comes by itself."""
    items = container.items() if isinstance(container, dict) else ((item,) for item in container)
    return [item for item in items if all(isinstance(part, PLAIN) for part in item)]


def _same(before, now):
    """Whether two states are the same things, or plain values that are equal."""
    if len(before) != len(now):
        return False
    return all(map(operator.is_, before, now)) or all(
        isinstance(old, PLAIN) and type(old) is type(new) and old == new
        for old, new in zip(before, now)
        if old is not new
    )

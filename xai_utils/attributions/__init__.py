"""Explanation methods: for one prediction, how much each point of the input counts.

The contract, which no method repeats: a method is a function ``(model, x, target, **options)`` on
one batch. ``x`` is float32 ``(n, *space, channels)`` and ``target`` the explained class of each
sample, int ``(n,)``; it returns maps ``(n, *space)``, signed where the definition is signed, never
normalized. ``score`` says whether the logit or the probability of the class is explained, and
``layer`` which layer's feature maps are used, by default the last convolution's. Where the
definition is signed, the channels of the input are summed.

To add a method, write one such function and one line in :data:`METHODS`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xai_utils.attributions.cam import grad_cam
from xai_utils.attributions.controls import random
from xai_utils.attributions.gradients import integrated_gradients, tf_explain_integrated_gradients
from xai_utils.models import predict


@dataclass(frozen=True)
class Method:
    """An entry of the table: the function, its name in print, its key in ``refs.bib``."""

    function: Callable
    title: str
    citation: str
    family: str
    stochastic: bool = False


METHODS = {
    "grad_cam": Method(grad_cam, "Grad-CAM", "selvaraju2017gradcam", "class activation"),
    "integrated_gradients": Method(
        integrated_gradients, "Integrated Gradients", "sundararajan2017axiomatic", "gradients"
    ),
    "tf_explain_integrated_gradients": Method(
        tf_explain_integrated_gradients,
        "Integrated Gradients (tf-explain)",
        "tfexplain",
        "gradients",
    ),
    "random": Method(random, "Random", "", "control", stochastic=True),
}


def explain(model, x, target=None, method="grad_cam", *, batch_size=32, seed=0, **options):
    """Explanation maps of ``method``, float32 ``(n, *space)``, for any Keras classifier.

    ``target`` is the class to explain, an int array ``(n,)``, by default the predicted one. At
    most ``batch_size`` samples are in memory at once, and a sample's map does not depend on the
    others in its batch. The same ``seed`` gives the same maps. ``options`` are the method's own.

    Raises ValueError for an unknown method or option and for input of the wrong shape or with
    NaN or infinite values.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}; there are {', '.join(METHODS)}")
    function = METHODS[method].function
    known = list(inspect.signature(function).parameters)[3:]
    if unknown := set(options) - set(known) | set(options) & {"seed"}:
        raise ValueError(f"{method} has no option {', '.join(sorted(unknown))}; it has {known}")
    x = _checked_input(model, x)
    if target is None:
        target = predict(model, x, batch_size).argmax(axis=-1)
    target = _checked_target(model, target, len(x))
    if METHODS[method].stochastic:
        options["seed"] = seed
    maps = [
        function(model, x[start : start + batch_size], target[start : start + batch_size], **options)
        for start in range(0, len(x), batch_size)
    ]
    return np.concatenate(maps).astype(np.float32)


def _checked_input(model, x):
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"{model.name} has no known input: it must be a Functional or Sequential model that "
            "was built, with an Input at its start"
        )
    x = np.asarray(x, dtype=np.float32)
    expected = model.inputs[0].shape
    fits = x.ndim == len(expected) and all(
        size in (None, given) for size, given in zip(expected[1:], x.shape[1:])
    )
    if not fits or len(x) == 0:
        raise ValueError(f"x has the shape {x.shape}; {model.name} takes {tuple(expected)}")
    if not np.isfinite(x).all():
        raise ValueError("x has NaN or infinite values; an explanation of them means nothing")
    return x


def _checked_target(model, target, count):
    target, classes = np.asarray(target), model.outputs[0].shape[-1]
    if target.shape != (count,) or not np.issubdtype(target.dtype, np.integer):
        raise ValueError(f"target must be {count} integers, one a sample, not {target!r}")
    if target.min() < 0 or target.max() >= classes:
        raise ValueError(f"target has classes outside 0 to {classes - 1}")
    return target

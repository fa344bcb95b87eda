"""Explanation methods: for one prediction, how much each point of the input counts.

The contract, which no method repeats: a method is a function ``(model, x, target, **options)`` on
one batch. ``x`` is float32 ``(n, *space, channels)`` and ``target`` the explained class of each
sample, int ``(n,)``; it returns maps ``(n, *space)``, signed where the definition is signed, never
normalized. ``score`` says whether the logit or the probability of the class is explained, by
default the logit, and the probability where the paper's method is built on it; ``layer`` which
layer's feature maps are used, by default the last map that everything passes through. Where the definition is signed,
the channels of the input are summed.

To add a method, write one such function and one line in :data:`METHODS`.
"""

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from xai_utils import show_progress
from xai_utils.attributions import cam, controls, gradients, masks, surrogates
from xai_utils.models import batches, predict


@dataclass(frozen=True)
class Method:
    """An entry of the table: the function, its name in print, its key in ``refs.bib``, its family,
    what it costs a sample, what it asks of the model, whether it draws at random, whether it is so costly
    that the notebooks explain only some samples with it, and whether it is made of what the model says of
    masked inputs, which is what metrics of faithfulness ask."""

    function: Callable
    title: str
    citation: str
    family: str
    passes: str
    needs: str
    stochastic: bool = False
    costly: bool = False
    masking: bool = False


GRADIENTS, ACTIVATION, MASKS, SURROGATES = "gradients", "class activation", "masks", "surrogates"
LIBRARY, CONTROLS = "library", "controls"
ANY, SMOOTH, CONVOLUTION = "scores", "gradients", "a map that everything passes"

# fmt: off
METHODS = {
    "gradient": Method(gradients.gradient, "Gradient", "simonyan2014saliency", GRADIENTS, "1 + 1 back", SMOOTH),
    "gradient_x_input": Method(gradients.gradient_x_input, "Gradient × Input", "shrikumar2017deeplift", GRADIENTS, "1 + 1 back", SMOOTH),
    "smooth_grad": Method(gradients.smooth_grad, "SmoothGrad", "smilkov2017smoothgrad", GRADIENTS, "16 + 16 back", SMOOTH, stochastic=True),
    "integrated_gradients": Method(gradients.integrated_gradients, "Integrated Gradients", "sundararajan2017axiomatic", GRADIENTS, "12 + 10 back, more where needed", SMOOTH),
    "guided_backprop": Method(gradients.guided_backprop, "Guided Backpropagation", "springenberg2015striving", GRADIENTS, "1 + 1 back", "ReLU"),
    "cam": Method(cam.cam, "CAM", "zhou2016cam", ACTIVATION, "1", "global average pooling, one dense layer"),
    "grad_cam": Method(cam.grad_cam, "Grad-CAM", "selvaraju2017gradcam", ACTIVATION, "1 + 1 back", CONVOLUTION),
    "grad_cam_pp": Method(cam.grad_cam_pp, "Grad-CAM++", "chattopadhay2018gradcampp", ACTIVATION, "1 + 1 back", CONVOLUTION),
    "xgrad_cam": Method(cam.xgrad_cam, "XGrad-CAM", "fu2020xgradcam", ACTIVATION, "1 + 1 back", CONVOLUTION),
    "score_cam": Method(cam.score_cam, "Score-CAM", "wang2020scorecam", ACTIVATION, "2 + one a channel", CONVOLUTION, costly=True, masking=True),
    "ablation_cam": Method(cam.ablation_cam, "Ablation-CAM", "desai2020ablationcam", ACTIVATION, "1, or 1 + one of the head a channel", CONVOLUTION),
    "integrated_grad_cam": Method(cam.integrated_grad_cam, "Integrated Grad-CAM", "sattarzadeh2021integrated", ACTIVATION, "21 + 21 back", CONVOLUTION),
    "guided_grad_cam": Method(cam.guided_grad_cam, "Guided Grad-CAM", "selvaraju2017gradcam", ACTIVATION, "2 + 2 back", "a map that everything passes, ReLU"),
    "rise": Method(masks.rise, "RISE", "petsiuk2018rise", MASKS, "1000", ANY, stochastic=True, costly=True, masking=True),
    "sise": Method(masks.sise, "SISE", "sattarzadeh2021sise", MASKS, "up to one a channel, 1 + 1 back a block", CONVOLUTION, costly=True, masking=True),
    "lime": Method(surrogates.lime, "LIME", "ribeiro2016lime", SURROGATES, "400", ANY, stochastic=True, costly=True, masking=True),
    "shap": Method(surrogates.shap, "SHAP", "lundberg2017shap", SURROGATES, "about 400", ANY, stochastic=True, costly=True, masking=True),
    "tf_explain_integrated_gradients": Method(gradients.tf_explain_integrated_gradients, "Integrated Gradients (tf-explain)", "tfexplain", LIBRARY, "9 + 9 back, 1 + 1 back a class", SMOOTH, costly=True),
    "random": Method(controls.random, "Random", "", CONTROLS, "0", "nothing", stochastic=True),
    "random_smooth": Method(controls.random_smooth, "Random, smooth", "", CONTROLS, "0", "nothing", stochastic=True),
    "center": Method(controls.center, "Center", "", CONTROLS, "0", "nothing"),
    "edge": Method(controls.edge, "Edges", "", CONTROLS, "0", "nothing"),
    "constant": Method(controls.constant, "Constant", "", CONTROLS, "0", "nothing"),
}
# fmt: on

TITLES = {name: method.title for name, method in METHODS.items()}
MARKED = {
    name: f"{method.title}*" if method.masking else method.title for name, method in METHODS.items()
}
CONTROL_NAMES = [name for name, method in METHODS.items() if method.family == CONTROLS]
COUNTS = ("steps", "samples", "masks", "cells", "parts")


def explain(model, x, target=None, method="grad_cam", *, batch_size=32, seed=0, **options):
    """Explanation maps of ``method``, float32 ``(n, *space)``, for any Keras classifier.

    ``target`` is the class to explain, an int array ``(n,)``, by default the predicted one. Of a model
    with one output, which is the logit or the probability of the second of two classes, that output is
    explained: what is negative in a signed map speaks for the first. At
    most ``batch_size`` samples are explained at once; their masked or noisy copies go through the
    network in batches of their own. A sample's map does not depend on the others in its batch. The
    same ``seed`` gives the same maps. ``options`` are the method's own.

    Raises ValueError for an unknown method or option, a count below 1, input of the wrong shape or
    with NaN or infinite values, and a model that cannot be explained: with several inputs, with the
    channels first, or whose maps vanish in 16 bits.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS) or METHODS
        raise ValueError(f"There is no method {method!r}; there are {', '.join(near)}")
    entry = METHODS[method]
    known = _options(entry.function)
    own = [name for name in known if name != "seed"]
    if unknown := sorted(set(options) - set(own)):
        raise ValueError(f"{method} has no option {', '.join(unknown)}; it has {own}")
    counts = {name: options[name] for name in COUNTS if name in options} | {"batch_size": batch_size}
    if wrong := [name for name, count in counts.items() if count < 1]:
        raise ValueError(f"{', '.join(wrong)} must be at least 1")
    x = _checked_input(model, x)
    if target is None:
        target = predict(model, x, batch_size).argmax(axis=-1)
    target = _checked_target(model, target, len(x))
    if "seed" in known:
        options["seed"] = seed
    function = functools.partial(entry.function, model, **options)
    parts = tqdm(
        batches(len(x), batch_size),
        desc=method,
        delay=3,
        leave=False,
        disable=len(x) <= batch_size or not show_progress(),
    )
    maps = [function(x[part], target[part]) for part in parts]
    maps = np.concatenate(maps).astype(np.float32)
    if entry.family != CONTROLS:
        _refuse_underflow(model, maps, method)
    return maps


def explain_by_all(model, x, target=None, options=None, **more):
    """Maps by every method that the model allows, and why it does not allow the others.

    ``options`` are those of the methods, ``{method: {…}}``, ``more`` what :func:`explain` takes for all.
    Returns ``{method: maps}`` and ``{method: what it said}``, both in the order of :data:`METHODS`.
    Raises ValueError where not even a control can be asked: the input or the model is to blame.
    """
    explain(model, x, target, CONTROL_NAMES[0], **more)
    maps, refused = {}, {}
    for method in METHODS:
        try:
            maps[method] = explain(model, x, target, method, **(options or {}).get(method, {}), **more)
        except ValueError as reason:
            refused[method] = str(reason)
    return maps, refused


@functools.cache
def _options(function):
    """The names of what a method takes beside model, input and target."""
    return list(inspect.signature(function).parameters)[3:]


def _checked_input(model, x):
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"{model.name} has no known input: it must be a Functional or Sequential model that "
            "was built, with an Input at its start"
        )
    if len(model.inputs) != 1:
        raise ValueError(f"{model.name} has {len(model.inputs)} inputs; it must have one input")
    if np.iscomplexobj(x):
        raise ValueError("x has complex values; a network takes real ones")
    x = np.asarray(x, dtype=np.float32)
    expected = model.inputs[0].shape
    fits = x.ndim == len(expected) and all(
        size in (None, given) for size, given in zip(expected[1:], x.shape[1:])
    )
    if not fits or len(x) == 0:
        raise ValueError(f"x has the shape {x.shape}; {model.name} takes {tuple(expected)}")
    if x.ndim not in (3, 4):
        raise ValueError(
            f"x has the shape {x.shape}; maps are made of signals (n, length, channels) and of images "
            "(n, height, width, channels)"
        )
    for layer in model._flatten_layers():
        if getattr(layer, "data_format", "") == "channels_first":
            raise ValueError(
                f"{layer.name} of {model.name} takes the channels first; build the model with "
                'data_format="channels_last"'
            )
    if not np.isfinite(x).all():
        raise ValueError("x has NaN or infinite values; an explanation of them means nothing")
    return x


def _refuse_underflow(model, maps, method):
    """Refuse maps of which nothing is left where the model computes in float16."""
    half = [layer.name for layer in model._flatten_layers() if layer.compute_dtype == "float16"]
    lost = half and ~(np.isfinite(maps) & (maps != 0)).reshape(len(maps), -1).any(axis=1)
    if np.any(lost):
        raise ValueError(
            f"{model.name} computes in float16 ({half[0]}), in which {method} of {lost.sum()} of "
            f"{len(maps)} samples vanishes or overflows: build it in float32 and load its weights"
        )


def _checked_target(model, target, count):
    target, classes = np.asarray(target), model.outputs[0].shape[-1]
    if target.shape != (count,) or not np.issubdtype(target.dtype, np.integer):
        raise ValueError(
            f"target must be {count} integers, one a sample, not {target.dtype} {target.shape}"
        )
    if target.min() < 0 or target.max() >= classes:
        raise ValueError(f"target has classes outside 0 to {classes - 1}")
    return target.astype(np.int64)

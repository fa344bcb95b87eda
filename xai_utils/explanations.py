"""The maps that several notebooks look at: computed by whichever comes first, then read."""

import numpy as np

from xai_utils.attributions import METHODS, explain
from xai_utils.cache import remembered
from xai_utils.metrics.faithfulness import is_defined, multiplied


def firsts(y, count):
    """The places of the first ``count`` samples of each class, of all where there are fewer."""
    return np.sort(np.concatenate([np.flatnonzero(y == label)[:count] for label in np.unique(y)]))


def by_cost(methods):
    """The methods that are cheap, and those that are costly."""
    costly = [name for name in methods if METHODS[name].costly]
    return [name for name in methods if name not in costly], costly


def maps_of(model, x, target, methods, options, batch_size=32):
    """``{method: maps (n, *space)}``; ``options`` are those of the methods, ``{method: {…}}``."""
    return {
        name: remembered(
            explain, model, x=x, target=target, method=name, batch_size=batch_size,
            **options.get(name, {}),
        )
        for name in methods
    }  # fmt: skip


def maps_of_some(model, x, target, some, methods, options, batch_size=32):
    """``{method: maps}`` of the samples at ``some``.

    The costly methods explain only these, the others all of ``x`` all the same, since other notebooks
    ask for that.
    """
    cheap, costly = by_cost(methods)
    maps = maps_of(model, x, target, cheap, options, batch_size)
    few = maps_of(model, x[some], target[some], costly, options, batch_size)
    return {name: maps[name][some] if name in maps else few[name] for name in methods}


def maps_of_multiplied(model, x, target, maps, options, batch_size=32):
    """``{method: maps}`` of the input times its own map by the same method: what coherency needs.

    An input whose map is not finite has none: its second map is NaN.
    """
    again = {}
    for name, own in maps.items():
        known = is_defined(own)
        inputs = multiplied(x[known], own[known])
        again[name] = np.full(own.shape, np.nan)
        again[name][known] = maps_of(model, inputs, target[known], [name], options, batch_size)[name]
    return again

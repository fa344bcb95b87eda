"""Maps of the study: computed by whichever job or notebook comes first, then read."""

import numpy as np

from xai_utils.attributions import METHODS, explain
from xai_utils.data import Samples
from xai_utils.metrics.faithfulness import is_defined, multiplied
from xai_utils.models import fingerprint, predict
from xai_utils.run.store import MAPS, digest, fill, shelf

# What a map does not depend on: the table of all methods, and how progress is shown.
NOT_FOLLOWED = ("METHODS", "show_progress")


def firsts(y, count):
    """The places of the first ``count`` samples of each class, of all where there are fewer."""
    return np.sort(np.concatenate([np.flatnonzero(y == label)[:count] for label in np.unique(y)]))


def by_cost(methods):
    """The methods that are cheap, and those that are costly."""
    costly = [name for name in methods if METHODS[name].costly]
    return [name for name in methods if name not in costly], costly


class StoredMaps:
    """The maps of some samples in the store, read when they are asked for: ``stored[places]``."""

    def __init__(self, place, keys):
        self.place, self.keys = place, keys

    def __getitem__(self, places):
        return self.place.read(self.keys[places])


class Derived:
    """Maps that are made of something else when they are asked for: ``make(places)``."""

    def __init__(self, make):
        self.make = make

    def __getitem__(self, places):
        return self.make(places)


def compute_maps(model, samples, target, method, options, batch_size=32):
    """Compute those maps that the store lacks, a batch at a time; returns all and how many those were.

    The maps are :class:`StoredMaps`: nothing is in memory but the batch at work.
    """
    given = options.get(method, {})

    def compute(places):
        x, label = samples.x[places], target[places]
        return explain(model, x, label, method, batch_size=batch_size, **given)

    code = {METHODS[method].function: (), explain: NOT_FOLLOWED}
    return _computed(model, samples, target, method, code, compute, given, batch_size)


def compute_by(model, samples, target, function, batch_size=32, **options):
    """The same for a function of a model, inputs and targets that is no method of its own."""

    def compute(places):
        return function(model, samples.x[places], target[places], **options)

    name, code = function.__name__, {function: ()}
    return _computed(model, samples, target, name, code, compute, options, batch_size)


def _computed(model, samples, target, name, code, compute, options, batch_size):
    place = shelf(MAPS, name, code, options=options, network=fingerprint(model))
    keys = keys_of(samples, target)
    return StoredMaps(place, keys), fill(place, keys, compute, batch_size)


def predictions(model, samples, batch_size=32):
    """What a network answers to samples, ``(n, classes)``, asked once wherever they stand."""
    place = shelf(MAPS, "prediction", {predict: ()}, network=fingerprint(model))

    def compute(places):
        return predict(model, samples.x[places], batch_size)

    fill(place, samples.keys, compute, batch_size)
    return in_memory(StoredMaps(place, samples.keys), len(samples), batch_size)


def keys_of(samples, target):
    """What the maps of samples are known by: the sample and the class explained, texts ``(n,)``."""
    return np.array([digest(key, int(label)) for key, label in zip(samples.keys.tolist(), target)])


def maps_of(model, samples, target, methods, options, batch_size=32):
    """``{method: maps (n, *space)}``; ``options`` are those of the methods, ``{method: {…}}``."""
    given = options, batch_size
    every = {name: compute_maps(model, samples, target, name, *given)[0] for name in methods}
    return {name: in_memory(stored, len(samples), batch_size) for name, stored in every.items()}


def in_memory(stored, count, batch_size=32):
    """All maps of :class:`StoredMaps` as one array, read in the batches in which they were written."""
    parts = [stored[start : start + batch_size] for start in range(0, count, batch_size)]
    return np.concatenate(parts)


def maps_of_multiplied(model, samples, target, maps, options, batch_size=32):
    """``{method: maps}`` of the input times its own map by the same method: what coherency needs.

    An input whose map is not finite has none: its second map is NaN.
    """
    again = {}
    for name, own in maps.items():
        known = is_defined(own)
        inputs = Samples(multiplied(samples.x[known], own[known]), target[known], samples.names[known])
        again[name] = np.full(own.shape, np.nan, np.float32)
        if known.any():
            found = maps_of(model, inputs, target[known], [name], options, batch_size)
            again[name][known] = found[name]
    return again

"""Scores of the study: every value of every metric kept under all that it depends on.

A score is known by its metric and setting, the network, the sample, the class and the map itself, so
it does not matter which notebook or job asks first, or where the map came from.
"""

import numpy as np
import pandas as pd

from xai_utils import metrics
from xai_utils.metrics import CURVES, METRICS, NEEDS_AGAIN
from xai_utils.metrics.faithfulness import PLACES, Answers
from xai_utils.models import batches, fingerprint, score_model
from xai_utils.run.sources import code_of
from xai_utils.run.store import SCORES, digest, digests, shelf
from xai_utils.study.maps import keys_of


def curve_settings():
    """The points of the curves of insertion and deletion, in the form of ``metrics.settings``."""
    return [
        (name, {"fraction": place, **METRICS[f"{name}_area"].fixed})
        for name in CURVES
        for place in PLACES
    ]


def faithfulness_scores(model, samples, target, maps, *, asked, fills, again=None, batch_size=32):
    """Metrics of faithfulness for every sample, in the form of ``metrics.evaluate``.

    ``asked`` is what ``metrics.settings`` gives, or :func:`curve_settings`; ``maps`` and ``again`` are
    ``{method: maps}``, arrays or :class:`StoredMaps`. What the store lacks is computed in batches,
    each kept before the next.
    """
    network, scores = fingerprint(model), score_model(model, "probability")
    shelves = {
        name: shelf(SCORES, name, _code(name), network=network)
        for name in dict.fromkeys(name for name, _ in asked)
    }
    for place in shelves.values():
        place.begin()
    known = keys_of(samples, target)
    found = {method: [] for method in maps}
    for part in batches(len(samples), batch_size):
        shared = {"fills": fills, "without_maps": {}}
        for method, stored in maps.items():
            own, second = stored[part], again[method][part] if again else None
            keys = _keys(known[part], own, second, asked, fills)
            given = samples.x[part], target[part], own, second
            _compute_lacking(shelves, asked, keys, scores, given, shared)
            found[method].append(_read(shelves, asked, keys))
    return _table(found, asked, samples.names)


def compared_scores(maps, other, names, *, family, batch_size=32, **setting):
    """Metrics of localization or sameness for every sample, in the form of ``metrics.compare``."""
    asked = [(name, setting) for name in metrics.of_family(family)]
    shelves = {name: shelf(SCORES, name, {METRICS[name].function: ()}) for name, _ in asked}
    for place in shelves.values():
        place.begin()
    found = {method: [] for method in maps}
    for part in batches(len(names), batch_size):
        for method, stored in maps.items():
            own = stored[part]
            against = (other[method] if isinstance(other, dict) else other)[part]
            pairs = zip(digests(own).tolist(), digests(against).tolist())
            keys = np.array([digest(*pair) for pair in pairs])
            for name, place in shelves.items():
                if len(lacking := place.missing(keys)):
                    values = METRICS[name].function(own[lacking], against[lacking])
                    place.put(keys[lacking], np.asarray(values, float))
            found[method].append([place.read(keys) for place in shelves.values()])
    return _table(found, asked, names)


def curves(table):
    """Mean confidence by share of the points put in or taken away, of the scores of
    :func:`curve_settings`: curve, method, fraction, confidence."""
    rows = table.rename(columns={"metric": "curve", "value": "confidence"})
    grouped = rows.groupby(["method", "curve", "fraction"], sort=False)
    return grouped.confidence.agg(lambda values: values.mean(skipna=False)).reset_index()


def _code(name):
    """What a score of faithfulness depends on: its metric, and how the model is asked."""
    return {_function(name): (), Answers: (), score_model: ()}


def _function(name):
    return CURVES[name] if name in CURVES else METRICS[name].function


def _keys(known, own, second, asked, fills):
    """``{(name, place in asked): keys}`` of a batch: texts ``(n,)``."""
    seconds = [""] * len(known) if second is None else digests(second).tolist()
    pairs = zip(known.tolist(), digests(own).tolist(), seconds)
    alone, both = {}, {}
    for place, (key, first, after) in enumerate(pairs):
        alone[place], both[place] = digest(key, first), digest(key, first, after)
    keys = {}
    for place, (name, setting) in enumerate(asked):
        base = both if name in NEEDS_AGAIN else alone
        how = digest(setting, _described(fills[setting["fill"]]) if "fill" in setting else "")
        keys[name, place] = np.array([f"{one}-{how}" for one in base.values()])
    return keys


def _described(fill):
    return code_of(fill) if callable(fill) else digest(np.float32(fill))


def _compute_lacking(shelves, asked, keys, scores, given, shared):
    """Compute what the shelves lack of a batch, asking the model once for all of it."""
    own_keys = {name: [] for name in shelves}
    for name, place in keys:
        own_keys[name].append(keys[name, place])
    lacking = {}
    for name, several in own_keys.items():
        missing = np.zeros(np.shape(several), bool)
        missing.flat[shelves[name].missing(np.concatenate(several))] = True
        lacking[name] = missing
    rows = np.flatnonzero(np.any([missing.any(axis=0) for missing in lacking.values()], axis=0))
    if not len(rows):
        return
    x, target, own, second = given
    second = second if second is None else second[rows]
    if len(rows) < len(x):
        shared = shared | {"without_maps": {}}  # those are of the whole batch
    answers = Answers(scores, x[rows], target[rows], own[rows], again=second, **shared)
    for name, missing in lacking.items():
        if not missing.any():
            continue
        settings = [setting for other, setting in asked if other == name]
        chosen = np.flatnonzero(missing.any(axis=1))
        values = [_function(name)(answers, **settings[index]) for index in chosen]
        kept = np.concatenate([own_keys[name][index][rows] for index in chosen])
        shelves[name].put(kept, np.concatenate(values).astype(float))


def _read(shelves, asked, keys):
    """The values of a batch, in the order of what was asked: a list of arrays ``(n,)``."""
    found = {}
    for name, place in shelves.items():
        several = [keys[pair] for pair in keys if pair[0] == name]
        found[name] = iter(np.split(place.read(np.concatenate(several)), len(several)))
    return [next(found[name]) for name, _ in asked]


def _table(found, asked, names):
    """All rows at once: a frame for each setting and method would take longer than the scores."""
    values = [np.concatenate(parts) for batches_of in found.values() for parts in zip(*batches_of)]
    about = pd.DataFrame(
        [
            {"method": method, "metric": name, "fraction": np.nan, "fill": "", "rule": "", **setting}
            for method in found
            for name, setting in asked
        ]
    )
    rows = about.loc[np.repeat(about.index, len(names))].reset_index(drop=True)
    return rows.assign(item=np.tile(names, len(about)), value=np.concatenate(values))

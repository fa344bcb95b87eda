"""Metrics of explanations: one value a sample, with the direction in which it is better.

What the function of a metric takes depends on its family: *faithfulness* ``(answers, **setting)``,
see :class:`faithfulness.Answers`; *localization* ``(maps, truth)``; *sameness* ``(maps, others)``,
the maps of the same samples after something was changed. All return ``(n,)``, NaN where a map is
not finite. To add a metric, write one such function and one line in :data:`METRICS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd

from xai_utils.metrics import faithfulness, localization, sanity
from xai_utils.metrics.faithfulness import Answers
from xai_utils.models import batches, score_model


@dataclass(frozen=True)
class Metric:
    """An entry of the table: the function, its name in print, its key in ``refs.bib``, its family,
    its direction, and its setting: which of fraction, fill and rule vary, and which are fixed."""

    function: Callable
    title: str
    citation: str
    family: str
    higher_is_better: bool
    varies: tuple = ()
    fixed: dict = field(default_factory=dict)


FAITHFULNESS, LOCALIZATION, SAMENESS = "faithfulness", "localization", "sameness"
GRID = ("fraction", "fill", "rule")

# fmt: off
METRICS = {
    "drop_rate": Metric(faithfulness.drop_rate, "Drop rate", "sattarzadeh2021integrated", FAITHFULNESS, False, GRID),
    "increase_rate": Metric(faithfulness.increase_rate, "Increase rate", "sattarzadeh2021integrated", FAITHFULNESS, True, GRID),
    "multiplied_drop_rate": Metric(faithfulness.multiplied_drop_rate, "Drop rate, multiplied", "chattopadhay2018gradcampp", FAITHFULNESS, False),
    "multiplied_increase_rate": Metric(faithfulness.multiplied_increase_rate, "Increase rate, multiplied", "chattopadhay2018gradcampp", FAITHFULNESS, True),
    "removal_loss": Metric(faithfulness.removal_loss, "Loss without the top 25 %", "samek2017evaluating", FAITHFULNESS, True, ("fill",), {"fraction": 0.25}),
    "insertion_area": Metric(faithfulness.insertion_area, "Insertion area", "petsiuk2018rise", FAITHFULNESS, True, fixed={"fill": "blur"}),
    "deletion_area": Metric(faithfulness.deletion_area, "Deletion area", "petsiuk2018rise", FAITHFULNESS, False, fixed={"fill": "mean"}),
    "coherency": Metric(faithfulness.coherency, "Coherency", "poppi2021adcc", FAITHFULNESS, True),
    "complexity": Metric(faithfulness.complexity, "Complexity", "poppi2021adcc", FAITHFULNESS, False),
    "adcc": Metric(faithfulness.adcc, "ADCC", "poppi2021adcc", FAITHFULNESS, True),
    "energy": Metric(localization.energy, "Energy-based pointing game", "wang2020scorecam", LOCALIZATION, True),
    "bounding_box": Metric(localization.bounding_box, "Bbox", "schulz2020iba", LOCALIZATION, True),
    "pointing": Metric(localization.pointing, "Pointing game", "zhang2018excitation", LOCALIZATION, True),
    "rank_correlation": Metric(sanity.rank_correlation, "Rank correlation", "adebayo2018sanity", SAMENESS, True),
    "ssim": Metric(sanity.structural_similarity, "SSIM", "adebayo2018sanity", SAMENESS, True),
    "change": Metric(sanity.change, "Relative change", "yeh2019infidelity", SAMENESS, False),
}
# fmt: on

# Controls that have the best value of a metric whatever the network: a map that is nowhere above its lowest
# point is the smallest, one that asks nothing of its input is the same for the input times the map.
BY_CONSTRUCTION = {"complexity": ("constant",), "coherency": ("center",)}
NEEDS_AGAIN = ("coherency", "adcc")
# What the areas are the areas under: the confidence at each share of the points, a row each.
CURVES = {"insertion": faithfulness.inserted, "deletion": faithfulness.deleted}
HIGHER_IS_BETTER = {name: metric.higher_is_better for name, metric in METRICS.items()}


def of_family(family):
    """The names of the metrics of a family, in the order of the table."""
    return [name for name, metric in METRICS.items() if metric.family == family]


def settings(names, *, fills=(), fractions=(), rules=()):
    """Each metric with each of its settings: ``[(name, {fraction, fill, rule}), …]``."""
    grid = {"fraction": fractions, "fill": fills, "rule": rules}
    return [
        (name, METRICS[name].fixed | dict(zip(METRICS[name].varies, varied)))
        for name in names
        for varied in product(*(grid[what] for what in METRICS[name].varies))
    ]


def evaluate(
    model, samples, target, maps, *, metrics, fills, fractions=(), rules=(), again=None,
    batch_size=32,
):  # fmt: skip
    """Metrics of faithfulness for every sample: a tidy table with one row a value.

    ``samples`` hold model inputs ``x``; ``maps`` is ``{method: (n, *space)}``, ``again`` the same
    for the input times its map (only :data:`NEEDS_AGAIN` need it), and ``fills`` is ``{name: what
    takes the place of removed points}``, see :class:`faithfulness.Answers`. At most ``batch_size``
    samples are in memory at once. Columns: method, metric, fraction, fill, rule, item (the name of
    the sample), value; a fraction, fill or rule that a metric does not have is NaN or "". Raises ValueError
    for maps of another shape than that of the samples.
    """
    for method, own in maps.items():
        if own.shape != samples.x.shape[:-1]:
            raise ValueError(
                f"the maps of {method} have the shape {own.shape}, and the samples {samples.x.shape[:-1]}"
            )
    model = score_model(model, "probability")
    asked = settings(metrics, fills=fills, fractions=fractions, rules=rules)
    found = {method: [] for method in maps}
    for part in batches(len(samples), batch_size):
        given = {"fills": fills, "without_maps": {}}
        for method, own in maps.items():
            second = again[method][part] if again else None
            one = Answers(model, samples.x[part], target[part], own[part], again=second, **given)
            found[method].append([METRICS[name].function(one, **setting) for name, setting in asked])
    tables = [
        rows(method, name, samples.names, np.concatenate(values), **setting)
        for method, parts in found.items()
        for (name, setting), values in zip(asked, zip(*parts))
    ]
    return pd.concat(tables, ignore_index=True)


def compare(maps, other, names, *, family, **setting):
    """Metrics of localization or sameness for every sample, in the form of :func:`evaluate`.

    ``maps`` is ``{method: (n, *space)}``; ``other`` is what they are compared with: the truth, or
    ``{method: (n, *space)}``. ``setting`` is what the rows say of it.
    """
    tables = []
    for method, own in maps.items():
        against = other[method] if isinstance(other, dict) else other
        for name in of_family(family):
            values = METRICS[name].function(own, against)
            tables.append(rows(method, name, names, values, **setting))
    return pd.concat(tables, ignore_index=True)


def rows(method, metric, items, values, fraction=np.nan, fill="", rule=""):
    """Rows of the table of scores, one a value, in the columns of :func:`evaluate`."""
    setting = {"method": method, "metric": metric, "fraction": fraction, "fill": fill, "rule": rule}
    return pd.DataFrame({**setting, "item": items, "value": values})

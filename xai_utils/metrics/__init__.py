"""Metrics of explanations: one value a sample, with the direction in which it is better."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pandas as pd

from xai_utils.metrics.faithfulness import drop, increase, masked_confidence
from xai_utils.models import predict, score_model


@dataclass(frozen=True)
class Metric:
    """An entry of the table: the function of (confidence, masked confidence), and its direction."""

    function: Callable
    title: str
    higher_is_better: bool


METRICS = {
    "drop_rate": Metric(drop, "Drop rate", higher_is_better=False),
    "increase_rate": Metric(increase, "Increase rate", higher_is_better=True),
}


def evaluate(model, samples, target, maps, *, fractions, fills, rules, batch_size=32):
    """Every metric for every sample: a tidy table with one row a value.

    ``samples`` hold model inputs ``x``; ``maps`` is ``{method: (n, *space)}`` and ``fills`` is
    ``{name: what takes the place of the removed points}``. Columns: method, metric, fraction,
    fill, rule, item (the name of the sample), value.
    """
    model = score_model(model, "probability")
    probabilities = predict(model, samples.x, batch_size)
    confidence = probabilities[range(len(samples)), target].astype(float)
    tables = []
    for method, fraction, fill, rule in product(maps, fractions, fills, rules):
        masked = masked_confidence(
            model,
            samples.x,
            maps[method],
            target,
            fraction=fraction,
            fill=fills[fill],
            rule=rule,
            batch_size=batch_size,
        )
        setting = {"method": method, "fraction": fraction, "fill": fill, "rule": rule}
        for name, metric in METRICS.items():
            values = metric.function(confidence, masked)
            tables.append(
                pd.DataFrame({**setting, "metric": name, "item": samples.names, "value": values})
            )
    return pd.concat(tables, ignore_index=True)


def summarize(scores):
    """The mean of each metric by setting, one row a setting, one column a metric.

    A setting in which any sample's value is undefined has an undefined mean.
    """
    settings = ["method", "fraction", "fill", "rule"]
    means = scores.groupby([*settings, "metric"], sort=False).value.agg(
        lambda values: values.mean(skipna=False)
    )
    return means.unstack("metric").reset_index()[[*settings, *METRICS]]

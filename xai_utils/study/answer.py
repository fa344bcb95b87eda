"""The question of the project, which of two methods explains better, asked of any score in the same way."""

import pandas as pd

from xai_utils.attributions import CONTROL_NAMES, TITLES
from xai_utils.metrics import HIGHER_IS_BETTER
from xai_utils.study import statistics

PUBLISHED, REPAIRED = (
    "as published",
    "mean fill",
)  # the first step, and that with nothing left to repair
PANELS = ("as published", "course's network,\nrepaired", "our network", "known truth")


def judged(scores, pair, clusters=None):
    """What the scores of one metric in one setting say of a pair of methods and of the best control.

    ``scores`` has the pair and the controls, ``clusters`` is ``{item: cluster}``. Returns: ``metric``; ``pair``,
    the better mean first; ``means`` and ``intervals`` ``{name: …}``; ``control``, that of the best mean; ``p``, ``{"pair": …,
    method: …}``, that the pair is alike and that a method and the best control are, corrected for all pairs of
    methods and controls, see :func:`statistics.told_apart`; ``is_ahead``, ``{method: bool}``, of the control;
    ``samples``.
    """
    [metric] = scores.metric.unique()
    better = HIGHER_IS_BETTER[metric]
    summary = statistics.summarize(scores, clusters).set_index("method")
    values = scores.pivot(index="item", columns="method", values="value")
    groups = None if clusters is None else values.index.map(clusters)
    [p_values], _ = statistics.told_apart([values], [groups])
    means = summary["mean"].to_dict()
    control = sorted(CONTROL_NAMES, key=means.get, reverse=better)[0]
    return {
        "metric": metric,
        "pair": sorted(pair, key=means.get, reverse=better),
        "means": means,
        "intervals": {name: [row.low, row.high] for name, row in summary.iterrows()},
        "control": control,
        "p": {"pair": p_values.loc[tuple(pair)], **{m: p_values.loc[m, control] for m in pair}},
        "is_ahead": {m: (means[m] > means[control]) == better for m in pair},
        "samples": len(values),
    }


def dots(data, steps, ours, truth):
    """What is drawn of one data set: a row a panel of :data:`PANELS` and method, and the best of what knows
    nothing of the network; of the steps that is a random map. Columns: data, panel, name, mean, low, high, samples.

    ``steps`` is the table of :func:`published.table_of_steps`, ``ours`` and ``truth`` are of :func:`judged`.
    """
    rows, studied = [], ("grad_cam", "integrated_gradients")
    for panel, step in zip(PANELS, (PUBLISHED, REPAIRED)):
        own = steps[(steps.step == step) & (steps.metric == "drop_rate")].set_index("method")
        for name in (*studied, "random"):
            found = own.loc[name, ["mean", "low", "high", "samples"]]
            rows.append({"panel": panel, "name": TITLES[name], **found})
    for panel, found in zip(PANELS[2:], (ours, truth)):
        for name in (*studied, found["control"]):
            low, high = found["intervals"][name]
            row = {"mean": found["means"][name], "low": low, "high": high, "samples": found["samples"]}
            rows.append({"panel": panel, "name": TITLES[name], **row})
    table = pd.DataFrame(rows).assign(data=data)
    return table.astype({"samples": int})


def tally(found, pair):
    """To which of the pair the tests give each of several comparisons: ``{method: count, "neither": count}``.

    ``found`` are the p-values that the pair is alike, and who has the better mean, ``[(p, method)]``.
    """
    given = [method if p < statistics.LEVEL else "neither" for p, method in found]
    return {name: given.count(name) for name in (*pair, "neither")}


def repaired(gaps):
    """The comparisons of both rates at the step where nothing is left to repair, as :func:`tally` takes them;
    ``gaps`` is the table of :func:`published.gaps_of_steps`."""
    rows = gaps[gaps.step == REPAIRED]
    is_first = (rows.gap > 0) == (rows.metric == "increase_rate")
    return [(p, "integrated_gradients" if first else "grad_cam") for p, first in zip(rows.p, is_first)]

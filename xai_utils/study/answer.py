"""The question of the project, which of two methods explains better, asked of any score in the same way."""

import pandas as pd

from xai_utils.attributions import CONTROL_NAMES, TITLES
from xai_utils.metrics import HIGHER_IS_BETTER
from xai_utils.study import statistics

PUBLISHED, REPAIRED = (
    "as published",
    "mean fill",
)  # the first of the steps, and that with nothing left to repair
PANELS = ("as published", "course's network,\nrepaired", "our network", "known truth")


def judged(scores, pair, clusters=None):
    """What the scores of one metric in one setting say of a pair of methods and of the controls.

    ``scores`` has the pair and the controls, ``clusters`` is ``{item: cluster}``. Returns: ``pair``, the better
    mean first; ``means``, ``intervals`` ``{name: …}``; ``p``, that of the pair alone; ``control``, the best;
    ``verdict`` and ``beating`` as in :func:`statistics.verdicts`; ``samples``.
    """
    [verdict] = statistics.verdicts(scores, HIGHER_IS_BETTER, CONTROL_NAMES, clusters).itertuples()
    summary = statistics.summarize(scores, clusters).set_index("method")
    values = scores.pivot(index="item", columns="method", values="value")
    groups = None if clusters is None else values.index.map(clusters)
    *_, p = statistics.difference(values[pair[0]], values[pair[1]], groups)
    means = summary["mean"].to_dict()
    intervals = {name: [row.low, row.high] for name, row in summary.iterrows()}
    better = HIGHER_IS_BETTER[verdict.metric]
    return {
        "pair": sorted(pair, key=means.get, reverse=better),
        "means": means,
        "intervals": intervals,
        "p": p,
        "control": verdict.best_control,
        "verdict": verdict.verdict,
        "beating": verdict.beating,
        "samples": len(values),
    }


def dots(data, steps, ours, truth, chance):
    """What is drawn of one data set: a row a panel of :data:`PANELS` and method, and the best of what knows
    nothing of the network. Columns: data, panel, name, mean, low, high, samples.

    ``steps`` is the table of :func:`published.table_of_steps`, ``ours`` and ``truth`` are of :func:`judged`.
    """
    rows = []
    for panel, step in zip(PANELS, (PUBLISHED, REPAIRED)):
        own = steps[(steps.step == step) & (steps.metric == "drop_rate")].set_index("method")
        for name in ("grad_cam", "integrated_gradients", "random"):
            rows.append(
                {
                    "panel": panel,
                    "name": TITLES[name],
                    **own.loc[name, ["mean", "low", "high", "samples"]],
                }
            )
    for panel, found in zip(PANELS[2:], (ours, truth)):
        shown = [
            "grad_cam",
            "integrated_gradients",
            *([found["control"]] if panel == PANELS[2] else []),
        ]
        for name in shown:
            low, high = found["intervals"][name]
            row = {"mean": found["means"][name], "low": low, "high": high, "samples": found["samples"]}
            rows.append({"panel": panel, "name": TITLES[name], **row})
    known = {"mean": chance, "low": chance, "high": chance, "samples": truth["samples"]}
    rows.append({"panel": PANELS[3], "name": "chance", **known})
    table = pd.DataFrame(rows).assign(data=data)
    return table.astype({"samples": int})

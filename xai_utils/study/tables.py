"""Scores as they are shown: means with intervals, what the statistics say of each setting, grids.

``scores`` are tables of :mod:`xai_utils.study.scores`; ``clusters`` ``{item: cluster}`` labels samples
that are not independent, see :func:`xai_utils.study.statistics.summarize`.
"""

import pandas as pd

from xai_utils.attributions import CONTROL_NAMES, MARKED, METHODS, TITLES
from xai_utils.metrics import BY_CONSTRUCTION, HIGHER_IS_BETTER, METRICS, faithfulness
from xai_utils.study import conclusions, statistics


def read(scores, clusters=None):
    """The means with intervals, the verdict on each setting, and both as one table to show."""
    summary = statistics.summarize(scores, clusters)
    verdicts = statistics.verdicts(scores, HIGHER_IS_BETTER, CONTROL_NAMES, clusters)
    return summary, verdicts, conclusions.scores_table(summary, verdicts, MARKED)


def judged(scores, clusters=None):
    """The verdicts on the questions, the same without the methods that ask what the metrics ask, and the
    former with the agreement of the samples as a table to show. Controls that have the best value of a
    metric by construction are left out of its verdict."""
    asking = [name for name, method in METHODS.items() if method.masking]
    verdicts, without = (
        statistics.verdicts(
            scores, HIGHER_IS_BETTER, CONTROL_NAMES, clusters, statistics.QUESTION,
            left_out={name: [*more, *BY_CONSTRUCTION.get(name, [])] for name in METRICS},
        )
        for more in ([], asking)
    )  # fmt: skip
    alpha = statistics.consistency(scores, HIGHER_IS_BETTER, CONTROL_NAMES, statistics.QUESTION).alpha
    return verdicts, without, conclusions.verdicts_table(verdicts.assign(alpha=alpha), MARKED)


def by_units(scores, verdicts, clusters, units):
    """What of the verdicts on the questions remains where larger ``units`` are the clusters, in words."""
    p = statistics.confirmed(scores, verdicts, HIGHER_IS_BETTER, clusters)
    return conclusions.on_units(verdicts, p, len(set(clusters.values())), units)


def drops(summary):
    """The mean drop rates, with the methods' titles."""
    return summary[summary.metric == "drop_rate"].assign(title=summary.method.map(TITLES))


def in_short(table):
    """Without the settings that differ from others by the published rule or the increase rate."""
    return table[(table.rule != "published") & (table.metric != "increase_rate")]


def of_course(table, fraction):
    """The rows of the drop rate by the exact rule at the course's fraction."""
    rows = table[(table.metric == "drop_rate") & (table.rule == "exact")]
    return rows[rows.fraction == fraction]


def agreement_of_settings(scores):
    """Kendall's tau between the rankings of the methods by each pair of settings, in short."""
    return statistics.ranking_agreement(in_short(scores), HIGHER_IS_BETTER, CONTROL_NAMES)


def kept_and_tied(maps, titles):
    """The share of points that the published "top 90 %" keeps, and that have an equal: a row a method."""
    rows = [
        {
            "title": titles[name],
            "kept": float(faithfulness.salient_points(own, 0.9, "published").mean()),
            "tied": float(faithfulness.tied_share(own).mean()),
        }
        for name, own in maps.items()
    ]
    return pd.DataFrame(rows)


def grid(summary, verdicts, titles):
    """Mean drop rates by fill and fraction, methods from the best to the worst, by the exact rule; and
    the columns in which no method beats every control."""
    rows = summary[(summary.metric == "drop_rate") & (summary.rule == "exact")]
    own = verdicts[(verdicts.metric == "drop_rate") & (verdicts.rule == "exact")]

    def names(table):
        return table.fill + " " + (100 * table.fraction).map("{:.0f} %".format)

    table = rows.assign(setting=names(rows), title=rows.method.map(titles))
    table = table.pivot(index="title", columns="setting", values="mean")
    table = table.loc[table.mean(axis=1).sort_values().index, list(dict.fromkeys(names(rows)))]
    return table, set(names(own)[own.verdict != "method"])


def gains(scores, fraction, fill, clusters=None):
    """How far each method is ahead of the best control by drop rate in one setting, the mask rule exact."""
    setting = "drop_rate", fraction, fill, "exact"
    return statistics.gains(scores, setting, HIGHER_IS_BETTER, CONTROL_NAMES, clusters)


def all_forgotten(scores):
    """The rows of the likeness of maps where every layer has forgotten, all draws of the weights."""
    first = [rule for rule in scores.rule.unique() if rule.startswith("cascading") and "#" not in rule]
    return scores[scores.rule.str.split(" #").str[0] == first[-1]]


def likeness_grid(scores, metric):
    """Mean likeness of maps under other conditions: methods in rows, from the one that changes most to
    the one that changes least when all layers have forgotten; conditions in columns, each once."""
    rows = scores[(scores.metric == metric) & ~scores.rule.str.contains("#")]
    rows = rows.assign(title=rows.method.map(TITLES))
    table = rows.pivot_table("value", "title", "rule", sort=False)
    return table.loc[table.filter(like="cascading").iloc[:, -1].sort_values().index]


def of_cascade(grid):
    """The columns of a grid of likeness in which ever more layers forget, named by the layer they reach,
    without the controls, which know of no layer."""
    controls = [TITLES[name] for name in CONTROL_NAMES]
    own = grid.drop(index=controls, errors="ignore").filter(regex="^cascading ")
    return own.rename(columns=lambda name: name.removeprefix("cascading "))


def by_share(summary, studied):
    """The mean drop rates by fill and fraction, by the exact rule, of the methods ``studied``, of the best
    of the others, of a random map and of the best control; the best have the lowest mean over all settings."""
    rows = summary[(summary.metric == "drop_rate") & (summary.rule == "exact")]
    order = rows.groupby("method")["mean"].mean().sort_values(kind="stable").index
    others = [name for name in order if name not in (*studied, *CONTROL_NAMES)]
    controls = [name for name in order if name in CONTROL_NAMES and name != "random"]
    shown = [*studied, others[0], "random", controls[0]]
    return pd.concat(rows[rows.method == name] for name in shown)


def spread(summary):
    """How much mean drop rates differ by the exact rule: the standard deviation over fills, method and share
    fixed, and over methods without controls, fill and share fixed, each the mean over what is fixed."""
    rows = summary[(summary.metric == "drop_rate") & (summary.rule == "exact")]
    rows = rows[~rows.method.isin(CONTROL_NAMES)]
    return {
        f"over_{over}s": float(rows.groupby([fixed, "fraction"])["mean"].std(ddof=0).mean())
        for over, fixed in (("fill", "method"), ("method", "fill"))
    }


def won_by_fill(verdicts):
    """At how many shares kept a method beats every control by drop rate and the exact rule, ``{fill: count}``."""
    rows = verdicts[(verdicts.metric == "drop_rate") & (verdicts.rule == "exact")]
    return {
        fill: int((own.verdict == "method").sum()) for fill, own in rows.groupby("fill", sort=False)
    }


def beaten(verdicts, methods):
    """In how many questions each method beats every control, and in how many the random map: a row each."""
    asked = verdicts[verdicts.verdict != "no sample"]
    won = asked.beating[asked.verdict == "method"]
    rows = [
        {
            "method": name,
            "every": sum(name in names for names in won),
            "random": sum(name not in names for names in asked.not_better_than_random),
            "questions": len(asked),
        }
        for name in methods
    ]
    return pd.DataFrame(rows)

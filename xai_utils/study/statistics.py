"""What many maps and scores say together."""

from itertools import combinations

import krippendorff
import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, kendalltau, rankdata, wilcoxon

from xai_utils.metrics.sanity import centred_ranks, rank_correlation
from xai_utils.models import batches

LEVEL = 0.05  # of significance
AT_ONCE = 5_000_000  # how often a cluster was drawn, numbers in memory
SETTING = ["metric", "fraction", "fill", "rule"]
VERDICT = [
    "best",
    "best_control",
    "best_mean",
    "control_mean",
    "friedman_p",
    "gain_p",
    "leaders",
    "not_better_than_random",
    "discriminative",
    "reason",
    "samples",
]


def rank_agreement(maps):
    """Spearman's rank correlation of each pair of methods, the median over the samples.

    ``maps`` is ``{method: (n, *space)}``; the table has a row and a column for each. A sample on
    which one of a pair is constant has no correlation and does not count for that pair.
    """
    ranks = {name: _unit_ranks(values) for name, values in maps.items()}

    def agreement(first, second):
        correlations = np.sum(ranks[first] * ranks[second], axis=1)
        known = correlations[np.isfinite(correlations)]
        return np.median(known) if len(known) else np.nan

    table = [[agreement(first, second) for second in ranks] for first in ranks]
    return pd.DataFrame(table, index=list(ranks), columns=list(ranks))


def extremes(agreement):
    """The pairs that agree most and least: two lists ``[method, method, value]``."""
    above = np.triu(np.ones(agreement.shape, bool), k=1)
    pairs = agreement.where(above).stack()
    return [[*pairs.idxmax(), float(pairs.max())], [*pairs.idxmin(), float(pairs.min())]]


def seed_drops(scores):
    """The mean drop rates of several seeds: a row a seed and setting, a column a method.

    ``scores`` has a column ``seed``, as :func:`xai_utils.study.plan.by_seed` gives it.
    """
    rows = scores.assign(setting=[label(key) for key in scores[SETTING].itertuples(index=False)])
    return rows.pivot_table("value", ["seed", "setting"], "method", sort=False)


def seed_rankings(drops):
    """Kendall's tau between the rankings of the methods by two seeds: a row a setting and pair.

    ``drops`` is the table of :func:`seed_drops`. Columns: setting, first, second, tau.
    """
    seeds, rows = drops.index.unique("seed"), []
    for setting, own in drops.groupby("setting", sort=False):
        own = own.droplevel("setting")
        for first, second in combinations(seeds, 2):
            tau = kendalltau(own.loc[first], own.loc[second]).statistic
            rows.append({"setting": setting, "first": first, "second": second, "tau": tau})
    return pd.DataFrame(rows)


def seed_likeness(maps):
    """How alike the maps of two seeds are: a row a method and pair of seeds.

    ``maps`` is ``{seed: {method: (n, *space)}}``. Columns: method, first, second, and correlation, the
    median over the samples of Spearman's rank correlation.
    """
    rows = []
    for first, second in combinations(maps, 2):
        for method in maps[first]:
            found = rank_correlation(maps[first][method], maps[second][method])
            row = {"method": method, "first": first, "second": second}
            rows.append(row | {"correlation": np.nanmedian(found)})
    return pd.DataFrame(rows)


def label(setting):
    """A setting in words: ``drop rate 90 % black``; what does not apply is left out, and so is the
    exact rule.

    ``setting`` has the values of the columns ``SETTING``.
    """
    metric, fraction, fill, rule = setting
    share = "" if pd.isna(fraction) else f"{100 * fraction:g} %"
    rule = {"exact": "", "published": "(published rule)"}.get(rule, rule)
    return " ".join(part for part in (metric.replace("_", " "), share, fill, rule) if part)


def bootstrap_interval(values, clusters=None, resamples=10_000, seed=0):
    """The 95 % percentile interval of the mean of each column of ``values`` ``(n, k)``.

    ``clusters`` ``(n,)`` labels samples that are not independent: clusters are drawn with
    replacement, each with all of its samples (Field & Welsh, 2007); without labels every sample is
    its own. Returns ``(low, high)``, each ``(k,)``; NaN for a column with a NaN, and for all if
    there is one cluster only.
    """
    clusters = np.arange(len(values)) if clusters is None else clusters
    labels, cluster, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    number = len(labels)
    if number == 1:
        return np.full((2, np.shape(values)[1]), np.nan)
    sums = np.zeros((number, np.shape(values)[1]))
    np.add.at(sums, cluster, values)
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, sums.shape[1]))
    for part in batches(resamples, max(1, AT_ONCE // number)):
        count = part.stop - part.start
        drawn = generator.multinomial(number, np.full(number, 1 / number), count).astype(float)
        means[part] = drawn @ sums / (drawn @ sizes)[:, np.newaxis]
    return np.percentile(means, [2.5, 97.5], axis=0)


def summarize(scores, clusters=None, resamples=10_000):
    """The mean of each method in each setting with its 95 % interval, one row each.

    ``scores`` is the table of ``evaluate``; ``clusters`` is ``{item: cluster}``, see
    ``bootstrap_interval``. Columns: method, those of ``SETTING``, mean, low, high, samples,
    undefined. Where the value of any sample is undefined, so are the mean and the interval.
    """
    keys = ["method", *SETTING]
    groups = scores.groupby(keys, dropna=False, sort=False)
    rows = groups.agg(items=("item", tuple), values=("value", tuple)).reset_index()
    tables = []
    for items, group in rows.groupby("items", sort=False):
        values = np.array(group["values"].tolist(), float).T
        low, high = bootstrap_interval(values, _clusters_of(items, clusters), resamples)
        tables.append(
            group[keys].assign(
                mean=values.mean(axis=0),
                low=low,
                high=high,
                samples=len(values),
                undefined=np.isnan(values).sum(axis=0),
            )
        )
    return pd.concat(tables).sort_index()


def holm_wilcoxon(values):
    """The p-value that two methods differ, for each pair: a table with a row and a column for each.

    ``values`` has a row an item and a column a method, all defined. Wilcoxon's signed-rank test,
    two-sided, adjusted for the number of pairs (Holm, 1979).
    """
    first, second = np.triu_indices(values.shape[1], k=1)
    columns = values.to_numpy().T
    table = np.eye(values.shape[1])
    adjusted = _holm(_wilcoxon(list(zip(columns[first], columns[second]))))
    table[first, second] = table[second, first] = adjusted
    return pd.DataFrame(table, index=values.columns, columns=values.columns)


def verdicts(scores, higher_is_better, controls, clusters=None, level=LEVEL):
    """Which method is best in each setting, and whether the setting can tell at all: a row each.

    ``higher_is_better`` is ``{metric: bool}``; ``controls`` names the methods that a good one must
    beat, ``"random"`` among them. An item counts if it has a value for every method and control.
    Means are over items; tests are paired, over the means of the clusters ``{item: cluster}``.
    Columns, after those of ``SETTING``:

    - ``best``, ``best_control``: those with the best means, ``best_mean`` and ``control_mean``;
    - ``friedman_p``: that the methods differ at all (Friedman; Wilcoxon for two methods);
    - ``gain_p``: that the best method beats the best control, one-sided, Holm over the methods;
    - ``leaders``: the best method and all that ``holm_wilcoxon`` does not find worse than it;
    - ``not_better_than_random``: methods that do not beat it, one-sided, Holm over the methods;
    - ``discriminative``: whether no control has the best mean and the methods differ; if not,
      ``reason`` is "a control wins", "too few samples" for any method to beat one after Holm's
      correction, "all methods tie" or "no sample has every value";
    - ``samples``: how many items or clusters the tests compare.
    """
    rows = []
    for setting, sign, table in _tables(scores, higher_is_better):
        table = table.dropna()
        groups = _clusters_of(table.index, clusters)
        units = table if groups is None else table.groupby(groups).mean()
        verdict = _verdict(table.mean(), sign, sign * units, controls, level)
        rows.append({**dict(zip(SETTING, setting)), **verdict, "samples": len(units)})
    return pd.DataFrame(rows, columns=[*SETTING, *VERDICT])


def _verdict(means, sign, units, controls, level):
    """The verdict on one setting, from the means and from ``units``, in which higher is better."""
    if units.empty:
        nothing = {"leaders": [], "not_better_than_random": [], "discriminative": False}
        return {**nothing, "reason": "no sample has every value"}
    ranking = (sign * means).sort_values(ascending=False, kind="stable").index
    methods = [name for name in ranking if name not in controls]
    best, best_control = methods[0], next(name for name in ranking if name in controls)
    differ = _friedman(units[methods])
    values = {name: column.to_numpy() for name, column in units.items()}
    gains = {
        control: _holm(_wilcoxon([(values[name], values[control]) for name in methods], "greater"))
        for control in (best_control, "random")
    }
    unit_means = units.mean()
    told_apart = holm_wilcoxon(units[methods]).loc[best] < level
    worse = told_apart & (unit_means[methods] < unit_means[best])
    if sign * means[best_control] >= sign * means[best]:
        reason = "a control wins"
    elif len(methods) * 0.5 ** len(units) >= level:
        reason = "too few samples"
    else:
        reason = "all methods tie" if differ >= level else ""
    return {
        "best": best,
        "best_control": best_control,
        "best_mean": means[best],
        "control_mean": means[best_control],
        "friedman_p": differ,
        "gain_p": gains[best_control][0],
        "leaders": [name for name in methods if not worse[name]],
        "not_better_than_random": [m for m, p in zip(methods, gains["random"]) if p >= level],
        "discriminative": not reason,
        "reason": reason,
    }


def winner(verdicts, level=LEVEL):
    """The method that leads alone in every discriminative setting and beats the controls, or None."""
    useful = verdicts[verdicts.discriminative]
    leaders = {tuple(names) for names in useful.leaders}
    alone = leaders.pop() if len(leaders) == 1 else ()
    return alone[0] if len(alone) == 1 and (useful.gain_p < level).all() else None


def ranking_agreement(scores, higher_is_better, controls):
    """Kendall's tau-b of the rankings of the methods in each pair of settings.

    The methods are ranked by their means, without the controls. NaN for a setting in which the
    mean of any method is undefined, as it is where a method lacks an item that another has.
    """
    means = pd.DataFrame(
        {
            label(setting): sign * table.drop(columns=controls, errors="ignore").mean(skipna=False)
            for setting, sign, table in _tables(scores, higher_is_better)
        }
    )
    means.loc[:, means.isna().any()] = np.nan
    return means.corr(method="kendall")


def consistency(scores, higher_is_better, controls):
    """Do the samples agree on which method is better? Krippendorff's alpha, one row a setting.

    Samples are the raters and the ranks that they give to the methods, without the controls, are
    ordinal ratings (Tomsett et al., 2020). ``samples`` counts those that are defined for every
    method, which are those that count. NaN where none of them tells any methods apart.
    """
    rows = []
    for setting, sign, table in _tables(scores, higher_is_better):
        values = sign * table.drop(columns=controls, errors="ignore").dropna()
        ranks = rankdata(values, axis=1)
        varies = len(ranks) > 1 and np.ptp(ranks) > 0
        alpha = krippendorff.alpha(ranks, level_of_measurement="ordinal") if varies else np.nan
        rows.append({**dict(zip(SETTING, setting)), "alpha": alpha, "samples": len(ranks)})
    return pd.DataFrame(rows)


def _tables(scores, higher_is_better):
    """Each setting, the sign that makes higher better, and its values, items × methods."""
    for setting, group in scores.groupby(SETTING, dropna=False, sort=False):
        sign = 1 if higher_is_better[setting[0]] else -1
        yield setting, sign, group.pivot(index="item", columns="method", values="value")


def _clusters_of(items, clusters):
    return None if clusters is None else np.array([clusters[item] for item in items])


def _friedman(units):
    """The p-value that any of the methods, the columns, differ."""
    if units.eq(units.iloc[:, 0], axis=0).all(axis=None):
        return 1.0
    if units.shape[1] == 2:
        return float(_wilcoxon([units.to_numpy().T])[0])
    return float(friedmanchisquare(*units.to_numpy().T).pvalue)


def _wilcoxon(pairs, alternative="two-sided"):
    """The p-value of Wilcoxon's signed-rank test for each pair of columns; 1 if they do not differ.

    Those that the test treats alike go through it together: one by one takes ten times as long.
    """
    alike, p_values = {}, np.ones(len(pairs))
    for place, (first, second) in enumerate(pairs):
        scale = max(np.abs(first).max(), np.abs(second).max()) or 1
        # Differences that are equal but for rounding must tie.
        differences = np.round((first - second) / scale, 12)
        differences = differences[differences != 0]
        has_ties = len(np.unique(np.abs(differences))) < len(differences)
        alike.setdefault((len(differences), has_ties), []).append((place, differences))
    for (count, _), several in alike.items():
        if count:
            # "auto" tries all 2ⁿ signs where so few have ties, up to a second a test; "exact" takes
            # them from the distribution without ties and rounds to the side of the null.
            method = "exact" if count <= 13 else "auto"
            places, differences = zip(*several)
            found = wilcoxon(np.stack(differences), alternative=alternative, method=method, axis=1)
            p_values[list(places)] = found.pvalue
    return p_values


def _holm(p_values):
    """The p-values adjusted for their number (Holm, 1979).

    As ``multipletests`` of statsmodels, which at each call collects the garbage of the whole
    process: 0.3 s beside TensorFlow, for three calls a setting.
    """
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _unit_ranks(maps):
    """The ranks of each map's points, centred and of length 1; NaN for a constant map."""
    ranks = centred_ranks(maps)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    unit = np.divide(ranks, length, out=np.full_like(ranks, np.nan), where=length > 0)
    return unit.astype(np.float32)

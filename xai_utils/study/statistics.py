"""What many maps and scores say together."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, rankdata

from xai_utils.metrics.sanity import centred_ranks, rank_correlation
from xai_utils.models import batches

LEVEL = 0.05  # of significance
POWER = 0.8  # how often a difference is to be found
FLIPS = 10_000
TIE = 1e-4  # statistics this near are equal: which of them is larger depends on the processor
NEGLIGIBLE = 1e-4  # a difference of scores that the processor may make, and which orders nothing
AT_ONCE = 5_000_000  # how often a cluster was drawn, numbers in memory
QUESTION = ["metric", "fraction"]
SETTING = [*QUESTION, "fill", "rule"]
VERDICT = [
    "best", "best_control", "best_mean", "control_mean", "gain", "low", "high", "p", "verdict", "beating",
    "told", "not_better_than_random", "detectable", "settings", "samples", "clusters",
]  # fmt: skip
NO_VERDICT = {
    "verdict": "no sample", "beating": [], "told": 0, "not_better_than_random": [], "clusters": 0
}  # fmt: skip


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
    """The mean drop rates of several seeds: a row a seed and question, a column a method.

    ``scores`` has a column ``seed``, as :func:`xai_utils.study.plan.by_seed` gives it; the mean is over the
    samples and the fills.
    """
    keys = scores[QUESTION].itertuples(index=False)
    rows = scores.assign(question=[label((*key, "", "")) for key in keys])
    return rows.pivot_table("value", ["seed", "question"], "method", sort=False)


def seed_rankings(drops):
    """Kendall's tau between the rankings of the methods by two seeds: a row a question and pair.

    ``drops`` is the table of :func:`seed_drops`. Columns: question, first, second, tau.
    """
    seeds, rows = drops.index.unique("seed"), []
    for question, own in drops.groupby("question", sort=False):
        own = own.droplevel("question")
        for first, second in combinations(seeds, 2):
            pair = (own.loc[[first, second]] / NEGLIGIBLE).round()
            tau = kendalltau(*pair.to_numpy()).statistic
            rows.append({"question": question, "first": first, "second": second, "tau": tau})
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


def crossed_interval(values, clusters=None, resamples=10_000, seed=0):
    """The 95 % percentile interval of the mean of ``values`` ``(n, draws)``, of samples and of draws that
    are crossed: both are drawn with replacement, samples by their ``clusters`` (Owen, 2007). Of few draws it is
    too narrow.

    Returns ``(low, high)``; NaN where a value is, or with one cluster only.
    """
    labels = np.arange(len(values)) if clusters is None else clusters
    known, cluster, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    number, draws = len(known), values.shape[1]
    if number == 1:
        return np.nan, np.nan
    sums = np.zeros((number, draws))
    np.add.at(sums, cluster, values)
    generator = np.random.default_rng(seed)
    rows = generator.multinomial(number, np.full(number, 1 / number), resamples).astype(float)
    columns = generator.multinomial(draws, np.full(draws, 1 / draws), resamples).astype(float)
    means = np.einsum("rn,nd,rd->r", rows, sums, columns, optimize=True) / (rows @ sizes) / draws
    return tuple(np.percentile(means, [2.5, 97.5]))


def summarize_draws(scores, clusters=None):
    """The means over samples and draws as :func:`summarize` gives them, one row a method and metric, with
    the intervals of :func:`crossed_interval`; the column ``rule`` of ``scores`` names the draw."""
    rows = []
    for (method, metric), own in scores.groupby(["method", "metric"], sort=False):
        values = own.pivot(index="item", columns="rule", values="value")
        low, high = crossed_interval(values.to_numpy(), _clusters_of(values.index, clusters))
        setting = {"metric": metric, "fraction": np.nan, "fill": "", "rule": own.rule.iloc[0]}
        found = {"mean": values.to_numpy().mean(), "low": low, "high": high, "samples": len(values)}
        undefined = int(np.isnan(values).sum(axis=None))
        rows.append({"method": method, **setting, **found, "undefined": undefined})
    return pd.DataFrame(rows)


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


def difference(first, second, clusters=None):
    """By how much the mean of ``first`` is above that of ``second``, both ``(n,)``, of the same samples:
    the difference, its 95 % interval, and the p-value that there is none, ``(mean, low, high, p)``.

    Interval as :func:`bootstrap_interval`, test as :func:`told_apart`, of this pair alone; ``clusters``
    ``(n,)``. A sample counts that has both values.
    """
    values = pd.DataFrame({"first": np.asarray(first, float), "second": np.asarray(second, float)})
    defined = values.notna().all(axis=1).to_numpy()
    values = values[defined]
    clusters = None if clusters is None else np.asarray(clusters)[defined]
    [low], [high] = bootstrap_interval(
        (values["first"] - values["second"]).to_numpy()[:, np.newaxis], clusters
    )
    [p_values], _ = told_apart([values], [clusters])
    mean = values["first"].mean() - values["second"].mean()
    return float(mean), float(low), float(high), float(p_values.loc["first", "second"])


def told_apart(tables, clusters):
    """The p-values that two columns have the same mean, adjusted for all pairs of all tables; and the value
    of the test that is critical at :data:`LEVEL`.

    ``tables`` have a row a sample and a column a method; ``clusters`` holds for each the labels of samples
    that are not independent, or None. A square table of p-values for each.

    The null: the sum of a cluster's differences is as likely to be as much above zero as below. So the signs
    of whole clusters are flipped, at random, and the sum over all of them is compared with those of the
    flips, over the root of their squares, which no flip changes. A p-value is the share of flips in which
    the largest such ratio of any pair is at least that of the pair (Westfall and Young, 1993, single-step
    maxT): the chance that anything at all is told apart where nothing is.
    """
    groups = [table.index if own is None else own for table, own in zip(tables, clusters)]
    labels = sorted({label for own in groups for label in own})
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (FLIPS, len(labels)))
    signs[0] = 1  # what was observed
    largest, ratios = np.zeros(FLIPS), []
    for table, own in zip(tables, groups):
        by_cluster = table.groupby(np.asarray(own))
        sums = by_cluster.sum().reindex(labels, fill_value=0.0).to_numpy()
        first, second = np.triu_indices(sums.shape[1], k=1)
        pairs = sums[:, first] - sums[:, second]
        # With what is negligible (as Tusher 2001), so that no digit of a processor is taken for a difference.
        scale = np.sqrt((pairs**2).sum(axis=0) + (NEGLIGIBLE * by_cluster.size()).pow(2).sum())
        flipped = np.abs(signs @ pairs) / scale
        largest = np.maximum(largest, flipped.max(axis=1, initial=0))
        ratio = np.zeros((sums.shape[1],) * 2)
        ratio[first, second] = flipped[0]
        ratios.append(ratio + ratio.T)
    largest.sort()
    p_values = [
        pd.DataFrame(
            (FLIPS - np.searchsorted(largest, (1 - TIE) * ratio - 1e-9)) / FLIPS,
            table.columns,
            table.columns,
        )
        for ratio, table in zip(ratios, tables)
    ]
    return p_values, float(np.quantile(largest, 1 - LEVEL))


def verdicts(scores, higher_is_better, controls, clusters=None, by=SETTING, left_out=None):
    """What each setting, or with ``by=QUESTION`` each question, says of methods and controls: a row each.

    ``higher_is_better`` is ``{metric: bool}``; ``controls`` names the maps that know nothing of the
    network, ``"random"`` among them; ``left_out``, ``{metric: names}``, are those of both that are tested
    with the others and of which the verdict says nothing. A value of an item is the mean over its settings
    of the question; an item counts if it has all of them for every method and control. Means and differences
    are over items; all tests of the table are one family, see :func:`told_apart`. Columns, after those of
    ``by``:

    - ``best``, ``best_control``: those with the best means, of those that beat all others where any do;
      ``best_mean`` and ``control_mean``;
    - ``gain``: how much better the best method is than the best control, with ``low``, ``high`` and ``p``;
    - ``verdict``: "method" where any beats every control, ``beating`` which, the best first; "control"
      where any control beats every method, ``beating`` which; else "undecided", or "no sample";
    - ``told``: from how many other methods the best is told;
    - ``not_better_than_random``: the methods that do not beat it;
    - ``detectable``: the difference of a method and a control that would be found eight times in ten;
    - ``settings`` of the question, ``samples`` and ``clusters`` that count.
    """
    found = [
        (key, sign, count, own.dropna())
        for key, sign, count, own in _tables(scores, higher_is_better, by)
    ]
    usable = [own for *_, own in found if len(own)]
    groups = [_clusters_of(own.index, clusters) for own in usable]
    p_values, critical = told_apart(usable, groups) if usable else ([], np.nan)
    known, rows = iter(zip(groups, p_values)), []
    for key, sign, count, own in found:
        row = NO_VERDICT
        if len(own):
            seen = own.drop(columns=(left_out or {}).get(key[0], []), errors="ignore")
            row = _verdict(sign * seen, sign, controls, *next(known), critical)
        rows.append({**dict(zip(by, key)), **row, "settings": count, "samples": len(own)})
    return pd.DataFrame(rows, columns=[*by, *VERDICT])


def _verdict(values, sign, controls, groups, p_values, critical):
    """The verdict on one table, in which higher is better."""
    means = values.mean()
    ranking = (means / NEGLIGIBLE).round().sort_values(ascending=False, kind="stable").index
    methods = [name for name in ranking if name not in controls]
    against = [name for name in ranking if name in controls]

    def beats(one, other):
        return means[one] > means[other] and p_values.loc[one, other] < LEVEL

    winning = [m for m in methods if all(beats(m, c) for c in against)]
    losing = [c for c in against if all(beats(c, m) for m in methods)]
    best, best_control = (winning or methods)[0], (losing or against)[0]
    others = [name for name in methods if name != best]
    above = (values[best] - values[best_control]).to_numpy()[:, np.newaxis]
    [low], [high] = bootstrap_interval(above, groups)
    return {
        "best": best,
        "best_control": best_control,
        "best_mean": sign * means[best],
        "control_mean": sign * means[best_control],
        "gain": means[best] - means[best_control],
        "low": low,
        "high": high,
        "p": p_values.loc[best, best_control],
        "verdict": "method" if winning else "control" if losing else "undecided",
        "beating": winning or losing,
        "told": sum(beats(best, other) for other in others),
        "not_better_than_random": [m for m in methods if not beats(m, "random")],
        "detectable": _detectable(values, methods, against, groups, critical),
        "clusters": len(values if groups is None else np.unique(groups)),
    }


def _detectable(values, methods, controls, groups, critical):
    """The difference of a method and a control that the test finds with a probability of 0.8: the median
    over the pairs; infinite where it can find none.

    Each pair's cluster sums are those observed, less what the mean of the other clusters makes of them, their
    signs flipped at random as under the null, and the difference added to every sample.
    """
    by_cluster = values.groupby(np.arange(len(values)) if groups is None else groups)
    sums, sizes = by_cluster.sum(), by_cluster.size().to_numpy(float)
    squares, number = sizes @ sizes, len(sums)
    highest = sizes.sum() / np.sqrt(squares)  # that the statistic can be, if all samples differ alike
    if 2.0 ** (1 - number) >= LEVEL or highest <= critical * (1 + 1e-6):
        return np.inf
    pairs = np.stack([sums[m] - sums[c] for m in methods for c in controls], axis=1)
    pairs -= np.outer(sizes, pairs.sum(axis=0) / sizes.sum())
    pairs /= 1 - sizes[:, np.newaxis] / sizes.sum()  # so that the mean is that of the others
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (1000, number))
    noise, slope, spread = signs @ pairs, signs @ (pairs * sizes[:, np.newaxis]), (pairs**2).sum(axis=0)

    def is_enough(shift):
        scale = spread + 2 * shift * slope + (shift**2 + NEGLIGIBLE**2) * squares
        return np.mean(noise + shift * sizes.sum() > critical * np.sqrt(scale), axis=0) >= POWER

    low, high = np.zeros(pairs.shape[1]), 1e3 * np.sqrt(spread / squares) + 1.0
    never = ~is_enough(high)
    for _ in range(60):
        middle = (low + high) / 2
        enough = is_enough(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return float(np.median(np.where(never, np.inf, high)))


def confirmed(scores, verdicts, higher_is_better, clusters, by=QUESTION):
    """The p-values ``(n,)`` that the best method and the best control of each of ``verdicts`` are alike, by
    other ``clusters`` than those that these were found with; the pairs are one family. NaN where no sample
    counts."""
    found = _tables(scores, higher_is_better, by)
    tables = [
        own.dropna()[[row.best, row.best_control]] if row.samples else None
        for row, (_, _, _, own) in zip(verdicts.itertuples(), found)
    ]
    usable = [own for own in tables if own is not None]
    tests, _ = told_apart(usable, [_clusters_of(own.index, clusters) for own in usable])
    known = iter(tests)
    return np.array([np.nan if own is None else next(known).iloc[0, 1] for own in tables])


def gains(scores, setting, higher_is_better, controls, clusters=None):
    """How much better each method is than the best control in one of the settings, the best first: a row
    each, tested in the family of all settings, as in :func:`verdicts`.

    Columns: method, control, gain, low, high, p.
    """
    found = {key: sign * own.dropna() for key, sign, _, own in _tables(scores, higher_is_better)}
    groups = {key: _clusters_of(own.index, clusters) for key, own in found.items()}
    p_values, _ = told_apart(list(found.values()), list(groups.values()))
    values, p = found[setting], dict(zip(found, p_values))[setting]
    means = values.mean().sort_values(ascending=False, kind="stable")
    control = next(name for name in means.index if name in controls)
    methods = [name for name in means.index if name not in controls]
    above = values[methods].sub(values[control], axis=0)
    low, high = bootstrap_interval(above.to_numpy(), groups[setting])
    table = pd.DataFrame({"gain": above.mean(), "low": low, "high": high, "p": p.loc[methods, control]})
    return table.rename_axis("method").reset_index().assign(control=control)


def ranking_agreement(scores, higher_is_better, controls):
    """Kendall's tau-b of the rankings of the methods in each pair of settings.

    The methods are ranked by their means, without the controls. NaN for a setting in which the
    mean of any method is undefined, as it is where a method lacks an item that another has.
    """
    means = pd.DataFrame(
        {
            label(setting): sign * table.drop(columns=controls, errors="ignore").mean(skipna=False)
            for setting, sign, _, table in _tables(scores, higher_is_better)
        }
    )
    means.loc[:, means.isna().any()] = np.nan
    return means.corr(method="kendall")


def consistency(scores, higher_is_better, controls, by=SETTING):
    """Do the samples agree on which method is better? Krippendorff's alpha, one row a setting or question.

    Samples are the raters and the ranks that they give to the methods, without the controls, are
    ordinal ratings (Tomsett et al., 2020). ``samples`` counts those that are defined for every
    method, which are those that count. NaN where none of them tells any methods apart.
    """
    rows = []
    for key, sign, _, table in _tables(scores, higher_is_better, by):
        values = sign * table.drop(columns=controls, errors="ignore").dropna()
        ranks = rankdata(values, axis=1)
        varies = len(ranks) > 1 and np.ptp(ranks) > 0
        alpha = _ordinal_alpha(ranks) if varies else np.nan
        rows.append({**dict(zip(by, key)), "alpha": alpha, "samples": len(ranks)})
    return pd.DataFrame(rows)


def _ordinal_alpha(ranks):
    """Krippendorff's alpha of ordinal ratings, raters × units, none missing and not all of them equal.

    Two ratings are as far from one another as there are ratings between them, half of those at the
    ends counted; alpha is 1 less the mean square of that within the units, relative to that of all.
    """
    _, rated = np.unique(ranks, return_inverse=True)
    rated = rated.reshape(ranks.shape)
    counts = np.array([np.bincount(unit, minlength=rated.max() + 1) for unit in rated.T])
    total = counts.sum(axis=0)
    place = np.cumsum(total) - total / 2
    apart = (place[:, None] - place) ** 2
    within = np.sum(counts @ apart * counts) / (len(ranks) - 1)
    return 1 - within * (total.sum() - 1) / (total @ apart @ total)


def _tables(scores, higher_is_better, by=SETTING):
    """Each setting or question, the sign that makes higher better, how many settings it has, and its
    values, items × methods, each the mean over the settings; NaN where one of them is."""
    within = [name for name in SETTING if name not in by]
    for key, group in scores.groupby(by, dropna=False, sort=False):
        sign = 1 if higher_is_better[key[0]] else -1
        wide = group.pivot(index="item", columns=["method", *within], values="value")
        methods = wide.columns.get_level_values("method")
        own = {
            name: wide.loc[:, methods == name].mean(axis=1, skipna=False)
            for name in dict.fromkeys(methods)
        }
        yield key, sign, wide.shape[1] // len(own), pd.DataFrame(own)


def _clusters_of(items, clusters):
    return None if clusters is None else np.array([clusters[item] for item in items])


def _unit_ranks(maps):
    """The ranks of each map's points, centred and of length 1; NaN for a constant map."""
    ranks = centred_ranks(maps)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    unit = np.divide(ranks, length, out=np.full_like(ranks, np.nan), where=length > 0)
    return unit.astype(np.float32)

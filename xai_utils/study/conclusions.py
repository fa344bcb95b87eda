"""Sentences that draw conclusions, computed from the statistics so that they change when these do.

``verdicts`` is the table of :func:`xai_utils.study.statistics.verdicts`, ``titles`` what the
methods are called in print.
"""

from collections import Counter

import numpy as np
from scipy.stats import rankdata

from xai_utils.study.statistics import LEVEL, SETTING, holm_wilcoxon, label, winner
from xai_utils.study.wording import chance, listed, printed, some


def on_settings(verdicts):
    """How many settings of the metrics tell methods apart, and what spoils the others."""
    total, useful = len(verdicts), int(verdicts.discriminative.sum())
    if useful == total:
        return f"Every setting tells the methods apart ({total}), and no control wins in any."
    words = {"too few samples": "there are too few samples"}
    reasons = Counter(verdicts.reason[~verdicts.discriminative].replace(words))
    why = listed(f"in {count} {reason}" for reason, count in reasons.most_common())
    return f"Of {_settings(total)} {useful or 'none'} can tell the methods apart; {why}."


def on_winner(verdicts, titles):
    """Whether one method may be called the best, and if not, which lead where."""
    useful = verdicts[verdicts.discriminative]
    if useful.empty:
        return "No setting tells the methods apart, so none is called the best."
    best = winner(verdicts)
    if best is not None:
        return f"{titles[best]} leads alone wherever the methods can be told apart ({_settings(len(useful))})."
    first = Counter(useful.best).most_common(3)
    leads = listed(f"{titles[name]} ({count})" for name, count in first)
    among = Counter(name for names in useful.leaders for name in names)
    always = [titles[name] for name, count in among.items() if count == len(useful)]
    unbeaten = some(always) or "no method"
    return (
        f"No single method wins. In {_settings(len(useful))} that can tell the methods apart, the best "
        f"mean is most often that of {leads}; among the leaders in all of them: {unbeaten}."
    )


def on_setting(verdict, titles):
    """What one setting says; ``verdict`` is a row of the table."""
    if verdict.samples == 0:
        return "No sample has a value for every method, so this setting says nothing."
    best, control = titles[verdict.best], titles[verdict.best_control]
    means = f"{best} {verdict.best_mean:.3f}, {control} {verdict.control_mean:.3f}"
    if verdict.reason == "a control wins":
        return f"A control wins ({means}): this setting does not discriminate."
    if verdict.reason == "too few samples":
        return f"There are too few samples to tell ({means})."
    if not verdict.discriminative:
        return f"The methods differ no more than by chance ({means})."
    others = some(titles[name] for name in verdict.leaders if name != verdict.best)
    lead = f"{best} leads" + (f", not told apart from {others}" if others else " alone")
    beats = "beats" if verdict.gain_p < LEVEL else "does not significantly beat"
    return f"{lead}; it {beats} the best control ({means})."


def on_random(verdicts, titles):
    """Which methods do not significantly beat a random map, where settings discriminate."""
    useful = verdicts[verdicts.discriminative]
    if useful.empty:
        return "No setting can tell the methods apart, so none says which of them beat a random map."
    failed = Counter(name for names in useful.not_better_than_random for name in names)
    if not failed:
        return "Wherever the methods can be told apart, each is better than a random map."
    ordered = listed(f"{titles[name]} ({count})" for name, count in failed.most_common())
    return (
        f"Not significantly better than a random map, in how many of {_settings(len(useful))} that can "
        f"tell the methods apart: {ordered}."
    )


def on_drops(scores, verdicts, pair, titles, clusters=None):
    """What each fill says of all methods, and whether the drops of the first of a pair are lower:
    ``{fill: text}``."""
    told = {}
    for verdict in verdicts[verdicts.metric == "drop_rate"].itertuples():
        own = scores[(scores.metric == "drop_rate") & (scores.fill == verdict.fill)]
        drops = own.pivot(index="item", columns="method", values="value")[list(pair)]
        units = drops if clusters is None else drops.groupby(clusters).mean()
        told[verdict.fill] = f"{on_setting(verdict, titles)} {on_lower(units, 'drop', titles)}"
    return told


def on_audit(verdicts, agreement, fraction, titles):
    """All that an audit says, ``{name: text}``; ``agreement`` is that of the settings, ``fraction`` that
    of the course's setting."""
    course = verdicts[(verdicts.metric == "drop_rate") & (verdicts.rule == "exact")]
    course = course[course.fraction == fraction].set_index("fill")
    return {
        "settings_told": on_settings(verdicts),
        "winner": on_winner(verdicts, titles),
        "random": on_random(verdicts, titles),
        "agreement": on_agreement(agreement),
        **{f"course_{fill}": on_setting(course.loc[fill], titles) for fill in course.index},
    }


def _settings(count):
    return f"{count} setting{'' if count == 1 else 's'}"


def on_steps(steps, titles):
    """Which change of the published comparison moves the drop rates most, and what it decides.

    ``steps`` is the table of :func:`xai_utils.study.published.table_of_steps`.
    """
    order = list(dict.fromkeys(steps.step))
    rows = steps[steps.metric == "drop_rate"]
    drops = rows.pivot(index="step", columns="method", values="mean").loc[order].ffill()
    methods = [name for name in drops if name != "random"]
    moved = drops[methods].diff().abs()
    parts = []
    for name in methods:
        step = moved[name].idxmax()
        before, after = drops[name].iloc[order.index(step) - 1], drops[name][step]
        parts.append(f"for {titles[name]} at “{step}” ({before:.3f} to {after:.3f})")
    leads = drops[methods].idxmin(axis=1)
    ahead = listed(f"{drops[name].iloc[0]:.3f} for {titles[name]}" for name in methods)
    turns = [step for step, last, now in zip(order[1:], leads, leads[1:]) if now != last]
    turned = (
        f"The order turns at {listed(f'“{step}”' for step in turns)}"
        if turns
        else "No change turns the order"
    )
    lost = [step for step in order if drops.random[step] <= drops.loc[step, methods].min()]
    beaten = f"a random map is at least as good as both in {len(lost)} of the {len(order)} steps"
    return (
        f"In the published setting the drop rates are {ahead}. The largest change is {listed(parts)}. "
        f"{turned}; {beaten}" + (f" ({listed(f'“{step}”' for step in lost)})." if lost else ".")
    )


def on_seeds(drops, rankings, likeness, across, pair, titles):
    """How far what is said of the methods depends on the seed from which the network was trained.

    ``drops``, ``rankings`` and ``likeness`` are tables of :mod:`xai_utils.study.statistics`, of methods
    without controls; ``across`` is how alike the maps of the ``pair`` of methods are on one network.
    """
    first, second = pair
    number, settings = len(drops.index.unique("seed")), len(drops.index.unique("setting"))
    ahead = (drops[first] < drops[second]).groupby("setting").sum()
    best = drops.idxmin(axis=1).groupby("setting").nunique()
    alike = likeness.groupby("method").correlation.median().sort_values()
    own = listed(f"{printed(alike[name], '.2f')} for {titles[name]}" for name in pair)
    return (
        f"Kendall's correlation of the orders of {drops.shape[1]} methods, by mean drop rate, on the "
        f"networks of two seeds is {printed(rankings.tau.median(), '.2f')} in the median over "
        f"{_settings(settings)} and the pairs of {number} seeds, {printed(rankings.tau.min(), '.2f')} at "
        f"worst. In {(best == 1).sum()} of the settings all seeds have the same best method. "
        f"{titles[first]} has the lower mean with every seed in {(ahead == number).sum()} of them, "
        f"{titles[second]} in {(ahead == 0).sum()}; in {((ahead > 0) & (ahead < number)).sum()} the seed "
        f"decides. The maps of two seeds for a sample have a median rank correlation of {own}, where the "
        f"two methods on one network have {printed(across, '.2f')}. Of all methods, "
        f"{titles[alike.index[-1]]} depends least on the seed ({printed(alike.iloc[-1], '.2f')}), "
        f"{titles[alike.index[0]]} most ({printed(alike.iloc[0], '.2f')})."
    )


def on_agreement(correlations):
    """How alike the settings rank the methods: a square table of Kendall's tau."""
    above = np.triu(np.ones(correlations.shape, bool), k=1)
    pairs = correlations.where(above).stack().dropna()
    if pairs.empty:
        return "no two settings rank the methods."
    (first, second), lowest = pairs.idxmin(), pairs.min()
    return (
        f"its median over {len(pairs)} pairs of settings is {printed(pairs.median(), '.2f')}; "
        f"{first} and {second} agree least ({printed(lowest, '.2f')}), and "
        f"{100 * (pairs < 0).mean():.0f} % of the pairs are opposed."
    )


def on_claim(claim, gain, p):
    """Whether a claimed difference is there: its mean ``gain`` over the samples and its p-value."""
    facts = f"mean difference {printed(gain, '+.3f')}, {chance(p)}"
    if p >= LEVEL:
        return f"{claim}: not to be told here ({facts})."
    return f"{claim}: {'yes' if gain > 0 else 'the opposite'} ({facts})."


def on_lower(values, what, titles):
    """Which of two methods has the lower values.

    ``values`` has a column for each of the two and a row for each independent sample.
    """
    first, second = values
    differences = values[first] - values[second]
    mean, ranks = differences.mean(), (np.sign(differences) * rankdata(differences.abs())).sum()
    p = float(holm_wilcoxon(values).iloc[0, 1])
    if p >= LEVEL:
        return f"The {what}s of {titles[first]} and {titles[second]} are not told apart ({chance(p)})."
    if mean * ranks < 0:
        return (
            f"By its mean the {what} of one, by ranks that of the other is lower, of {titles[first]} "
            f"and {titles[second]} ({chance(p)})."
        )
    way = "lower" if mean < 0 else "higher"
    return (
        f"The {what} of {titles[first]} is {way} than that of {titles[second]}, by {abs(mean):.3f} on "
        f"average ({chance(p)})."
    )


def on_randomization(summary, titles, controls):
    """Whose maps remain when every layer has forgotten: rank correlations surely above zero."""
    rows = summary[(summary.metric == "rank_correlation") & ~summary.method.isin(controls)]
    remain = rows[rows.low > 0].sort_values("mean", ascending=False)
    if remain.empty:
        return "When every layer has forgotten, no method has maps that surely correlate with the old ones."
    kept = some(f"{titles[row.method]} {row['mean']:.2f}" for _, row in remain.iterrows())
    return (
        "When every layer has forgotten, the mean rank correlation with the maps of the trained network "
        f"has an interval above zero for {kept}. To that extent the order of their points comes from "
        "the input and the architecture."
    )


def on_noise(summary, titles, controls):
    """Which methods change most and least under noise."""
    rows = summary[(summary.metric == "change") & ~summary.method.isin(controls)]
    rows = rows.sort_values("mean")
    first, last = rows.iloc[0], rows.iloc[-1]
    return (
        f"{titles[first.method]} changes least ({first['mean']:.2f} of the length of the map), "
        f"{titles[last.method]} most ({last['mean']:.2f})."
    )


def scores_table(summary, verdicts, titles, settings=None):
    """Methods in rows, settings in columns, each cell the mean and its 95 % interval.

    The last row says whether a setting discriminates, and why not. ``settings`` are labels, by
    default all.
    """
    table = means_table(summary, titles)
    reasons = dict(zip(map(label, verdicts[SETTING].itertuples(index=False)), verdicts.reason))
    settings = settings or list(table.columns[1:])
    table = table[["title", *settings]].copy()
    marks = [f"no: {reasons[name]}" if reasons[name] else "yes" for name in settings]
    table.loc[len(table)] = ["Discriminates", *marks]
    return table


def verdicts_table(verdicts, titles):
    """The verdicts as they are printed: settings and methods by name, the leaders counted."""
    names = [label(setting) for setting in verdicts[SETTING].itertuples(index=False)]
    titled = {name: verdicts[name].map(titles) for name in ("best", "best_control")}
    table = verdicts.drop(columns=[*SETTING, "not_better_than_random"])
    table = table.assign(**titled, leaders=verdicts.leaders.map(len))
    table.insert(0, "setting", names)
    return table


def means_table(summary, titles):
    """Methods in rows, settings in columns, each cell the mean and its 95 % interval."""
    names = [label(setting) for setting in summary[SETTING].itertuples(index=False)]
    table = summary.assign(setting=names, cell=cells(summary))
    table = table.pivot(index="method", columns="setting", values="cell").fillna("not scored")
    table = table.loc[list(dict.fromkeys(summary.method)), list(dict.fromkeys(names))]
    return table.rename(index=titles).reset_index(names="title").rename_axis(columns=None)


def cells(summary):
    """``mean [low, high]`` of each row, or that it is undefined or has too few samples."""

    def cell(row):
        if row.undefined:
            return "undefined"
        interval = f"[{row.low:.2f}, {row.high:.2f}]" if np.isfinite(row.low) else "(no interval)"
        unbroken = f"{row['mean']:.3f} {interval}".replace(" ", "\N{NO-BREAK SPACE}")
        return unbroken.replace("-", "−")

    return [cell(row) for _, row in summary.iterrows()]

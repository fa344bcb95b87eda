"""Sentences that draw conclusions, computed from the statistics so that they change when these do.

``verdicts`` is the table of :func:`xai_utils.study.statistics.verdicts`, ``without`` the same of the
methods that do not ask what the metrics ask, ``titles`` what the methods are called in print.
"""

import re
from collections import Counter

import numpy as np

from xai_utils.study.statistics import LEVEL, SETTING, difference, label
from xai_utils.study.wording import chance, listed, printed, some

UNMARKED = "Without the methods that ask what the metric asks,"


def on_questions(verdicts, without):
    """How many questions methods answer better than every control, how many controls, how many neither."""
    (method, control, undecided), others = _verdict_counts(verdicts), _verdict_counts(without)
    return (
        f"Of {_questions(len(_asked(verdicts)))} a method beats every control in {method}, a control beats "
        f"every method in {control}, and {undecided} stay{'s' if undecided == 1 else ''} undecided. {UNMARKED} "
        f"these numbers are {listed(others)}."
    )


def _asked(verdicts):
    """The questions that any sample answers."""
    return verdicts[verdicts.verdict != "no sample"]


def _verdict_counts(verdicts):
    """Method, control, undecided."""
    return [int((verdicts.verdict == name).sum()) for name in ("method", "control", "undecided")]


def on_winner(verdicts, titles, without=None):
    """Which methods beat every control, and in how many questions."""
    total, best = _questions(len(_asked(verdicts))), _wins(verdicts, titles)
    if not best:
        return f"No method beats every control in any of {total}."
    told = f"Every control is beaten by {best}, of {total}."
    if without is None:
        return told
    others = _wins(without, titles)
    if others == best:
        return f"{told} {UNMARKED} these are the same."
    return f"{told} {UNMARKED} {f'these are {others}' if others else 'there is none'}."


def _wins(verdicts, titles):
    won = verdicts.beating[verdicts.verdict == "method"]
    return _some_in(Counter(name for names in won for name in names), titles)


def _some_in(counts, titles):
    """The most frequent first, those that are equal in the order of the titles: ``RISE in 2, LIME in 1``."""
    order = sorted(counts, key=lambda name: (-counts[name], list(titles).index(name)))
    return some(f"{titles[name]} in {counts[name]}" for name in order)


def on_setting(verdict, titles, methods="every method"):
    """What one setting or question says; ``verdict`` is a row of the table, ``methods`` says of how many."""
    if verdict.verdict == "no sample":
        return "No sample has a value for every method, so this says nothing."
    if verdict.verdict == "undecided":
        return f"Undecided: no method beats every control, and no control {methods} ({_pair(verdict, titles)})."
    names = some(titles[name] for name in verdict.beating)
    beat = "beats" if len(verdict.beating) == 1 else "beat"
    if verdict.verdict == "method":
        return f"{names} {beat} every control ({_pair(verdict, titles)})."
    return f"{names} {beat} {methods} ({_pair(verdict, titles, turned=True)})."


def _pair(verdict, titles, turned=False):
    """The best method and the best control, or ``turned`` the other way round, and how far the first is
    ahead."""
    shown = [(verdict.best, verdict.best_mean), (verdict.best_control, verdict.control_mean)]
    ahead = verdict.gain, verdict.low, verdict.high
    if turned:
        shown, ahead = shown[::-1], (-verdict.gain, -verdict.high, -verdict.low)
    means = ", ".join(f"{titles[name]} {mean:.3f}" for name, mean in shown)
    gain, low, high = (printed(number, "+.3f") for number in ahead)
    return f"{means}, the first ahead by {gain} [{low}, {high}], {chance(verdict.p)}"


def on_random(verdicts, titles):
    """Which methods do not beat a random map, and in how many questions."""
    failed = Counter(name for names in verdicts.not_better_than_random for name in names)
    asked = _questions(len(_asked(verdicts)))
    if not failed:
        return f"In each of {asked} every method is found better than a random map."
    return f"Not found better than a random map, of {asked}: {_some_in(failed, titles)}."


def on_power(verdicts):
    """What difference the samples would have shown."""
    found = verdicts.detectable.dropna()
    within = found[np.isfinite(found)]
    if within.empty:
        return "So few samples show no difference between a method and a control, however large."
    never = len(found) - len(within)
    return (
        "With so many samples the difference of a given method and control is found eight times in ten where "
        f"it is {printed(within.min(), '.2f')} to {printed(within.max(), '.2f')}, depending on the question "
        f"({printed(within.median(), '.2f')} in the median)"
        + (f"; in {never} none would be found, however large." if never else ".")
    )


def on_units(verdicts, p, number, units):
    """Which of the decided questions stay so where larger ``units`` are drawn and tested together, of which
    there are ``number``; ``p`` ``(n,)`` are those of :func:`statistics.confirmed`."""
    decided = verdicts.verdict.isin(("method", "control"))
    lost = verdicts[decided & ~(p < LEVEL)]
    names = [label((row.metric, row.fraction, "", "")) for row in lost.itertuples()]
    told = f", not in {some(names)}" if names else ""
    return (
        f"With whole {units} in the place of parent images, of which there are {number}, the best method and the "
        f"best control are told apart in {decided.sum() - len(lost)} of the {decided.sum()} decided "
        f"questions{told}. So few {units} give no p-value below {2.0 ** (1 - number):.2g}; the pairs "
        f"were chosen on the same samples, and are corrected for each other only."
    )


def on_drops(scores, verdicts, pair, titles, clusters=None):
    """What each fill says of all methods, and whether the drops of the first of a pair are lower:
    ``{fill: text}``."""
    told = {}
    for verdict in verdicts[verdicts.metric == "drop_rate"].itertuples():
        own = scores[(scores.metric == "drop_rate") & (scores.fill == verdict.fill)]
        drops = own.pivot(index="item", columns="method", values="value")[list(pair)]
        told[verdict.fill] = (
            f"{on_setting(verdict, titles, 'both methods')} {on_lower(drops, 'drop', titles, clusters)}"
        )
    return told


def on_audit(verdicts, without, course, agreement, titles):
    """All that an audit says, ``{name: text}``; ``course`` are the verdicts on the settings of the course,
    ``agreement`` is that of the settings."""
    return {
        "questions": on_questions(verdicts, without),
        "winner": on_winner(verdicts, titles, without),
        "random": on_random(verdicts, titles),
        "power": on_power(verdicts),
        "agreement": on_agreement(agreement),
        **{f"course_{row.fill}": on_setting(row, titles) for row in course.itertuples()},
    }


def _questions(count):
    return f"{count} question{'' if count == 1 else 's'}"


def on_pair(found, titles):
    """Which of two methods is ahead, and where each stands beside the best control; ``found`` as
    :func:`xai_utils.study.answer.judged` gives it."""
    first, second = found["pair"]
    one, other = (f"{found['means'][name]:.3f}" for name in found["pair"])
    way = {
        "drop_rate": "loses less of the confidence than",
        "increase_rate": "raises the confidence of more samples than",
        "energy": "has more of its map inside than",
        "bounding_box": "has more of its highest points inside than",
    }
    if found["p"]["pair"] < LEVEL:
        told = f"{titles[first]} {way[found['metric']]} {titles[second]} ({one} against {other})"
    else:
        told = f"{titles[first]} and {titles[second]} are not told apart ({one} and {other})"
    best = (
        f"the best control ({titles[found['control']].lower()}, {found['means'][found['control']]:.3f})"
    )
    stands = [_beside(found["p"][name], found["is_ahead"][name]) for name in found["pair"]]
    if stands[0] == stands[1]:
        both = "neither is told apart from" if stands[0] == NOT_TOLD else f"both are {stands[0]}"
        return f"{told}; {both} {best}."
    return f"{told}; {titles[first]} is {stands[0]} {best}, {titles[second]} is {stands[1]} it."


NOT_TOLD = "not told apart from"


def _beside(p, is_ahead):
    """Where a method stands beside a control."""
    return NOT_TOLD if p >= LEVEL else "ahead of" if is_ahead else "behind"


def on_steps(gaps, titles, repaired):
    """What the tests find of two methods as they were published, and at the step where all is ``repaired``; which
    change is largest; and where a random map is better.

    ``gaps`` is the table of :func:`xai_utils.study.published.gaps_of_steps`.
    """
    drops = gaps[gaps.metric == "drop_rate"].set_index("step")
    pair = list(gaps.columns[2:4])
    moved = max(pair, key=lambda name: drops[name].diff().abs().max())
    return (
        f"{on_repair(gaps, titles, repaired)} No change is larger than that of "
        f"{_largest_move(drops[moved], titles[moved])}."
    )


def on_repair(gaps, titles, repaired):
    """What the tests find of two methods at the first step and where all is ``repaired``, by both rates, and at how
    many steps they find a random map better than both."""
    pair = list(gaps.columns[2:4])
    told, better = {}, []
    for rate in ("drop", "increase"):
        own = gaps[gaps.metric == f"{rate}_rate"].set_index("step")
        for step in (own.index[0], repaired):
            row = own.loc[step]
            means = f"{row[pair[0]]:.3f} and {row[pair[1]]:.3f}"
            told[rate, step] = f"{_verdict_at(row, rate, pair, titles)} ({means})"
        better.append(f"{(own.random_is == 'better').sum()} by {rate}")
    first = own.index[0]
    return (
        f"As published, {told['drop', first]} by drop and {told['increase', first]} by increase, the figures being "
        f"those of {titles[pair[0]]} and {titles[pair[1]]}. After all repairs {told['drop', repaired]} by drop and "
        f"{told['increase', repaired]} by increase. Of {len(own)} steps a random map is better than both at "
        f"{' and '.join(better)}."
    )


def _verdict_at(row, rate, pair, titles):
    if row.p >= LEVEL:
        return "they are not told apart"
    first_is_ahead = (row.gap > 0) == (rate == "increase")
    return f"{titles[pair[0] if first_is_ahead else pair[1]]} is ahead"


def _largest_move(drops, title):
    step = drops.diff().abs().idxmax()
    before = drops.iloc[drops.index.get_loc(step) - 1]
    return f"{title} at “{step}” ({before:.3f} to {drops[step]:.3f})"


def on_seeds(drops, rankings, without, likeness, across, pair, titles):
    """How far what is said of the methods depends on the seed from which the network was trained.

    ``drops``, ``rankings`` and ``likeness`` are tables of :mod:`xai_utils.study.statistics`, of methods
    without controls, ``without`` the rankings of those that do not ask what the metric asks; ``across`` is
    how alike the maps of the ``pair`` of methods are on one network.
    """
    first, second = pair
    number, asked = len(drops.index.unique("seed")), len(drops.index.unique("question"))
    ahead = (drops[first] < drops[second]).groupby("question").sum()
    best = drops.idxmin(axis=1).groupby("question").nunique()
    alike = likeness.groupby("method").correlation.median().sort_values()
    own = listed(f"{printed(alike[name], '.2f')} for {titles[name]}" for name in pair)
    return (
        f"Kendall's correlation of the orders of {drops.shape[1]} methods on the networks of two seeds is "
        f"{printed(rankings.tau.median(), '.2f')} in the median over {_questions(asked)} and the pairs of {number} "
        f"seeds, {printed(rankings.tau.min(), '.2f')} at worst. Without the methods that ask what the metric asks "
        f"these are {printed(without.tau.median(), '.2f')} and {printed(without.tau.min(), '.2f')}. The means "
        f"alone, untested: all seeds have the same best method in {(best == 1).sum()} of the questions; "
        f"{titles[first]} has the lower one with every seed in {(ahead == number).sum()}, {titles[second]} in "
        f"{(ahead == 0).sum()}, and the seed decides in {((ahead > 0) & (ahead < number)).sum()}. For one sample "
        f"the maps of two seeds have a median rank correlation of {own}; the two methods on one network have "
        f"{printed(across, '.2f')}. It is highest for {titles[alike.index[-1]]} "
        f"({printed(alike.iloc[-1], '.2f')}) and lowest for {titles[alike.index[0]]} "
        f"({printed(alike.iloc[0], '.2f')})."
    )


def on_agreement(correlations):
    """How alike the settings rank the methods: a square table of Kendall's tau."""
    above = np.triu(np.ones(correlations.shape, bool), k=1)
    pairs = correlations.where(above).stack().dropna()
    if pairs.empty:
        return "No two settings rank the methods."
    (first, second), lowest = pairs.idxmin(), pairs.min()
    return (
        f"The median over {len(pairs)} pair{'s' * (len(pairs) > 1)} of settings is "
        f"{printed(pairs.median(), '.2f')}; {first} and {second} agree least ({printed(lowest, '.2f')}), "
        f"and {(pairs < 0).sum()} of the pairs are opposed."
    )


def on_claim(claim, found):
    """Whether a claimed difference is there, ``found`` as :func:`statistics.difference` gives it."""
    if found[-1] >= LEVEL:
        return f"It was claimed that {claim}; no difference is found ({_found(found)})."
    says = "that is found" if found[0] > 0 else "the opposite is found"
    return f"It was claimed that {claim}; {says} ({_found(found)})."


def on_lower(values, what, titles, clusters=None):
    """Which of two methods has the lower values.

    ``values`` has a column for each of the two and a row for each sample, ``clusters`` ``{item: cluster}``.
    """
    first, second = values
    groups = None if clusters is None else values.index.map(clusters)
    found = difference(values[first], values[second], groups)
    if found[-1] >= LEVEL:
        return (
            f"The {what}s of {titles[first]} and {titles[second]} are not told apart ({_found(found)})."
        )
    way = "lower" if found[0] < 0 else "higher"
    return f"The {what} of {titles[first]} is {way} than that of {titles[second]} ({_found(found)})."


def _found(found):
    mean, low, high = (printed(number, "+.3f") for number in found[:3])
    return f"difference {mean} [{low}, {high}], {chance(found[-1])}"


def on_networks(table, titles):
    """What a random map costs the course's network and ours, and which single difference between these brings the
    two nearer to each other.

    ``table`` as :func:`xai_utils.study.disagreement.compared` gives it.
    """
    rows = table.set_index("network")
    nearer, further, unfound = [], [], []
    for name in (name for name in rows.index if name not in ("course", "ours", "short")):
        now, before = rows.random[name], rows.random[name] - rows.change[name]
        other = rows.random["ours" if name == "course_small" else "course"]
        told = f"{rows.title[name]} ({before:.3f} to {now:.3f}, {chance(rows.change_p[name])})"
        closes = abs(now - other) < abs(before - other)
        (unfound if rows.change_p[name] >= LEVEL else nearer if closes else further).append(told)
    found = [
        f"Of single changes, tests find it {way} with {listed(names)}."
        for way, names in (("nearer", nearer), ("further away", further))
        if names
    ] + [f"Nothing is found with {listed(unfound)}."] * bool(unfound)
    gap = rows.loc["ours", ["change", "change_low", "change_high", "change_p"]].tolist()
    ahead = np.where(rows.p >= LEVEL, "", np.where(rows.gap > 0, "grad_cam", "integrated_gradients"))
    return (
        f"A random map has a drop rate of {rows.random.course:.3f} on the course's network and of "
        f"{rows.random.ours:.3f} on ours ({_found(gap)}). {' '.join(found)} "
        f"{'' if nearer else 'So the cause is not found. '}Grad-CAM has the lower drop on "
        f"{(ahead == 'grad_cam').sum()} of the {len(rows)} networks, {titles['integrated_gradients']} on "
        f"{(ahead == 'integrated_gradients').sum()}."
    )


def on_randomization(summary, titles, controls, pair):
    """Whose maps remain when every layer has forgotten: rank correlations, those of the ``pair`` first, and those
    that are surely above zero."""
    rows = summary[(summary.metric == "rank_correlation") & ~summary.method.isin(controls)]
    own = rows.set_index("method")
    told = " and ".join(
        f"{printed(own.loc[m, 'mean'], '.2f')} [{printed(own.low[m], '.2f')}, {printed(own.high[m], '.2f')}] for {titles[m]}"
        for m in pair
    )
    remain = rows[rows.low > 0].sort_values("mean", ascending=False)
    kept = some(f"{titles[row.method]} {row['mean']:.2f}" for _, row in remain.iterrows())
    return (
        "With every layer drawn anew, the mean rank correlation with the maps of the trained network is "
        f"{told}. "
        + (
            f"Its interval lies above zero for {kept}; so much of their order comes from the input, the "
            "architecture, or draws that both networks share."
            if len(remain)
            else "For no method does its interval lie above zero."
        )
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

    The last row says who is ahead in a setting. ``settings`` are labels, by default all.
    """
    table = means_table(summary, titles)
    marks = dict(zip(map(label, verdicts[SETTING].itertuples(index=False)), verdicts.verdict))
    settings = settings or list(table.columns[1:])
    table = table[["title", *settings]].copy()
    table.loc[len(table)] = ["Verdict", *(marks[name] for name in settings)]
    return table


def verdicts_table(verdicts, titles):
    """The verdicts on questions as they are printed: questions and methods by name, with their means, and
    how many beat all of the others."""
    asked = zip(verdicts.metric, verdicts.fraction)
    names = [label((metric, fraction, "", "")) for metric, fraction in asked]
    names = [
        re.sub("^multiplied (.+)", r"\1 × map", name) for name in names
    ]  # or it is too wide to print
    table = verdicts.drop(columns=["metric", "fraction", "not_better_than_random", "beating"])
    for name, mean in (("best", "best_mean"), ("best_control", "control_mean")):
        pairs = zip(verdicts[name], verdicts[mean], verdicts.samples)
        table[name] = [f"{titles[who]} {value:.3f}" if count else "" for who, value, count in pairs]
    table["verdict"] = [
        f"{len(beating)} {verdict}{'s' * (len(beating) > 1)}" if beating else verdict
        for verdict, beating in zip(verdicts.verdict, verdicts.beating)
    ]
    table.insert(0, "question", names)
    from_ = [
        "none" if np.isinf(value) else f"{value:.2f}" for value in verdicts.detectable.fillna(np.inf)
    ]
    return table.assign(interval=_intervals(verdicts), detectable=from_)


def _intervals(verdicts):
    return [
        f"{printed(row.gain, '+.2f')} [{printed(row.low, '.2f')}, {printed(row.high, '.2f')}]".replace(
            " ", "\N{NO-BREAK SPACE}"
        )
        if row.samples
        else ""
        for row in verdicts.itertuples()
    ]


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

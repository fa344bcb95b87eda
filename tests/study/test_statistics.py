import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, permutation_test, spearmanr

from xai_utils.study import statistics
from xai_utils.study.statistics import SETTING

BETTER = {"gain": True, "loss": False}
GAIN = ("gain", np.nan, "", "")
HALF = ("gain", 0.5, "black", "exact")
LOSS = ("loss", 0.9, "black", "exact")


def planted(rng, **levels):
    """Values, 60 items × methods: what is good of each item, each method's level, and noise."""
    noise = rng.normal(scale=0.3, size=(60, len(levels)))
    return pd.DataFrame(rng.normal(size=(60, 1)) + list(levels.values()) + noise, columns=[*levels])


def scores_of(tables):
    """The tidy table of ``{setting: values, items × methods}``."""
    return pd.concat(
        values.rename_axis("item")
        .reset_index()
        .melt("item", var_name="method")
        .assign(**dict(zip(SETTING, setting)))
        for setting, values in tables.items()
    )


def verdict_on(values, setting=GAIN, controls=("random",), clusters=None):
    scores = scores_of({setting: values})
    return statistics.verdicts(scores, BETTER, list(controls), clusters).loc[0]


def answer_to(tables, controls=("random",), clusters=None):
    """The verdict on the one question that the settings of ``tables`` ask."""
    [row] = statistics.verdicts(
        scores_of(tables), BETTER, list(controls), clusters, statistics.QUESTION
    ).itertuples()
    return row


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_agreement_is_the_median_rank_correlation_of_the_samples():
    first, second = np.random.default_rng(0).random((2, 5, 6, 4))
    second = np.round(second, 1)  # with ties
    table = statistics.rank_agreement({"a": first, "b": second, "-a": -first, "a³": first**3})
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(first, second)]
    assert table.loc["a", "b"] == pytest.approx(np.median(expected), abs=1e-6)
    assert table.loc["a", "-a"] == pytest.approx(-1) and table.loc["a", "a³"] == pytest.approx(1)
    assert np.allclose(table, table.T)


def test_constant_maps_do_not_count():
    first, second = np.random.default_rng(0).random((2, 3, 10))
    expected = spearmanr(first[2], second[2]).statistic
    first[0], second[1] = 0, 4
    table = statistics.rank_agreement({"a": first, "b": second, "zero": np.zeros((3, 10))})
    assert table.loc["a", "b"] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(table.loc["a", "zero"])


def test_the_pairs_that_agree_most_and_least():
    names = ["a", "b", "c"]
    table = pd.DataFrame([[1, 0.5, -0.2], [0.5, 1, 0.9], [-0.2, 0.9, 1]], names, names)
    assert statistics.extremes(table) == [["b", "c", 0.9], ["a", "c", -0.2]]


def test_labels_leave_out_what_does_not_apply():
    assert statistics.label(LOSS) == "loss 90 % black"
    assert statistics.label(GAIN) == "gain"
    assert statistics.label(("gain", 0.07, "", "exact")) == "gain 7 %"
    assert statistics.label(("big_gain", 0.5, "", "published")) == "big gain 50 % (published rule)"


def test_the_interval_is_that_of_scipy_for_independent_samples(rng):
    values = rng.exponential(size=(80, 3)) * [1, 5, 20]
    low, high = statistics.bootstrap_interval(values)
    expected = bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=1
    ).confidence_interval
    width = expected.high - expected.low
    np.testing.assert_allclose((low - expected.low) / width, 0, atol=0.03)
    np.testing.assert_allclose((high - expected.high) / width, 0, atol=0.03)


def test_clusters_are_drawn_whole():
    """Of two clusters, one sample with mean 0 and two with 3: a mean of 0, 2 or 3."""
    low, high = statistics.bootstrap_interval(np.array([[0.0], [2.0], [4.0]]), ["a", "b", "b"])
    assert (low, high) == (0, 3)
    low, high = statistics.bootstrap_interval(np.array([[2.0], [0.0], [4.0]]), ["b", "a", "b"])
    assert (low, high) == (0, 3)


def test_the_interval_covers_the_mean_as_often_as_it_says_if_it_knows_the_clusters(rng):
    """300 data sets, a column each: 40 clusters of 5 samples that correlate by 0.8, with mean 7."""
    cluster = np.repeat(np.arange(40), 5)
    shared = rng.normal(scale=np.sqrt(0.8), size=(40, 300))[cluster]
    values = 7 + shared + rng.normal(scale=np.sqrt(0.2), size=(200, 300))

    def coverage(clusters):
        low, high = statistics.bootstrap_interval(values, clusters, resamples=2000)
        return np.mean((low < 7) & (high > 7))

    assert 0.9 <= coverage(cluster) <= 0.98
    assert coverage(None) < 0.8


def test_draws_that_differ_widen_the_interval_of_samples_and_draws(rng):
    """300 experiments of 40 samples under five draws, whose own level varies: with mean 7."""
    covered = {"both": 0, "samples": 0}
    for _ in range(300):
        values = (
            7 + rng.normal(size=(40, 1)) * 0.3 + rng.normal(size=5) + rng.normal(size=(40, 5)) * 0.3
        )
        low, high = statistics.crossed_interval(values, resamples=300)
        covered["both"] += low < 7 < high
        [low], [high] = statistics.bootstrap_interval(values.mean(axis=1)[:, np.newaxis], resamples=300)
        covered["samples"] += low < 7 < high
    # Of five draws too few are seen for the whole 95 %.
    assert 0.75 <= covered["both"] / 300 <= 0.97 and covered["samples"] / 300 < 0.3


def test_one_draw_has_the_interval_of_its_samples(rng):
    values, cluster = rng.normal(size=(60, 1)), np.arange(60) // 3
    crossed = statistics.crossed_interval(values, cluster, resamples=10_000)
    [low], [high] = statistics.bootstrap_interval(values, cluster)
    assert crossed == pytest.approx((low, high), abs=0.02)
    assert np.isnan(statistics.crossed_interval(values, np.zeros(60))).all()


def test_a_summary_of_draws_is_over_samples_and_draws(rng):
    rows = [
        ("rise", "ssim", np.nan, "", rule, item, item + 10 * draw)
        for draw, rule in enumerate(("all", "all #2"))
        for item in range(6)
    ]
    scores = pd.DataFrame(rows, columns=["method", *SETTING, "item", "value"])
    [row] = statistics.summarize_draws(scores).itertuples()
    assert (row.method, row.metric, row.rule, row.samples) == ("rise", "ssim", "all", 6)
    assert row.mean == pytest.approx(2.5 + 5) and row.low < 4 < 11 < row.high
    scores.loc[0, "value"] = np.nan
    [row] = statistics.summarize_draws(scores).itertuples()
    assert row.undefined == 1 and np.isnan(row.mean) and np.isnan(row.low)


def test_the_same_seed_gives_the_same_interval(rng):
    values = rng.random((30, 2))
    first, again = (statistics.bootstrap_interval(values, resamples=200) for _ in range(2))
    other = statistics.bootstrap_interval(values, resamples=200, seed=1)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_no_interval_without_values_or_with_one_cluster(rng):
    values = rng.random((10, 2))
    assert np.isnan(statistics.bootstrap_interval(values, ["a"] * 10)).all()
    values[3, 1] = np.nan
    low, high = statistics.bootstrap_interval(values, resamples=100)
    assert low[0] < high[0] and np.isnan(low[1]) and np.isnan(high[1])


def test_a_summary_hides_no_undefined_value(rng):
    values = planted(rng, good=1, bad=0)
    part = planted(rng, good=1, bad=0).iloc[:20]
    part.loc[[3, 7], "bad"] = np.nan
    rows = statistics.summarize(scores_of({HALF: values, GAIN: part}), resamples=500)
    assert list(rows) == ["method", *SETTING, "mean", "low", "high", "samples", "undefined"]
    assert rows.method.tolist() == ["good", "bad"] * 2 and rows.metric.eq("gain").all()
    assert rows.samples.tolist() == [60, 60, 20, 20] and rows.undefined.tolist() == [0, 0, 0, 2]
    assert rows["mean"][:3].tolist() == pytest.approx([*values.mean(), part.good.mean()])
    assert (rows.low < rows["mean"])[:3].all() and (rows["mean"] < rows.high)[:3].all()
    assert rows.loc[3, ["mean", "low", "high"]].isna().all()


def test_a_summary_uses_the_clusters_of_the_items_in_any_order(rng):
    values = planted(rng, good=1, bad=0)
    cluster = np.arange(60) // 6
    low, high = statistics.bootstrap_interval(values.to_numpy(), cluster)
    rows = statistics.summarize(scores_of({GAIN: values.sample(frac=1)}), dict(enumerate(cluster)))
    assert rows.low.to_numpy() == pytest.approx(low)
    assert rows.high.to_numpy() == pytest.approx(high)


def test_a_pair_is_tested_by_all_signs_of_its_differences(rng):
    """Of eight samples there are 256 flips, which SciPy goes through; here some are drawn."""
    first, second = rng.normal(size=(2, 8)) + [[0.8], [0.0]]
    exact = permutation_test(
        (first, second), lambda a, b, axis: np.mean(a - b, axis), permutation_type="samples",
        vectorized=True,
    )  # fmt: skip
    mean, low, high, p = statistics.difference(first, second)
    assert p == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / statistics.FLIPS))
    assert mean == pytest.approx(first.mean() - second.mean()) and low < mean < high


def test_five_of_five_equal_differences_have_the_chance_of_equal_signs():
    """2/2⁵; samples without a difference say nothing."""
    p = statistics.difference(np.zeros(8), np.array([1.0] * 5 + [0.0] * 3))[-1]
    assert p == pytest.approx(2 / 32, abs=0.01)


def test_a_sample_without_both_values_counts_for_nothing(rng):
    first, second = rng.normal(size=(2, 20)) + [[0.5], [0.0]]
    clusters = np.arange(20) // 2
    complete = statistics.difference(first[2:], second[2:], clusters[2:])
    first[0], second[1] = np.nan, np.nan
    assert statistics.difference(first, second, clusters) == pytest.approx(complete)


def test_two_classifiers_are_compared_by_where_one_is_right_and_the_other_wrong():
    """Eight against one of nine: 2 · (1 + 9) / 2⁹, however many agree (McNemar's exact test)."""
    one = np.array([True] * 8 + [False] + [True] * 20 + [False] * 5)
    other = np.array([False] * 8 + [True] + [True] * 20 + [False] * 5)
    mean, *_, p = statistics.difference(one, other)
    assert mean == pytest.approx(7 / 34) and p == pytest.approx(20 / 512, abs=0.008)


def test_what_differs_by_nothing_or_by_rounding_is_not_told_apart():
    """0.3 - 0.2 is less than 0.2 - 0.1 in floats; the four of each must tie."""
    values = pd.DataFrame({"a": [0.3] * 4 + [0.1] * 4, "b": 0.2, "c": 0.1 + 0.1})
    [p_values], _ = statistics.told_apart([values], [None])
    assert (p_values == 1).all(axis=None)
    near = pd.DataFrame({"a": np.full(9, 0.1), "b": np.full(9, 0.1 + 1e-15)})
    [p_values], _ = statistics.told_apart([near], [None])
    assert (p_values == 1).all(axis=None)


def test_digits_that_a_processor_decides_about_change_no_p_value(rng):
    """Two methods that differ in the seventh digit only, in another way on another processor."""
    values = planted(rng, a=0.05, b=0, random=0)[:12]
    tables = [values.assign(twin=values.b + rng.normal(scale=1e-6, size=12)) for _ in range(2)]
    one, other = (statistics.told_apart([table], [None])[0][0] for table in tables)
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert one.loc["b", "twin"] > 0.99


def test_p_values_are_corrected_for_all_that_is_compared(rng, monkeypatch):
    """Where nothing differs, something is told apart in a twentieth of the audits; uncorrected in most."""
    monkeypatch.setattr(statistics, "FLIPS", 1000)
    corrected, single = [], []
    for _ in range(200):
        tables = [pd.DataFrame(rng.normal(size=(25, 5))) for _ in range(3)]
        p_values, critical = statistics.told_apart(tables, [None] * 3)
        corrected.append(min(table.min(axis=None) for table in p_values) < 0.05)
        single.append(statistics.told_apart([tables[0][[0, 1]]], [None])[0][0].min(axis=None) < 0.05)
        assert critical > 2.5  # one pair alone: about 2
    assert np.mean(corrected) == pytest.approx(0.05, abs=0.045)
    assert np.mean(single) == pytest.approx(0.05, abs=0.045)


def test_the_signs_of_clusters_are_flipped_whole(rng):
    """Each sample twice in its cluster is no more evidence; as samples of their own it would be."""
    first, second = rng.normal(size=(2, 20)) + [[0.5], [0.0]]
    once = statistics.difference(first, second, np.arange(20))[-1]
    twice = [np.tile(values, 2) for values in (first, second)]
    assert statistics.difference(*twice, np.tile(np.arange(20), 2))[-1] == pytest.approx(once, abs=1e-9)
    assert statistics.difference(*twice)[-1] < 0.5 * once


def test_a_method_that_beats_every_control_is_found(rng):
    values = planted(rng, poor=-0.3, good=1, fair=0.5, random=0, blank=-1)
    verdict = verdict_on(values, controls=["blank", "random"])
    assert verdict.verdict == "method" and verdict.beating == ["good", "fair"]
    assert (verdict.best, verdict.best_control, verdict.told) == ("good", "random", 2)
    assert verdict.best_mean == pytest.approx(values.good.mean())
    assert verdict.control_mean == pytest.approx(values.random.mean())
    assert verdict.gain == pytest.approx(values.good.mean() - values.random.mean())
    low, high = statistics.bootstrap_interval((values.good - values.random).to_numpy()[:, np.newaxis])
    assert (verdict.low, verdict.high) == (low.item(), high.item()) and verdict.p < 0.001
    assert verdict.not_better_than_random == ["poor"]
    assert (verdict.settings, verdict.samples, verdict.clusters) == (1, 60, 60)


def test_lower_is_better_where_the_metric_says_so(rng):
    values = planted(rng, good=-1, fair=-0.5, poor=-0.2, random=0)
    verdict = verdict_on(values, LOSS)
    assert verdict.best == "good" and verdict.beating == ["good", "fair", "poor"]
    assert verdict.best_mean == pytest.approx(values.good.mean()) and verdict.gain > 0.8
    assert verdict_on(values, HALF).verdict == "control"


def test_a_control_that_wins_by_construction_wins(rng):
    verdict = verdict_on(
        planted(rng, good=1, poor=0, random=-1, edges=1.5), controls=["random", "edges"]
    )
    assert verdict.verdict == "control" and verdict.beating == ["edges"] and verdict.gain < 0


def test_an_untested_winner_is_none(rng):
    """A control whose mean is the best by a little, and a method that equals the best control."""
    values = planted(rng, good=1, poor=0, random=-1)
    noise = rng.normal(0, 0.3, 60)
    values["edges"] = values.good + noise - noise.mean() + 0.02
    assert values.edges.mean() > values.good.mean()
    verdict = verdict_on(values, controls=["random", "edges"])
    assert verdict.verdict == "undecided" and verdict.beating == [] and verdict.gain < 0
    values["edges"] = values.good
    assert verdict_on(values, controls=["random", "edges"]).verdict == "undecided"


def test_what_is_shown_of_a_verdict_is_of_a_method_that_beats(rng):
    """The best mean comes from one sample, and no test finds it; the second best beats every control."""
    values = planted(rng, steady=1, random=0).assign(lucky=0.0)
    values.loc[0, "lucky"] = 120.0
    verdict = verdict_on(values)
    assert values.lucky.mean() > values.steady.mean()
    assert verdict.verdict == "method" and verdict.best == "steady" and verdict.p < 0.05


def test_a_tie_is_undecided_and_has_no_leader(rng):
    verdict = verdict_on(planted(rng, a=0, b=0, c=0, random=0))
    assert verdict.verdict == "undecided" and verdict.told == 0
    same = pd.DataFrame(1.0, index=range(9), columns=list("abc")).assign(random=1.0)
    assert verdict_on(same).verdict == "undecided" and verdict_on(same).p == 1


def test_settings_of_a_question_are_replicates_and_no_votes(rng):
    """The same answers under a second fill are no more evidence; other answers are averaged."""
    values = planted(rng, good=0.12, poor=0, random=0)
    once, again = (
        answer_to({HALF: values}),
        answer_to({HALF: values, ("gain", 0.5, "mean", "exact"): values}),
    )
    assert (once.settings, again.settings, again.samples) == (1, 2, 60)
    assert again.p == once.p and again.gain == pytest.approx(once.gain)
    other = planted(rng, good=-0.12, poor=0, random=0)
    both = answer_to({HALF: values, ("gain", 0.5, "mean", "exact"): other})
    means = ((values + other) / 2).mean()
    assert both.best_mean == pytest.approx(means[both.best])


def test_one_family_is_all_that_stands_in_the_table(rng):
    """The same setting beside twenty others, in which nothing differs, has a larger p-value."""
    values = planted(rng, good=0.25, poor=0, random=0)
    others = {
        ("gain", share, "", ""): planted(rng, good=0, poor=0, random=0)
        for share in np.linspace(0.1, 0.9, 20)
    }
    alone = verdict_on(values)
    first = statistics.verdicts(scores_of({GAIN: values} | others), BETTER, ["random"]).loc[0]
    assert first.gain == pytest.approx(alone.gain) and first.p > 2 * alone.p


@pytest.mark.parametrize("sizes", [[1] * 60, [12, 9, 7, 6, 5, 4, *[3] * 5, *[2] * 15, *[1] * 25]])
def test_what_would_have_been_found_is_found_eight_times_in_ten(rng, monkeypatch, sizes):
    """Of independent samples, and of clusters as unlike as those of the tiles, each with a part of its own."""
    monkeypatch.setattr(statistics, "FLIPS", 2000)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    clusters = dict(enumerate(labels))

    def draw(gain):
        drawn = rng.normal(size=(len(labels), 2)) + rng.normal(size=(len(sizes), 2))[labels]
        return pd.DataFrame(drawn + [gain, 0], columns=["good", "random"])

    size = np.median([verdict_on(draw(0), clusters=clusters).detectable for _ in range(60)])
    found = [
        statistics.told_apart([draw(size)], [labels])[0][0].loc["good", "random"] < 0.05
        for _ in range(300)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


def test_what_no_shift_could_tell_is_never_found(rng):
    """Three samples; ten clusters of which one is large, beside so many other questions that the test asks
    for more than equal signs of all."""
    assert verdict_on(planted(rng, good=1, random=0)[:3]).detectable == np.inf
    sizes = [27, 15, 12, 7, 7, 7, 6, 5, 5, 5]
    labels = np.repeat(np.arange(10), sizes)
    names = {"random": 0.0} | {f"method {n}": 0.0 for n in range(8)}
    tables = {
        ("gain", share, "", ""): pd.DataFrame(rng.normal(size=(96, 9)), columns=list(names))
        for share in np.linspace(0.1, 0.9, 16)
    }
    tables["gain", 0.1, "", ""]["method 0"] += 100
    found = statistics.verdicts(
        scores_of(tables), BETTER, ["random"], dict(enumerate(labels)), statistics.QUESTION
    )
    assert found.verdict[0] == "undecided" and (found.detectable == np.inf).all()
    equal = pd.DataFrame({"good": np.ones(7), "random": [0.0] * 6 + [0.001]})
    assert 0 < verdict_on(equal).detectable < 0.01


def test_the_pair_that_decides_a_question_is_tested_alone_by_other_clusters(rng):
    """Ten slides tell a large difference where one pair a question is tested, and no small one."""
    labels = np.repeat(np.arange(10), [27, 15, 12, 7, 7, 7, 6, 5, 5, 5])
    tables = {
        ("gain", share, "", ""): pd.DataFrame(
            rng.normal(size=(96, 3)), columns=["good", "poor", "random"]
        )
        for share in (0.1, 0.2, 0.3)
    }
    tables["gain", 0.1, "", ""]["good"] += 3
    tables["gain", 0.3, "", ""]["poor"] = np.nan
    scores = scores_of(tables)
    found = statistics.verdicts(scores, BETTER, ["random"], by=statistics.QUESTION)
    p = statistics.confirmed(scores, found, BETTER, dict(enumerate(labels)))
    assert found.verdict.tolist() == ["method", "undecided", "no sample"]
    assert p[0] < 0.02 and p[1] > 0.05 and np.isnan(p[2])


def test_what_is_left_out_of_a_verdict_is_tested_with_the_others(rng):
    """The control that wins by construction, and the method that asks what the metric asks."""
    values = planted(rng, good=1, asking=2, random=0, blank=3)
    scores = scores_of({HALF: values})

    def verdict(**left_out):
        return statistics.verdicts(scores, BETTER, ["random", "blank"], **left_out).iloc[0]

    assert verdict().verdict == "control" and verdict().beating == ["blank"]
    assert verdict(left_out={"loss": ["blank"]}).verdict == "control"
    without = verdict(left_out={HALF[0]: ["blank"]})
    assert without.beating == ["asking", "good"] and without.best_control == "random"
    least = verdict(left_out={HALF[0]: ["blank", "asking"]})
    assert least.beating == ["good"] and least.told == 0
    everything, _ = statistics.told_apart([values], [None])
    assert least.p == everything[0].loc["good", "random"]


def test_digits_of_a_processor_order_nothing(rng):
    """Two methods that answer everything alike but for a rounding error, either way round."""
    values = planted(rng, good=1, random=0).assign(twin=lambda own: own.good)[
        ["good", "twin", "random"]
    ]
    for error in (1e-9, -1e-9):
        assert verdict_on(values.assign(twin=values.good + error)).best == "good"
    columns = ["method", *SETTING, "item", "value", "seed"]
    rows = [(m, *HALF, 0, v, s) for m, v, s in (
        ("a", 0.0, 0), ("b", 1e-9, 0), ("c", 0.5, 0), ("a", 1e-9, 1), ("b", 0.0, 1), ("c", 0.5, 1),
    )]  # fmt: skip
    drops = statistics.seed_drops(pd.DataFrame(rows, columns=columns))
    assert statistics.seed_rankings(drops).tau.tolist() == [pytest.approx(1)]


def test_a_method_that_is_no_better_than_random_is_named(rng):
    values = planted(rng, good=1, blind=0, wrong=-1, random=0)
    assert verdict_on(values).not_better_than_random == ["blind", "wrong"]
    values["edges"] = values.good + 1  # the best control is another one; random stays the measure
    verdict = verdict_on(values, controls=["random", "edges"])
    assert verdict.not_better_than_random == ["blind", "wrong"]


def test_verdicts_count_only_items_with_a_value_for_all(rng):
    values = planted(rng, good=1, bad=0, poor=0.2, random=-0.5)
    values.loc[:4, "good"] = np.nan
    values.loc[5, "random"] = np.nan
    verdict = verdict_on(values)
    assert verdict.samples == 54 and verdict.best == "good"
    assert verdict.best_mean == pytest.approx(values.good[6:].mean())
    verdict = verdict_on(values.assign(poor=np.nan))
    assert verdict.samples == 0 and verdict.verdict == "no sample" and verdict.beating == []
    second = ("gain", 0.5, "mean", "exact")
    assert (
        answer_to({HALF: values, second: planted(rng, good=1, bad=0, poor=0, random=0)}).samples == 54
    )


def test_differences_are_those_of_the_printed_means_whatever_the_clusters(rng):
    values = planted(rng, good=1, bad=0, random=-1)
    clusters = dict.fromkeys(range(60), "large") | dict(enumerate("abcdefghi"))
    verdict = verdict_on(values, clusters=clusters)
    assert verdict.best_mean == pytest.approx(values.good.mean()) and verdict.clusters == 10
    assert verdict.gain == pytest.approx(verdict.best_mean - verdict.control_mean)


def test_gains_are_those_over_the_best_control(rng):
    values = planted(rng, fair=0.4, good=1, poor=0.0, random=-1, edges=0.1)
    others = {("gain", 0.9, "black", "exact"): planted(rng, fair=0, good=0, poor=0, random=0, edges=0)}
    scores = scores_of({HALF: values} | others)
    table = statistics.gains(scores, HALF, BETTER, ["random", "edges"])
    verdict = statistics.verdicts(scores, BETTER, ["random", "edges"]).loc[0]
    assert (table.p[0], table.gain[0]) == (verdict.p, pytest.approx(verdict.gain))
    assert table.method.tolist() == ["good", "fair", "poor"] and set(table.control) == {"edges"}
    assert table.gain.to_numpy() == pytest.approx(
        (values[table.method].sub(values.edges, axis=0)).mean()
    )
    assert (table.low < table.gain).all() and (table.gain < table.high).all()
    assert (table.p < 0.05).tolist() == [True, True, False]


def test_opposite_rankings_have_tau_minus_one(rng):
    values = planted(rng, a=3, b=2, c=1, d=0, random=9)
    reverse = planted(rng, a=0, b=1, c=2, d=3, random=9)
    swapped = planted(rng, a=2, b=3, c=1, d=0, random=-9)
    tables = {GAIN: values, HALF: reverse, LOSS: reverse, ("gain", 0.9, "", ""): swapped}
    table = statistics.ranking_agreement(scores_of(tables), BETTER, ["random"])
    names = ["gain", "gain 50 % black", "loss 90 % black", "gain 90 %"]
    assert list(table) == list(table.index) == names
    assert table.loc["gain"].tolist() == pytest.approx([1, -1, 1, 4 / 6])  # one of six pairs turned
    assert np.allclose(table, table.T)


def test_a_setting_with_an_undefined_mean_has_no_ranking(rng):
    values, part = planted(rng, a=2, b=1, c=0), planted(rng, a=2, b=1, c=0)
    part.loc[5, "b"] = np.nan
    table = statistics.ranking_agreement(scores_of({GAIN: values, HALF: part}), BETTER, [])
    assert table.loc["gain", "gain"] == 1 and table.isna().sum(axis=None) == 3


def test_alpha_is_one_where_the_samples_agree_and_zero_where_they_are_random(rng):
    agree = pd.DataFrame(rng.random((50, 1)) + [0.0, 1.0, 2.0, 3.0], columns=list("abcd"))
    agree["random"] = rng.normal(size=50)
    chance = pd.DataFrame(rng.random((400, 4)), columns=list("abcd"))
    equal = pd.DataFrame(1.0, index=range(9), columns=list("abcd"))
    tables = {GAIN: agree, LOSS: agree, HALF: chance, ("gain", 0.9, "", ""): equal}
    table = statistics.consistency(scores_of(tables), BETTER, ["random"])
    assert list(table) == [*SETTING, "alpha", "samples"]
    assert table.alpha[:2].tolist() == pytest.approx([1, 1])
    assert table.alpha[2] == pytest.approx(0, abs=0.02)
    assert np.isnan(table.alpha[3])
    by_question = statistics.consistency(scores_of({HALF: chance}), BETTER, [], statistics.QUESTION)
    assert by_question.alpha[0] == table.alpha[2]


def test_alpha_by_hand():
    """Ranks 1 2 3 and 1 2½ 2½: two ratings 1, one 2, two 2½, one 3.

    The distance of two ranks is the ratings from one to the other, half of those at the ends:
    3/2 from 2½ to 2 and to 3. Observed: 4 · (3/2)²/6. Expected, over the 30 ordered pairs:
    2 · (2 · (3/2)² + 4 · 3² + 2 · (9/2)² + 2 · (3/2)² + 3² + 2 · (3/2)²)/30 = 198/30.
    """
    values = pd.DataFrame([[0.1, 0.2, 0.3], [0.1, 0.4, 0.4]], columns=list("abc"))
    table = statistics.consistency(scores_of({GAIN: values}), BETTER, [])
    assert table.alpha[0] == pytest.approx(1 - (9 / 6) / (198 / 30))


def test_a_sample_with_an_undefined_value_rates_nothing(rng):
    values = pd.DataFrame(rng.random((30, 3)), columns=list("abc"))
    values.loc[0, "a"] = np.nan
    table = statistics.consistency(scores_of({GAIN: values, HALF: values[1:]}), BETTER, [])
    assert table.samples.tolist() == [29, 29] and table.alpha[0] == table.alpha[1]
    nothing = statistics.consistency(scores_of({GAIN: values.assign(c=np.nan)}), BETTER, [])
    assert nothing.samples[0] == 0 and np.isnan(nothing.alpha[0])


def seeds(**means):
    """The drop rates of two samples by two seeds in one setting; a list has a mean a seed."""
    rows = [
        (method, "drop_rate", 0.3, "black", "exact", item, mean + shift, f"seed {seed}")
        for method, own in means.items()
        for seed, mean in enumerate(own)
        for item, shift in (("a", -0.1), ("b", 0.1))
    ]
    columns = ["method", *statistics.SETTING, "item", "value", "seed"]
    return statistics.seed_drops(pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize(
    "means, tau",
    [
        ({"one": [0.2, 0.3], "two": [0.4, 0.5], "three": [0.6, 0.7]}, 1),
        ({"one": [0.2, 0.7], "two": [0.4, 0.5], "three": [0.6, 0.3]}, -1),
        (
            {"one": [0.2, 0.5], "two": [0.4, 0.3], "three": [0.6, 0.7]},
            1 / 3,
        ),  # one pair of three turned
    ],
)
def test_rankings_of_two_seeds_agree_as_far_as_their_pairs_do(means, tau):
    drops = seeds(**means)
    assert drops.loc[("seed 1", "drop rate 30 %")].to_dict() == pytest.approx(
        {name: own[1] for name, own in means.items()}
    )
    [row] = statistics.seed_rankings(drops).itertuples()
    assert (row.first, row.second) == ("seed 0", "seed 1") and row.tau == pytest.approx(tau)


def test_maps_of_two_seeds_are_alike_as_far_as_their_ranks_are():
    own = np.random.default_rng(0).random((3, 5, 5))
    maps = {
        "seed 0": {"same": own, "turned": own},
        "seed 1": {"same": own**3, "turned": -own},
        "seed 2": {"same": own, "turned": own},
    }
    found = statistics.seed_likeness(maps).set_index(["method", "first", "second"]).correlation
    assert len(found) == 6
    assert found["same"].to_numpy() == pytest.approx(1)
    assert found["turned", "seed 0", "seed 1"] == pytest.approx(-1)
    assert found["turned", "seed 0", "seed 2"] == pytest.approx(1)

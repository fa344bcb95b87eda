import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, friedmanchisquare, spearmanr, wilcoxon
from statsmodels.stats.multitest import multipletests

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


def test_holm_by_hand():
    """Six differences of one sign: p = 2/2⁶ for a–b and b–c; a–c has one of rank 1 against: 4/2⁶.

    Holm: the smallest times 3, the next times 2, the last times 1, none below the one before.
    """
    steps = np.arange(1.0, 7)
    values = pd.DataFrame({"a": np.zeros(6), "b": steps * 10, "c": steps * [-1, 1, 1, 1, 1, 1]})
    table = statistics.holm_wilcoxon(values)
    assert table.loc["a", "b"] == table.loc["b", "a"] == pytest.approx(3 * 2 / 64)
    assert table.loc["b", "c"] == pytest.approx(3 * 2 / 64)
    assert table.loc["a", "c"] == pytest.approx(3 * 2 / 64)
    assert np.diag(table).tolist() == [1, 1, 1]


def test_holm_is_that_of_statsmodels(rng):
    values = planted(rng, a=0, b=0.02, c=0.1, d=0.15)
    pairs = np.triu_indices(4, k=1)
    p_values = [wilcoxon(values.iloc[:, i], values.iloc[:, j]).pvalue for i, j in zip(*pairs)]
    expected = multipletests(p_values, method="holm")[1]
    assert len(set(expected)) > 3
    np.testing.assert_allclose(statistics.holm_wilcoxon(values).to_numpy()[pairs], expected)


def test_methods_are_not_told_apart_by_nothing_or_by_rounding():
    """0.3 - 0.2 is less than 0.2 - 0.1 in floats; the four of each must tie."""
    values = pd.DataFrame({"a": [0.3] * 4 + [0.1] * 4, "b": 0.2, "c": 0.2})
    assert (statistics.holm_wilcoxon(values) == 1).all(axis=None)


def test_few_differences_with_ties_have_the_p_value_of_all_signs():
    """Five of five equal differences: 2/2⁵, which no normal approximation gives."""
    values = pd.DataFrame({"a": np.zeros(8), "b": [1.0] * 5 + [0.0] * 3})
    assert statistics.holm_wilcoxon(values).loc["a", "b"] == pytest.approx(2 / 32)


def test_a_planted_winner_is_found(rng):
    values = planted(rng, poor=0.2, good=1, fair=0.5, random=0, blank=-1)
    verdict = verdict_on(values, controls=["blank", "random"])
    assert verdict.best == "good" and verdict.leaders == ["good"]
    assert verdict.best_control == "random"
    assert verdict.best_mean == pytest.approx(values.good.mean())
    assert verdict.control_mean == pytest.approx(values.random.mean())
    methods = [values[name] for name in ("good", "fair", "poor")]
    assert verdict.friedman_p == pytest.approx(friedmanchisquare(*methods).pvalue)
    p_values = [wilcoxon(m, values.random, alternative="greater").pvalue for m in methods]
    assert verdict.gain_p == pytest.approx(multipletests(p_values, method="holm")[1][0])
    assert verdict.discriminative and verdict.reason == "" and verdict.samples == 60
    assert verdict.not_better_than_random == []


def test_lower_is_better_where_the_metric_says_so(rng):
    values = planted(rng, good=-1, fair=-0.5, poor=-0.2, random=0)
    verdict = verdict_on(values, LOSS)
    assert verdict.best == "good" and verdict.leaders == ["good"] and verdict.discriminative
    assert verdict.best_mean == pytest.approx(values.good.mean())
    assert verdict.gain_p < 1e-6
    assert verdict_on(values, HALF).reason == "a control wins"


def test_leaders_are_all_that_are_not_told_from_the_best(rng):
    values = planted(rng, good=1, bad=0.2, random=0)
    values["twin"] = values.good + rng.normal(scale=0.1, size=60)
    verdict = verdict_on(values)
    assert set(verdict.leaders) == {"good", "twin"} and verdict.leaders[0] == verdict.best
    assert statistics.winner(verdict.to_frame().T.astype({"discriminative": bool})) is None


@pytest.mark.parametrize("methods", ["ab", "abc"])
def test_a_tie_is_called_a_tie(methods, rng):
    verdict = verdict_on(planted(rng, random=-1, **dict.fromkeys(methods, 0)))
    assert verdict.friedman_p > 0.05 and set(verdict.leaders) == set(methods)
    assert not verdict.discriminative and verdict.reason == "all methods tie"
    assert verdict.gain_p < 0.05
    same = pd.DataFrame(1.0, index=range(9), columns=list(methods)).assign(random=0.0)
    assert verdict_on(same).friedman_p == 1 and verdict_on(same).reason == "all methods tie"


def test_two_methods_are_compared_by_wilcoxon(rng):
    values = planted(rng, good=0.1, bad=0, random=-1)
    expected = wilcoxon(values.good, values.bad).pvalue
    assert verdict_on(values).friedman_p == pytest.approx(expected)


def test_a_setting_in_which_a_control_wins_does_not_count(rng):
    values = planted(rng, good=1, fair=0.5, poor=0, random=-1, edges=1.5)
    verdict = verdict_on(values, controls=["random", "edges"])
    assert verdict.best == "good" and verdict.best_control == "edges"
    assert not verdict.discriminative and verdict.reason == "a control wins"
    assert verdict.gain_p > 0.9
    values["edges"] = values.good  # as good is enough
    assert verdict_on(values, controls=["random", "edges"]).reason == "a control wins"
    assert verdict_on(values.drop(columns="edges")).discriminative


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
    clear = verdict_on(values[6:])
    assert (verdict.friedman_p, verdict.gain_p) == (clear.friedman_p, clear.gain_p)
    verdict = verdict_on(values.assign(poor=np.nan))
    assert verdict.samples == 0 and verdict.reason == "no sample has every value"
    assert not verdict.discriminative and verdict.leaders == []


def test_tests_compare_clusters_not_samples(rng):
    """Each item twice in its cluster changes no p-value; as independent samples it would."""
    values = planted(rng, good=0.2, bad=0, poor=0.1, random=-0.02)
    twice = pd.concat([values, values], ignore_index=True)
    clusters = dict(enumerate(np.arange(60) // 3)), dict(enumerate(np.tile(np.arange(60) // 3, 2)))
    tests = ["friedman_p", "gain_p"]
    once, again = verdict_on(values, clusters=clusters[0]), verdict_on(twice, clusters=clusters[1])
    assert once.samples == again.samples == 20
    assert again[tests].tolist() == pytest.approx(once[tests].tolist())
    assert (verdict_on(twice)[tests] < 0.5 * once[tests]).all()
    means = values.groupby(np.arange(60) // 3).mean()
    expected = friedmanchisquare(means.good, means.bad, means.poor).pvalue
    assert once.friedman_p == pytest.approx(expected)


def test_means_are_over_samples_where_tests_are_over_clusters(rng):
    values = planted(rng, good=1, bad=0, random=-1)
    clusters = dict.fromkeys(range(60), "large") | dict(enumerate("abcdefghi"))
    assert verdict_on(values, clusters=clusters).best_mean == pytest.approx(values.good.mean())


def test_the_winner_leads_wherever_a_setting_tells(rng):
    first = planted(rng, good=1, fair=0.5, poor=0.2, random=0)
    lower = planted(rng, good=-1, fair=-0.5, poor=-0.2, random=0)
    tie = planted(rng, fair=1, good=1, poor=1, random=0)
    beaten = planted(rng, good=0, fair=0.5, poor=0, random=2)
    other = planted(rng, good=0.5, fair=1, poor=0.2, random=0)

    def winner(tables):
        return statistics.winner(statistics.verdicts(scores_of(tables), BETTER, ["random"]))

    assert winner({GAIN: first, LOSS: lower}) == "good"
    assert winner({GAIN: first, HALF: tie}) == "good"
    assert winner({GAIN: beaten, HALF: first}) == "good"
    assert winner({GAIN: first, HALF: other}) is None
    assert winner({GAIN: tie, HALF: beaten}) is None


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
    assert drops.loc[("seed 1", "drop rate 30 % black")].to_dict() == pytest.approx(
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

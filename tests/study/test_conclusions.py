"""The text that draws conclusions is computed: other scores, other conclusions."""

import itertools

import numpy as np
import pandas as pd
import pytest

from xai_utils.study import conclusions, statistics

TITLES = {"grad_cam": "Grad-CAM", "rise": "RISE", "lime": "LIME", "random": "Random", "edge": "Edges"}
CONTROLS = ["random", "edge"]
ITEMS = 60


def planted(settings, noise=0.05):
    """Scores of a drop rate with the given true means: ``[{method: mean}, …]``, a fraction each."""
    rng = np.random.default_rng(0)
    rows = []
    for place, means in enumerate(settings):
        for (method, mean), item in itertools.product(means.items(), range(ITEMS)):
            value = mean + noise * rng.normal()
            rows.append((method, "drop_rate", (place + 1) / 10, "black", "exact", item, value))
    return pd.DataFrame(rows, columns=["method", *statistics.SETTING, "item", "value"])


def judged(settings):
    return statistics.verdicts(planted(settings), {"drop_rate": False}, CONTROLS)


GOOD = {"grad_cam": 0.2, "rise": 0.4, "lime": 0.5, "random": 0.8, "edge": 0.7}
OTHER = GOOD | {"grad_cam": 0.4, "rise": 0.2}
WON_BY_EDGE = GOOD | {"edge": 0.1}
TIED = GOOD | {"grad_cam": 0.4, "rise": 0.4, "lime": 0.4}


@pytest.mark.parametrize(
    "settings, says",
    [
        ([GOOD, GOOD], "Grad-CAM leads alone wherever the methods can be told apart (2 settings)"),
        ([OTHER, OTHER], "RISE leads alone wherever"),
        ([GOOD, OTHER], "No single method wins"),
        ([GOOD, WON_BY_EDGE], "can be told apart (1 setting)"),
        ([WON_BY_EDGE], "No setting tells the methods apart"),
    ],
)
def test_a_winner_is_declared_only_where_all_agree(settings, says):
    assert says in conclusions.on_winner(judged(settings), TITLES)


@pytest.mark.parametrize(
    "settings, says",
    [
        ([GOOD, OTHER], "Every setting tells the methods apart (2)"),
        ([GOOD, WON_BY_EDGE, TIED, TIED], "Of 4 settings 1 can tell the methods apart"),
        ([WON_BY_EDGE], "Of 1 setting none can tell the methods apart; in 1 a control wins"),
        ([TIED, TIED], "in 2 all methods tie"),
    ],
)
def test_settings_that_do_not_discriminate_are_counted(settings, says):
    assert says in conclusions.on_settings(judged(settings))


@pytest.mark.parametrize(
    "means, says",
    [
        (GOOD, "Grad-CAM leads alone; it beats the best control (Grad-CAM 0.2"),
        (OTHER, "RISE leads alone; it beats"),
        (GOOD | {"rise": 0.2}, "not told apart from"),
        (WON_BY_EDGE, "A control wins (Grad-CAM 0.2"),
        (TIED, "differ no more than by chance"),
        (GOOD | {"edge": 0.21}, "it does not significantly beat the best control"),
    ],
)
def test_a_setting_says_what_its_scores_say(means, says):
    assert says in conclusions.on_setting(judged([means]).iloc[0], TITLES)


@pytest.mark.parametrize(
    "means, says",
    [
        (GOOD, "each is better than a random map"),
        (GOOD | {"lime": 0.8}, "of 1 setting that can tell the methods apart: LIME (1)"),
        (WON_BY_EDGE, "No setting can tell"),
    ],
)
def test_methods_that_equal_a_random_map_are_named(means, says):
    assert says in conclusions.on_random(judged([means]), TITLES)


def test_a_setting_without_any_complete_sample_says_nothing():
    scores = planted([GOOD])
    scores.loc[scores.method == "lime", "value"] = np.nan
    verdict = statistics.verdicts(scores, {"drop_rate": False}, CONTROLS).iloc[0]
    assert "says nothing" in conclusions.on_setting(verdict, TITLES)


STEP_TITLES = {"grad_cam": "Grad-CAM", "integrated_gradients": "IG", "random": "Random"}


def steps(grad_cam, integrated, random):
    rows = [
        (step, name, "drop_rate", value)
        for name, values in (
            ("grad_cam", grad_cam),
            ("integrated_gradients", integrated),
            ("random", random),
        )
        for step, value in zip("abc", values)
        if value is not None
    ]
    return pd.DataFrame(sorted(rows), columns=["step", "method", "metric", "mean"])


@pytest.mark.parametrize(
    "values, says",
    [
        (
            ([0.2, None, 0.3], [0.9, 0.5, 0.45], [1, 1, 1]),
            ["No change turns", "IG at “b” (0.900 to 0.500)", "in 0 of the 3"],
        ),
        (([0.2, None, 0.3], [0.9, 0.1, 0.1], [1, 1, 1]), ["The order turns at “b”"]),
        (
            ([0.2, None, 0.3], [0.9, 0.1, 0.5], [1, 1, 0.2]),
            ["turns at “b” and “c”", "in 1 of the 3 steps (“c”)"],
        ),
    ],
)
def test_the_step_that_moves_most_and_those_that_turn_the_order(values, says):
    text = conclusions.on_steps(steps(*values), STEP_TITLES)
    assert all(part in text for part in says)


@pytest.mark.parametrize(
    "gain, p, says",
    [(0.2, 0.001, ": yes"), (-0.2, 0.001, ": the opposite"), (0.2, 0.2, "not to be told")],
)
def test_claims_are_judged_by_sign_and_chance(gain, p, says):
    assert says in conclusions.on_claim("A beats B", gain, p)


@pytest.mark.parametrize(
    "shift, says",
    [
        (0.2, "The drop of Grad-CAM is lower than that of RISE, by 0.2"),
        (-0.2, "The drop of Grad-CAM is higher than that of RISE, by 0.1"),
        (0.0, "The drops of Grad-CAM and RISE are not told apart (p = "),
    ],
)
def test_which_of_two_is_lower_is_read_from_paired_values(shift, says):
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 30))
    values = pd.DataFrame({"grad_cam": noise[0], "rise": noise[1] + shift})
    assert conclusions.on_lower(values, "drop", TITLES).startswith(says)


def test_a_mean_against_the_ranks_is_said():
    # 27 small differences one way, 3 huge ones the other: the tests go by ranks.
    values = pd.DataFrame({"grad_cam": 0.0, "rise": [0.01 * i for i in range(1, 28)] + [-9.0] * 3})
    assert "By its mean the drop of one" in conclusions.on_lower(values, "drop", TITLES)


@pytest.mark.parametrize("low, says", [(0.3, "RISE 0.50"), (-0.1, "no method has maps that surely")])
def test_maps_that_outlive_the_network_are_named(low, says):
    rows = [("rise", "rank_correlation", 0.5, low), ("random", "rank_correlation", 1.0, 1.0)]
    summary = pd.DataFrame(rows, columns=["method", "metric", "mean", "low"])
    assert says in conclusions.on_randomization(summary, TITLES, CONTROLS)


def test_tables_show_controls_intervals_and_marks():
    scores = planted([GOOD, WON_BY_EDGE])
    verdicts = statistics.verdicts(scores, {"drop_rate": False}, CONTROLS)
    table = conclusions.scores_table(statistics.summarize(scores, resamples=200), verdicts, TITLES)
    assert table.title.tolist() == [*TITLES.values(), "Discriminates"]
    first, second = table.columns[1:]
    assert [table[name].iloc[-1] for name in (first, second)] == ["yes", "no: a control wins"]
    assert table[first].iloc[:-1].str.fullmatch(r"0\.\d{3}\s\[0\.\d\d,\s0\.\d\d\]").all()


def test_undefined_means_are_said():
    scores = planted([GOOD])
    scores.loc[(scores.method == "lime") & (scores.item == 3), "value"] = np.nan
    table = conclusions.means_table(statistics.summarize(scores, resamples=50), TITLES)
    assert table.set_index("title").loc["LIME"].tolist() == ["undefined"]


@pytest.mark.parametrize(
    "values, says",
    [
        (
            [[1, 0.5, -0.2], [0.5, 1, 0.9], [-0.2, 0.9, 1]],
            "over 3 pairs of settings is 0.50; a and c agree least (−0.20), and 33 % of the pairs",
        ),
        ([[1, 0.5, np.nan], [0.5, 1, np.nan], [np.nan] * 3], "over 1 pairs of settings is 0.50"),
        ([[np.nan] * 3] * 3, "no two settings"),
    ],
)
def test_agreement_of_settings_counts_each_pair_once(values, says):
    table = pd.DataFrame(values, index=list("abc"), columns=list("abc"))
    assert says in conclusions.on_agreement(table)


def test_who_changes_most_under_noise_leaves_the_controls_out():
    rows = [
        ("rise", "change", 0.5),
        ("lime", "change", 0.2),
        ("random", "change", 0.9),
        ("edge", "change", 0.0),
    ]
    summary = pd.DataFrame(rows, columns=["method", "metric", "mean"])
    text = conclusions.on_noise(summary, TITLES, CONTROLS)
    assert "LIME changes least (0.20" in text and "RISE most (0.50" in text


def test_verdicts_are_printed_with_names():
    verdicts = judged([GOOD, WON_BY_EDGE])
    table = conclusions.verdicts_table(verdicts, TITLES)
    assert table.setting.tolist() == ["drop rate 10 % black", "drop rate 20 % black"]
    assert table.best.tolist() == ["Grad-CAM"] * 2 and table.best_control.tolist() == ["Edges"] * 2
    assert table.leaders.tolist() == [1, 1] and table.reason.tolist() == ["", "a control wins"]


def test_few_samples_are_called_so():
    scores = planted([GOOD])
    few = statistics.verdicts(scores[scores.item < 5], {"drop_rate": False}, CONTROLS).iloc[0]
    assert few.reason == "too few samples" and "too few" in conclusions.on_setting(few, TITLES)


def test_what_depends_on_the_seed_is_counted():
    """Three seeds in two settings: in the first Grad-CAM is ahead with all, in the second with one."""
    places = itertools.product(["seed 0", "seed 1", "seed 2"], ["first", "second"])
    drops = pd.DataFrame(
        {
            "grad_cam": [0.1, 0.2, 0.1, 0.8, 0.1, 0.9],
            "rise": [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
            "lime": [0.9, 0.7, 0.9, 0.7, 0.9, 0.7],
        },
        index=pd.MultiIndex.from_tuples(places, names=["seed", "setting"]),
    )
    rankings = statistics.seed_rankings(drops)
    pairs = itertools.combinations(["seed 0", "seed 1", "seed 2"], 2)
    alike = {"grad_cam": 0.75, "rise": 0.5, "lime": -0.25}
    likeness = pd.DataFrame(
        [(name, *pair, value) for pair in pairs for name, value in alike.items()],
        columns=["method", "first", "second", "correlation"],
    )
    told = conclusions.on_seeds(drops, rankings, likeness, 0.125, ("grad_cam", "rise"), TITLES)
    assert "the orders of 3 methods" in told and "2 settings and the pairs of 3 seeds" in told
    assert "In 1 of the settings all seeds have the same best method" in told
    assert "Grad-CAM has the lower mean with every seed in 1 of them, RISE in 0; in 1 the seed" in told
    assert "0.75 for Grad-CAM and 0.50 for RISE" in told and "one network have 0.12" in told
    assert "Grad-CAM depends least on the seed (0.75), LIME most (−0.25)" in told

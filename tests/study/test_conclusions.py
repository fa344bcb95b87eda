"""The text that draws conclusions is computed: other scores, other conclusions."""

import itertools

import numpy as np
import pandas as pd
import pytest

from xai_utils.study import conclusions, statistics

TITLES = {"grad_cam": "Grad-CAM", "rise": "RISE", "lime": "LIME", "random": "Random", "edge": "Edges"}
CONTROLS = ["random", "edge"]
ITEMS = 60


def planted(questions, noise=0.05):
    """Scores of a drop rate with the given true means: ``[{method: mean}, …]``, a share kept each."""
    rng = np.random.default_rng(0)
    rows = []
    for place, means in enumerate(questions):
        for (method, mean), item in itertools.product(means.items(), range(ITEMS)):
            value = mean + noise * rng.normal()
            rows.append((method, "drop_rate", (place + 1) / 10, "black", "exact", item, value))
    return pd.DataFrame(rows, columns=["method", *statistics.SETTING, "item", "value"])


def judged(questions, leave_out=(), by=statistics.QUESTION):
    scores = planted(questions)
    scores = scores[~scores.method.isin(leave_out)]
    return statistics.verdicts(scores, {"drop_rate": False}, CONTROLS, by=by)


GOOD = {"grad_cam": 0.2, "rise": 0.4, "lime": 0.5, "random": 0.8, "edge": 0.7}
OTHER = GOOD | {"grad_cam": 0.75, "rise": 0.2, "lime": 0.75}
WON_BY_EDGE = GOOD | {"edge": 0.1}
TIED = dict.fromkeys(GOOD, 0.4)


@pytest.mark.parametrize(
    "questions, says",
    [
        (
            [GOOD, GOOD],
            "Every control is beaten by Grad-CAM in 2, RISE in 2 and LIME in 2, of 2 questions.",
        ),
        (
            [GOOD, OTHER],
            "Every control is beaten by RISE in 2, Grad-CAM in 1 and LIME in 1, of 2 questions.",
        ),
        ([OTHER, WON_BY_EDGE], "Every control is beaten by RISE in 1, of 2 questions."),
        ([WON_BY_EDGE, TIED], "No method beats every control in any of 2 questions."),
    ],
)
def test_who_beats_every_control_is_counted_by_questions(questions, says):
    assert conclusions.on_winner(judged(questions), TITLES) == says


def test_headlines_stand_with_and_without_those_that_ask_what_the_metric_asks():
    verdicts, without = judged([GOOD, OTHER]), judged([GOOD, OTHER], ["rise"])
    told = conclusions.on_winner(verdicts, TITLES, without)
    assert told.endswith("that ask what the metric asks, these are Grad-CAM in 1 and LIME in 1.")
    told = conclusions.on_questions(verdicts, without)
    assert (
        "Of 2 questions a method beats every control in 2, a control beats every method in 0, and 0"
        in told
    )
    assert told.endswith("asks, these numbers are 1, 1 and 0.")
    assert conclusions.on_winner(without, TITLES, without).endswith("asks, these are the same.")
    nobody = judged([OTHER], ["rise", "grad_cam"]).assign(verdict="undecided")
    assert conclusions.on_winner(verdicts, TITLES, nobody).endswith("asks, there is none.")


@pytest.mark.parametrize(
    "means, says",
    [
        (GOOD, "Grad-CAM, RISE and LIME beat every control (Grad-CAM 0.2"),
        (OTHER, "RISE beats every control (RISE 0.2"),
        (WON_BY_EDGE, "Edges beats every method (Edges 0."),
        (TIED, "Undecided: no method beats every control, and no control every method ("),
        (GOOD | {"edge": 0.2, "rise": 0.8}, "Undecided: "),
    ],
)
def test_a_setting_says_what_its_scores_say(means, says):
    verdict = judged([means], by=statistics.SETTING).iloc[0]
    told = conclusions.on_setting(verdict, TITLES)
    gain = -verdict.gain if verdict.verdict == "control" else verdict.gain
    assert told.startswith(says) and f"the first ahead by {gain:+.3f} [".replace("-", "−") in told


@pytest.mark.parametrize(
    "means, says",
    [
        (GOOD, "In each of 1 question every method is found better than a random map."),
        (GOOD | {"lime": 0.8}, "Not found better than a random map, of 1 question: LIME in 1."),
    ],
)
def test_methods_that_equal_a_random_map_are_named(means, says):
    assert conclusions.on_random(judged([means]), TITLES) == says


def test_a_setting_without_any_complete_sample_says_nothing():
    scores = planted([GOOD])
    scores.loc[scores.method == "lime", "value"] = np.nan
    verdict = statistics.verdicts(scores, {"drop_rate": False}, CONTROLS).iloc[0]
    assert "says nothing" in conclusions.on_setting(verdict, TITLES)


def test_questions_that_no_sample_answers_do_not_count():
    verdicts = judged([GOOD, GOOD])
    verdicts.loc[1, ["verdict", "beating", "not_better_than_random"]] = ["no sample", [], []]
    assert "Of 1 question a method beats every control in 1, " in conclusions.on_questions(
        verdicts, verdicts
    )
    assert conclusions.on_winner(verdicts, TITLES).endswith(", of 1 question.")
    assert conclusions.on_random(verdicts, TITLES).startswith("In each of 1 question ")


def test_decided_questions_that_larger_clusters_do_not_tell_are_named():
    verdicts = judged([GOOD, WON_BY_EDGE, TIED])
    told = conclusions.on_units(verdicts, np.array([0.01, 0.2, 0.9]), 10, "slides")
    assert told == (
        "With whole slides in the place of parent images, of which there are 10, the best method and the best "
        "control are told apart in 1 of the 2 decided questions, not in drop rate 20 %. So few slides give no "
        "p-value below 0.002; the pairs were chosen on the same samples, and are corrected for each other only."
    )
    told = conclusions.on_units(verdicts, np.array([0.01, 0.02, 0.9]), 6, "slides")
    assert "in 2 of the 2 decided questions. So few slides give no p-value below 0.031;" in told


def test_what_could_have_been_found_is_said():
    verdicts = judged([GOOD, OTHER, TIED]).assign(detectable=[0.1, 0.3, np.inf])
    told = conclusions.on_power(verdicts)
    assert "it is 0.10 to 0.30, depending on the question (0.20 in the median); in 1 none" in told
    assert "no difference" in conclusions.on_power(verdicts.assign(detectable=np.inf))


STEP_TITLES = {"grad_cam": "Grad-CAM", "integrated_gradients": "IG"}


def gaps(
    integrated,
    grad_cam,
    p=(0.01, 0.01, 0.01),
    increases=(0.5, 0.1),
    increase_p=0.5,
    random_is=("worse",) * 3,
):
    """Three steps: drop rates and p-values at each, and the same increase rates at all."""
    rows = [
        (step, "drop_rate", ig, cam, ig - cam, chance, worse)
        for step, ig, cam, chance, worse in zip("abc", integrated, grad_cam, p, random_is)
    ]
    ig, cam = increases
    rows += [(step, "increase_rate", ig, cam, ig - cam, increase_p, "") for step in "abc"]
    columns = ["step", "metric", "integrated_gradients", "grad_cam", "gap", "p", "random_is"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    "table, says",
    [
        (
            gaps([0.9, 0.5, 0.1], [0.2, 0.2, 0.3]),
            [
                "As published, Grad-CAM is ahead (0.900 and 0.200) by drop and they are not told apart (0.500 and",
                "those of IG and Grad-CAM. After all repairs IG is ahead (0.100 and 0.300) by drop and they are",
                "Of 3 steps a random map is better than both at 0 by drop and 0 by increase.",
                "No change is larger than that of IG at “b” (0.900 to 0.500).",
            ],
        ),
        (
            gaps([0.9, 0.1, 0.1], [0.2, 0.2, 0.3], p=(0.01, 0.2, 0.2), increase_p=0.01),
            [
                "by drop and IG is ahead (0.500 and 0.100) by increase",
                "repairs they are not told apart (",
            ],
        ),
        (
            gaps([0.9, 0.5, 0.45], [0.2, 0.2, 0.3], random_is=("worse", "", "better")),
            ["better than both at 1 by drop and 0 by increase"],
        ),
    ],
)
def test_the_first_and_the_repaired_step_are_judged_by_both_rates(table, says):
    text = conclusions.on_steps(table, STEP_TITLES, "c")
    assert [part for part in says if part not in text] == []


@pytest.mark.parametrize(
    "gain, p, says",
    [
        (0.2, 0.001, "; that is found"),
        (-0.2, 0.001, "; the opposite is found"),
        (0.2, 0.2, "; no difference is found"),
    ],
)
def test_claims_are_judged_by_sign_and_chance(gain, p, says):
    told = conclusions.on_claim("A beats B", (gain, gain - 0.1, gain + 0.1, p))
    assert says in told and f"(difference {gain:+.3f} [".replace("-", "−") in told


@pytest.mark.parametrize(
    "shift, says",
    [
        (0.2, "The drop of Grad-CAM is lower than that of RISE (difference −0.2"),
        (-0.2, "The drop of Grad-CAM is higher than that of RISE (difference +0.1"),
        (0.0, "The drops of Grad-CAM and RISE are not told apart (difference "),
    ],
)
def test_which_of_two_is_lower_is_read_from_paired_values(shift, says):
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 30))
    values = pd.DataFrame({"grad_cam": noise[0], "rise": noise[1] + shift})
    told = conclusions.on_lower(values, "drop", TITLES)
    assert told.startswith(says)
    difference = values.grad_cam.mean() - values.rise.mean()
    assert f"difference {difference:+.3f} [".replace("-", "−") in told


def test_the_difference_is_that_of_the_printed_means_though_clusters_are_tested():
    """One large cluster and many small ones: a mean over clusters would turn the sign."""
    values = pd.DataFrame({"grad_cam": [0.0] * 30 + [1.0] * 6, "rise": [0.2] * 30 + [0.0] * 6})
    clusters = dict.fromkeys(range(30), 0) | {item: item for item in range(30, 36)}
    told = conclusions.on_lower(values, "drop", TITLES, clusters)
    assert "difference +0.000 [" in told and "not told apart" in told


@pytest.mark.parametrize(
    "low, says", [(0.3, "above zero for RISE 0.50; so much"), (-0.1, "For no method does its interval")]
)
def test_maps_that_outlive_the_network_are_named_after_the_pair(low, says):
    rows = [
        ("rise", "rank_correlation", 0.5, low, 0.7),
        ("grad_cam", "rank_correlation", 0.02, -0.1, 0.1),
        ("random", "rank_correlation", 1.0, 1.0, 1.0),
    ]
    summary = pd.DataFrame(rows, columns=["method", "metric", "mean", "low", "high"])
    told = conclusions.on_randomization(summary, TITLES, CONTROLS, ["grad_cam"])
    assert says in told and "trained network is 0.02 [−0.10, 0.10] for Grad-CAM." in told


def test_tables_show_controls_intervals_and_marks():
    scores = planted([GOOD, WON_BY_EDGE])
    verdicts = statistics.verdicts(scores, {"drop_rate": False}, CONTROLS)
    table = conclusions.scores_table(statistics.summarize(scores, resamples=200), verdicts, TITLES)
    assert table.title.tolist() == [*TITLES.values(), "Verdict"]
    first, second = table.columns[1:]
    assert [table[name].iloc[-1] for name in (first, second)] == ["method", "control"]
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
            "over 3 pairs of settings is 0.50; a and c agree least (−0.20), and 1 of the pairs",
        ),
        ([[1, 0.5, np.nan], [0.5, 1, np.nan], [np.nan] * 3], "over 1 pair of settings is 0.50"),
        ([[np.nan] * 3] * 3, "No two settings"),
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
    table = conclusions.verdicts_table(judged([GOOD, WON_BY_EDGE]), TITLES)
    assert table.question.tolist() == ["drop rate 10 %", "drop rate 20 %"]
    assert table.best.str.fullmatch(r"Grad-CAM 0\.[12]\d\d").all()
    assert table.best_control.str.fullmatch(r"Edges 0\.\d{3}").all()
    assert table.verdict.tolist() == ["3 methods", "1 control"]
    assert table.interval.str.fullmatch(r"[+−]0\.\d\d\s\[−?0\.\d\d,\s−?0\.\d\d\]").all()


def test_what_depends_on_the_seed_is_counted():
    """Three seeds in two settings: in the first Grad-CAM is ahead with all, in the second with one."""
    places = itertools.product(["seed 0", "seed 1", "seed 2"], ["first", "second"])
    drops = pd.DataFrame(
        {
            "grad_cam": [0.1, 0.2, 0.1, 0.8, 0.1, 0.9],
            "rise": [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
            "lime": [0.9, 0.7, 0.9, 0.7, 0.9, 0.7],
        },
        index=pd.MultiIndex.from_tuples(places, names=["seed", "question"]),
    )
    rankings = statistics.seed_rankings(drops)
    pairs = itertools.combinations(["seed 0", "seed 1", "seed 2"], 2)
    alike = {"grad_cam": 0.75, "rise": 0.5, "lime": -0.25}
    likeness = pd.DataFrame(
        [(name, *pair, value) for pair in pairs for name, value in alike.items()],
        columns=["method", "first", "second", "correlation"],
    )
    without = statistics.seed_rankings(drops[["grad_cam", "lime"]])
    told = conclusions.on_seeds(drops, rankings, without, likeness, 0.125, ("grad_cam", "rise"), TITLES)
    assert "the orders of 3 methods" in told and "2 questions and the pairs of 3 seeds" in told
    assert (
        f"metric asks these are {without.tau.median():.2f} and {without.tau.min():.2f}".replace(
            "-", "−"
        )
        in told
    )
    assert "all seeds have the same best method in 1 of the questions" in told
    assert (
        "Grad-CAM has the lower one with every seed in 1, RISE in 0, and the seed decides in 1." in told
    )
    assert "0.75 for Grad-CAM and 0.50 for RISE" in told and "one network have 0.12" in told
    assert "It is highest for Grad-CAM (0.75) and lowest for LIME (−0.25)" in told


PAIR = {
    "pair": ["integrated_gradients", "grad_cam"],
    "means": {"grad_cam": 0.3, "integrated_gradients": 0.2, "edge": 0.5},
    "p": {"pair": 0.01, "integrated_gradients": 0.01, "grad_cam": 0.01},
    "is_ahead": {"integrated_gradients": True, "grad_cam": True},
    "control": "edge",
}


@pytest.mark.parametrize(
    "p, is_ahead, metric, says",
    [
        (
            {},
            {},
            "drop_rate",
            "IG loses less of the confidence than Grad-CAM (0.200 against 0.300); both are ahead of",
        ),
        (
            {},
            {"grad_cam": False},
            "increase_rate",
            "IG is ahead of the best control (edges, 0.500), Grad-CAM is behind",
        ),
        ({"pair": 0.5}, {}, "drop_rate", "IG and Grad-CAM are not told apart (0.200 and 0.300); both"),
        (
            {"grad_cam": 0.5, "integrated_gradients": 0.5},
            {},
            "energy",
            "; neither is told apart from the best",
        ),
        ({"grad_cam": 0.5}, {}, "bounding_box", "Grad-CAM is not told apart from it."),
    ],
)
def test_a_pair_is_compared_and_then_each_with_the_best_control(p, is_ahead, metric, says):
    titles = {"grad_cam": "Grad-CAM", "integrated_gradients": "IG", "edge": "Edges"}
    found = PAIR | {"metric": metric, "p": PAIR["p"] | p, "is_ahead": PAIR["is_ahead"] | is_ahead}
    assert says in conclusions.on_pair(found, titles)

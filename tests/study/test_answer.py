"""The question of the project, asked of planted scores."""

import numpy as np
import pandas as pd
import pytest

from xai_utils.attributions import CONTROL_NAMES
from xai_utils.study import answer

PAIR = ("grad_cam", "integrated_gradients")


def planted(means, samples=40):
    """Drop rates around the means, independent from sample to sample."""
    draw = np.random.default_rng(0).normal(0, 0.02, (samples, len(means)))
    values = (
        pd.DataFrame(draw + list(means.values()), columns=list(means)).rename_axis("item").reset_index()
    )
    rows = values.melt("item", var_name="method")
    return rows.assign(metric="drop_rate", fraction=0.9, fill="black", rule="exact")


CONTROLS = dict.fromkeys(CONTROL_NAMES, 0.9)


def test_the_better_of_the_pair_comes_first_and_both_are_ahead_of_controls_that_are_worse():
    found = answer.judged(planted({"grad_cam": 0.6, "integrated_gradients": 0.3, **CONTROLS}), PAIR)
    assert found["pair"] == ["integrated_gradients", "grad_cam"] and found["p"]["pair"] < 0.001
    assert found["is_ahead"] == dict.fromkeys(PAIR, True) and max(found["p"].values()) < 0.001
    low, high = found["intervals"]["grad_cam"]
    assert low < found["means"]["grad_cam"] < high
    assert found["means"]["grad_cam"] == pytest.approx(0.6, abs=0.02)


def test_a_control_that_is_better_is_the_best_and_one_that_is_alike_is_not_told_apart():
    means = {"grad_cam": 0.6, "integrated_gradients": 0.1, **CONTROLS, "constant": 0.1}
    found = answer.judged(planted(means), PAIR)
    assert found["control"] == "constant" and not found["is_ahead"]["grad_cam"]
    assert found["p"]["grad_cam"] < 0.001 and found["p"]["integrated_gradients"] > 0.05


def test_comparisons_are_given_to_whom_the_tests_find():
    found = [(0.01, "grad_cam"), (0.2, "grad_cam"), (0.01, "integrated_gradients"), (0.01, "grad_cam")]
    assert answer.tally(found, PAIR) == {"grad_cam": 2, "integrated_gradients": 1, "neither": 1}


def test_a_lower_drop_and_a_higher_increase_are_ahead_at_the_repaired_step():
    gaps = pd.DataFrame(
        {
            "step": ["as published", "mean fill", "mean fill"],
            "metric": ["drop_rate", "drop_rate", "increase_rate"],
            "gap": [0.5, -0.1, -0.1],  # Integrated Gradients less Grad-CAM
            "p": [0.01, 0.02, 0.03],
        }
    )
    assert answer.repaired(gaps) == [(0.02, "integrated_gradients"), (0.03, "grad_cam")]


def test_the_dots_are_those_of_the_first_and_the_repaired_step_of_ours_and_of_the_truth():
    rows = [
        {
            "step": step,
            "method": name,
            "metric": metric,
            "mean": mean,
            "low": 0,
            "high": 1,
            "samples": 7,
        }
        for step, mean in (("as published", 0.1), ("logit", 0.2), ("mean fill", 0.3))
        for name in (*PAIR, "random")
        for metric in ("drop_rate", "increase_rate")
    ]
    ours = answer.judged(planted({"grad_cam": 0.6, "integrated_gradients": 0.3, **CONTROLS}), PAIR)
    dots = answer.dots("HMT", pd.DataFrame(rows), ours, ours)
    assert len(dots) == 12 and dots.panel.unique().tolist() == list(answer.PANELS)
    own = dots.groupby("panel", sort=False)
    assert [rows["mean"].iloc[0] for _, rows in own][:2] == [0.1, 0.3]
    assert [rows["name"].iloc[2] for _, rows in own][:2] == ["Random", "Random"]
    assert own.get_group("our network")["mean"].iloc[2] == ours["means"][ours["control"]]
    assert [rows.samples.iloc[0] for _, rows in own] == [7, 7, 40, 40]

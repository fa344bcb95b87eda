"""Scores as they are shown."""

import pandas as pd
import pytest

from xai_utils.metrics import sanity
from xai_utils.networks.architectures import shallow_cnn
from xai_utils.study import tables


def test_all_have_forgotten_where_the_last_cascade_ends():
    """The names of layers begin alike; the cascade down to ``conv1d`` is the last of all."""
    rules = [
        *sanity.randomizations(shallow_cnn()),
        "cascading conv1d #2",
        "cascading conv1d #3",
        "noise",
    ]
    assert "cascading conv1d_1" in rules
    found = tables.all_forgotten(pd.DataFrame({"rule": rules}))
    assert found.rule.tolist() == ["cascading conv1d", "cascading conv1d #2", "cascading conv1d #3"]


def test_the_cascade_is_named_by_the_layer_that_it_reaches():
    columns = ["cascading dense", "cascading conv", "independent conv"]
    grid = pd.DataFrame([[1, 2, 3], [1, 1, 1]], ["LIME", "Random"], columns)
    found = tables.of_cascade(grid)
    assert list(found.columns) == ["dense", "conv"] and list(found.index) == ["LIME"]


def test_shown_by_share_are_the_studied_the_best_other_a_random_map_and_the_best_control():
    means = {"grad_cam": 0.5, "rise": 0.1, "lime": 0.4, "random": 0.2, "center": 0.6, "edge": 0.3}
    summary = pd.DataFrame(
        [
            {"method": name, "metric": metric, "rule": rule, "mean": mean}
            for name, mean in means.items()
            for metric, rule in (("drop_rate", "exact"), ("drop_rate", "published"), ("adcc", "exact"))
        ]
    )
    shown = tables.by_share(summary, ("grad_cam",))
    assert shown.method.tolist() == ["grad_cam", "rise", "random", "edge"]
    assert set(shown.metric) == {"drop_rate"} and set(shown.rule) == {"exact"}


def test_who_beats_is_counted_over_the_questions_that_any_sample_answers():
    verdicts = pd.DataFrame(
        {
            "verdict": ["method", "control", "undecided", "no sample"],
            "beating": [["rise"], ["edge"], [], []],
            "not_better_than_random": [[], ["lime"], ["rise", "lime"], []],
        }
    )
    found = tables.beaten(verdicts, ["rise", "lime"]).set_index("method")
    assert found.every.to_dict() == {"rise": 1, "lime": 0}
    assert found.random.to_dict() == {"rise": 2, "lime": 1} and set(found.questions) == {3}


def test_the_spread_is_that_over_fills_and_that_over_methods_without_controls():
    means = {
        ("rise", "black"): 0.0,
        ("rise", "mean"): 0.2,
        ("lime", "black"): 0.4,
        ("lime", "mean"): 0.6,
    }
    means |= {("random", "black"): 9.0, ("random", "mean"): 9.0}
    summary = pd.DataFrame(
        [
            {
                "method": m,
                "fill": fill,
                "metric": "drop_rate",
                "rule": "exact",
                "fraction": 0.5,
                "mean": mean,
            }
            for (m, fill), mean in means.items()
        ]
    )
    found = tables.spread(summary)
    assert found == {"over_fills": pytest.approx(0.1), "over_methods": pytest.approx(0.2)}


def test_won_settings_are_counted_by_fill():
    verdicts = pd.DataFrame(
        {
            "metric": ["drop_rate"] * 4 + ["increase_rate"],
            "rule": ["exact"] * 3 + ["published", "exact"],
            "fill": ["black", "mean", "mean", "mean", "mean"],
            "verdict": ["undecided", "method", "control", "method", "method"],
        }
    )
    assert tables.won_by_fill(verdicts) == {"black": 0, "mean": 1}

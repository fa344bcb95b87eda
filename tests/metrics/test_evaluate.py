"""The table of metrics, and the two functions that turn them into scores."""

import re

import keras
import numpy as np
import pandas as pd
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import metrics
from xai_utils.data import Samples
from xai_utils.metrics import faithfulness
from xai_utils.metrics.faithfulness import blurred
from xai_utils.run.files import REPOSITORY
from xai_utils.study.statistics import summarize

README = (REPOSITORY / "README.md").read_text()
COLUMNS = ["method", "metric", "fraction", "fill", "rule", "item", "value"]
MAPS = np.random.default_rng(0).normal(size=(5, 40))


def scored(model, maps, **options):
    x = some_inputs(1)
    samples = Samples(x, np.zeros(5, int), np.array(list("abcde")))
    fills = {"black": 0.0, "mean": x.mean(axis=0), "blur": 0.5 * x}
    settings = {"metrics": metrics.of_family(metrics.FAITHFULNESS), "fills": fills}
    settings |= {"fractions": [0.3, 0.9], "rules": ["exact", "published"]} | options
    return metrics.evaluate(model, samples, np.array([0, 1, 2, 0, 1]), maps, **settings)


def test_one_row_a_value_and_nothing_is_hidden():
    broken = MAPS.copy()
    broken[2, 7] = np.nan
    maps = {"good": MAPS, "broken": broken}
    scores = scored(small_network(1), maps, again=maps)
    assert list(scores.columns) == COLUMNS
    settings = scores.groupby(["metric", "fraction", "fill", "rule"], dropna=False).ngroups
    # Drop and increase: 2 fractions, 3 fills, 2 rules. The loss: 3 fills. Seven have one setting.
    assert settings == 2 * 12 + 3 + 7 and len(scores) == settings * 2 * 5
    assert scores.value[scores.method == "good"].notna().all()
    undefined = scores[scores.value.isna()]
    assert set(undefined.item) == {"c"} and len(undefined) == settings
    summary = summarize(scores, resamples=100)
    assert (summary.undefined == (summary.method == "broken")).all()


def test_settings_do_not_disturb_each_other():
    model, maps = small_network(1), {"some": MAPS}
    every = scored(model, maps, again=maps)
    alone = scored(model, maps, metrics=["drop_rate"], fractions=[0.9], rules=["published"])
    same = every.merge(alone, on=COLUMNS[:-1])
    assert len(same) == len(alone) == 15
    np.testing.assert_allclose(same.value_x, same.value_y, atol=1e-6)


def test_scores_of_a_model_without_softmax_are_those_of_its_probabilities():
    model, maps = small_network(1), {"some": MAPS}
    with_softmax = scored(model, maps, again=maps)
    model.layers[-1].activation = keras.activations.linear
    pd.testing.assert_frame_equal(with_softmax, scored(model, maps, again=maps), atol=1e-6)


def test_batches_bound_what_is_in_memory_and_change_no_score(monkeypatch):
    model, maps = small_network(1), {"some": MAPS, "other": -MAPS}
    fills = {"black": 0.0, "mean": some_inputs(1).mean(axis=0), "blur": blurred}
    at_once = scored(model, maps, again=maps, fills=fills)
    sizes, asked = [], faithfulness._confidence

    def counted(model, x, *given):
        sizes.append(len(x))
        return asked(model, x, *given)

    monkeypatch.setattr(faithfulness, "_confidence", counted)
    in_batches = scored(model, maps, again=maps, fills=fills, batch_size=2)
    pd.testing.assert_frame_equal(in_batches, at_once, atol=1e-6)
    assert set(sizes) == {1, 2}, "five samples are two, two and one"


def test_a_fill_that_is_made_of_the_input_is_made_of_the_own_sample():
    """A function of x gives what the array that it makes of each sample alone gives."""
    model, maps = small_network(1), {"some": MAPS}
    alone = np.concatenate([blurred(one[np.newaxis]) for one in some_inputs(1)])
    assert np.abs(alone - some_inputs(1)).max() > 0.1
    names = ["drop_rate", "removal_loss", "insertion_area"]
    given = {"metrics": names, "fractions": [0.3], "rules": ["exact"], "batch_size": 5}
    by_array = scored(model, maps, fills={"blur": alone}, **given)
    for size in (2, 5):
        made = scored(model, maps, fills={"blur": blurred}, **given | {"batch_size": size})
        pd.testing.assert_frame_equal(made, by_array, atol=1e-6)


@pytest.mark.parametrize("family", [metrics.LOCALIZATION, metrics.SAMENESS])
def test_comparisons_score_each_sample(family):
    others = MAPS > 0 if family == metrics.LOCALIZATION else {"some": -MAPS}
    scores = metrics.compare({"some": MAPS}, others, list("abcde"), family=family, rule="test")
    assert list(scores.columns) == COLUMNS and set(scores.rule) == {"test"}
    assert len(scores) == 5 * len(metrics.of_family(family)) and scores.value.notna().all()


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_is_cited_and_described(name):
    metric = metrics.METRICS[name]
    bibliography = (REPOSITORY / "report/refs.bib").read_text()
    assert re.search(rf"@\w+\{{{metric.citation},", bibliography)
    assert metric.function.__doc__ and metric.family in (
        metrics.FAITHFULNESS, metrics.LOCALIZATION, metrics.SAMENESS
    )  # fmt: skip


@pytest.mark.parametrize("name", metrics.of_family(metrics.LOCALIZATION))
def test_a_perfect_and_an_opposite_map_bracket_every_metric_of_localization(name):
    truth = np.zeros((1, 4, 4), bool)
    truth[0, 1:3, 1:3] = True
    function = metrics.METRICS[name].function
    assert function(truth.astype(float), truth) == 1 and function(1.0 - truth, truth) == 0
    for flat in (np.ones((1, 4, 4)), np.zeros((1, 4, 4))):  # they say nothing: chance
        assert function(flat, truth) == pytest.approx(0.25)


@pytest.mark.parametrize("family", [metrics.FAITHFULNESS, metrics.LOCALIZATION, metrics.SAMENESS])
def test_the_readme_lists_every_metric(family):
    line = re.search(rf"^\| {family} \| (.*) \|$", README, flags=re.M)[1]
    assert re.findall(r"`(\w+)`", line) == metrics.of_family(family)

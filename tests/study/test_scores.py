"""Scores that are kept: the same values as those computed at once, and each computed once."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import metrics, models
from xai_utils.data import Samples
from xai_utils.metrics import faithfulness
from xai_utils.metrics.faithfulness import PLACES, blurred
from xai_utils.run.store import Shelf
from xai_utils.study import maps, scores

X, TARGET = some_inputs(1), np.array([0, 1, 2, 0, 1])
SAMPLES = Samples(X, TARGET, np.array(list("abcde")))
FILLS = {"black": 0.0, "mean": X.mean(axis=0), "blur": blurred}
RNG = np.random.default_rng(0)
MAPS = {"one": RNG.normal(size=(5, 40)), "other": RNG.normal(size=(5, 40))}
AGAIN = {"one": RNG.normal(size=(5, 40)), "other": RNG.normal(size=(5, 40))}
GRID = {"fills": list(FILLS), "fractions": [0.3, 0.9], "rules": ["exact", "published"]}
NAMES = metrics.of_family(metrics.FAITHFULNESS)
TWO = metrics.settings(["drop_rate"], fills=["black", "mean"], fractions=[0.3], rules=["exact"])


def scored(model, own=MAPS, asked=TWO, samples=SAMPLES, target=TARGET, fills=FILLS, **more):
    return scores.faithfulness_scores(
        model, samples, target, own, asked=asked, fills=fills, **more
    )  # fmt: skip


def evaluated(model, own=MAPS, samples=SAMPLES, target=TARGET, fills=FILLS, **more):
    """What is computed at once, without the store."""
    given = {"metrics": ["drop_rate"], "fractions": [0.3], "rules": ["exact"]} | more
    return metrics.evaluate(model, samples, target, own, fills=fills, **given)


def of_two(table):
    """The rows of the settings TWO."""
    return table[table.fill != "blur"].reset_index(drop=True)


@pytest.fixture
def kept(output, monkeypatch):
    """How many values were put into the store, ``{metric: number}``: those that were computed."""
    numbers, put = {}, Shelf.put

    def counted(shelf, keys, values):
        name = shelf.about["name"]
        numbers[name] = numbers.get(name, 0) + len(keys)
        assert len(keys) == len(values)
        put(shelf, keys, values)

    monkeypatch.setattr(Shelf, "put", counted)
    return numbers


@pytest.fixture
def refused(monkeypatch):
    """From the call of it on, nothing may be asked of a model, and nothing computed of maps."""

    def refuse(*_, **__):
        pytest.fail("it was computed again")

    def start():
        monkeypatch.setattr(faithfulness, "_confidence", refuse)
        monkeypatch.setattr(faithfulness, "unit_scale", refuse)
        monkeypatch.setattr(faithfulness, "salient_points", refuse)
        monkeypatch.setattr(Shelf, "put", refuse)

    return start


@pytest.mark.parametrize("batch_size", [2, 32])
@pytest.mark.parametrize("softmax", [True, False])
def test_scores_are_those_that_are_computed_at_once(output, batch_size, softmax):
    """Every metric in every setting, and a map that is not finite has no value."""
    model, broken = small_network(1, softmax=softmax), MAPS["one"].copy()
    broken[2, 7] = np.nan
    given = {"own": MAPS | {"broken": broken}, "again": AGAIN | {"broken": broken}}
    asked = metrics.settings(NAMES, **GRID)
    found = scored(model, asked=asked, batch_size=batch_size, **given)
    expected = evaluated(
        model, metrics=NAMES, fractions=GRID["fractions"], rules=GRID["rules"], **given
    )  # fmt: skip
    pd.testing.assert_frame_equal(found, expected, atol=1e-6)
    assert found.value.isna().sum() == len(asked)


def test_asked_again_nothing_is_computed(output, refused):
    """By another notebook, which computed the same maps and built the same model."""
    asked = metrics.settings(NAMES, **GRID)
    first = scored(small_network(1), asked=asked, again=AGAIN)
    model = small_network(1)
    own, second = ({name: each.copy() for name, each in every.items()} for every in (MAPS, AGAIN))
    refused()
    again = scored(model, own, asked, again=second)
    pd.testing.assert_frame_equal(again, first)


def test_in_other_batches_and_another_order_the_same_scores_are_found(output, refused):
    model, backwards = small_network(1), np.arange(4, -1, -1)
    first = scored(model, batch_size=2)
    refused()
    pd.testing.assert_frame_equal(scored(model, batch_size=32), first)
    own = {name: every[backwards] for name, every in MAPS.items()}
    found = scored(model, own, TWO[::-1], SAMPLES.take(backwards), TARGET[backwards])
    order = ["method", "fill", "item"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True), first.sort_values(order, ignore_index=True)
    )


def test_names_are_no_part_of_what_a_score_is(output, refused):
    """The same map by another name, of a sample that has another name in another set."""
    model = small_network(1)
    first = scored(model)
    refused()
    samples = Samples(X, TARGET, np.array(list("vwxyz")))
    found = scored(model, {"renamed": MAPS["other"]}, samples=samples)
    np.testing.assert_array_equal(found.value, first.value[first.method == "other"])
    assert set(found.method) == {"renamed"} and set(found.item) == set("vwxyz")


def test_more_samples_compute_only_the_new_ones(kept):
    model, some = small_network(1), np.array([3, 1])
    scored(
        model,
        {name: every[some] for name, every in MAPS.items()},
        TWO,
        SAMPLES.take(some),
        TARGET[some],
    )
    assert kept == {"drop_rate": 2 * 2 * 2}
    kept.clear()
    found = scored(model)
    assert kept == {"drop_rate": 2 * 2 * 3}
    pd.testing.assert_frame_equal(found, of_two(evaluated(model)), atol=1e-6)


def test_more_settings_compute_only_the_new_ones(kept):
    model = small_network(1)
    scored(model)
    kept.clear()
    more = metrics.settings(["drop_rate"], fills=FILLS, fractions=[0.3, 0.5], rules=["exact"])
    asked = [*more, ("complexity", {})]
    found = scored(model, asked=asked)
    assert kept == {"drop_rate": 2 * 5 * 4, "complexity": 2 * 5}
    expected = evaluated(model, metrics=["drop_rate", "complexity"], fractions=[0.3, 0.5])
    key = ["method", "metric", "fraction", "fill", "item"]
    pd.testing.assert_frame_equal(
        found.sort_values(key, ignore_index=True),
        expected.sort_values(key, ignore_index=True),
        atol=1e-6,
    )


def test_more_methods_compute_only_the_new_ones(kept):
    model = small_network(1)
    scored(model, {"one": MAPS["one"]})
    kept.clear()
    found = scored(model)
    assert kept == {"drop_rate": 5 * 2}
    pd.testing.assert_frame_equal(found, of_two(evaluated(model)), atol=1e-6)


def test_a_changed_map_computes_its_own_scores_anew(kept):
    model = small_network(1)
    scored(model)
    kept.clear()
    changed = {"one": MAPS["one"].copy(), "other": MAPS["other"]}
    changed["one"][3] = -changed["one"][3]
    found = scored(model, changed)
    assert kept == {"drop_rate": 2}, "one map in two settings"
    pd.testing.assert_frame_equal(found, of_two(evaluated(model, changed)), atol=1e-6)


def test_a_changed_second_map_computes_only_what_needs_it(kept):
    model, asked = small_network(1), [("coherency", {}), ("complexity", {}), ("adcc", {})]
    scored(model, asked=asked, again=AGAIN)
    kept.clear()
    changed = {"one": AGAIN["one"], "other": -AGAIN["other"]}
    found = scored(model, asked=asked, again=changed)
    assert kept == {"coherency": 5, "adcc": 5}
    expected = evaluated(model, metrics=["coherency", "complexity", "adcc"], again=changed)
    pd.testing.assert_frame_equal(found, expected, atol=1e-6)


@pytest.mark.parametrize("changed", ["weights", "layers", "input", "class"])
def test_another_model_input_or_class_computes_everything_anew(kept, changed):
    model, given = small_network(1), {}
    scored(model)
    kept.clear()
    if changed == "weights":
        model.set_weights([np.float32(1.01) * weight for weight in model.get_weights()])
    elif changed == "layers":
        model = small_network(1, pooled=True)
    elif changed == "input":
        given = {"samples": Samples(X + np.float32(0.01), TARGET, SAMPLES.names)}
    else:
        given = {"target": (TARGET + 1) % 3}
    found = scored(model, **given)
    assert kept == {"drop_rate": 20}
    pd.testing.assert_frame_equal(found, of_two(evaluated(model, **given)), atol=1e-6)


def test_a_changed_fill_computes_what_takes_it_anew(kept):
    """Its name is the same, its values are not; an area has a fill though nobody asks for one."""
    model, asked = small_network(1), [*TWO, ("complexity", {}), ("deletion_area", {"fill": "mean"})]
    scored(model, asked=asked)
    kept.clear()
    changed = FILLS | {"mean": np.float32(0.5)}
    found = scored(model, asked=asked, fills=changed)
    assert kept == {"drop_rate": 10, "deletion_area": 10}
    names = ["drop_rate", "complexity", "deletion_area"]
    expected = evaluated(model, metrics=names, fills=changed)
    pd.testing.assert_frame_equal(found, of_two(expected), atol=1e-6)


def test_a_changed_fill_that_is_a_function_computes_what_takes_it_anew(kept, edit):
    model = small_network(1)
    asked = metrics.settings(["drop_rate"], fills=["black", "blur"], fractions=[0.3], rules=["exact"])
    scored(model, asked=asked)
    kept.clear()
    edit("metrics.faithfulness", "width=0.05", "width=0.1")
    scored(model, asked=asked)
    assert kept == {"drop_rate": 10}


@pytest.mark.parametrize(
    "module, before, after, anew",
    [
        ("metrics.faithfulness", "1 - masked_confidence / confidence", "1 - masked_confidence", {"drop_rate"}),
        ("metrics.faithfulness", "np.where(np.isnan(flat), -np.inf, flat)", "flat", {"drop_rate", "complexity"}),
        ("metrics.faithfulness", "where=high > low", "where=high > 0", {"drop_rate", "complexity"}),
        ("metrics.faithfulness", "np.maximum(np.abs(change), 0.5)", "np.abs(change)", set()),
        ("metrics", '"Drop rate"', '"Drop"', set()),
        ("models", "tf.shape(scores)[:1]", "tf.shape(scores)[0:1]", {"drop_rate", "complexity"}),
        # The network's answers are the probabilities that come of this.
        ("models", "keras.ops.softmax(logits)", "keras.ops.sigmoid(logits)", {"drop_rate", "complexity"}),
    ],
)  # fmt: skip
def test_other_code_computes_what_uses_it_anew(kept, edit, module, before, after, anew):
    model, asked = small_network(1), [*TWO, ("complexity", {})]
    scored(model, asked=asked)
    kept.clear()
    edit(module, before, after)
    scored(model, asked=asked)
    assert set(kept) == anew


def test_maps_may_lie_in_the_store(output, monkeypatch):
    """They are read as many at a time as are scored."""
    model, read, sizes = small_network(1), Shelf.read, []
    stored, _ = maps.compute_maps(model, SAMPLES, TARGET, "gradient", {})

    def counted(shelf, keys):
        if shelf.about["kind"] == "maps":
            sizes.append(len(keys))
        return read(shelf, keys)

    expected = evaluated(model, {"gradient": stored[:]})
    monkeypatch.setattr(Shelf, "read", counted)
    found = scored(model, {"gradient": stored}, batch_size=2)
    pd.testing.assert_frame_equal(found, of_two(expected), atol=1e-6)
    assert sizes == [2, 2, 1]


def test_an_interrupted_computation_goes_on_after_its_last_batch(kept, monkeypatch):
    model, calls = small_network(1), []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > 3:  # the full input and two settings a batch
            raise KeyboardInterrupt
        return asked(*arguments)

    asked = faithfulness._confidence
    monkeypatch.setattr(faithfulness, "_confidence", interrupted)
    one = {"one": MAPS["one"]}
    with pytest.raises(KeyboardInterrupt):
        scored(model, one, batch_size=2)
    monkeypatch.setattr(faithfulness, "_confidence", asked)
    assert kept == {"drop_rate": 4}
    kept.clear()
    found = scored(model, one, batch_size=2)
    assert kept == {"drop_rate": 6}
    pd.testing.assert_frame_equal(found, of_two(evaluated(model, one)), atol=1e-6)


@pytest.mark.parametrize("family", [metrics.LOCALIZATION, metrics.SAMENESS])
@pytest.mark.parametrize("batch_size", [2, 32])
def test_compared_scores_are_those_of_the_metrics_and_found_again(output, refused, family, batch_size):
    broken = MAPS["one"].copy()
    broken[1, 0] = np.nan
    own, names = MAPS | {"broken": broken}, list("abcde")
    other = RNG.random((5, 40)) < 0.3 if family == metrics.LOCALIZATION else AGAIN | {"broken": broken}
    expected = metrics.compare(own, other, names, family=family, rule="noise")
    found = scores.compared_scores(
        own, other, names, family=family, batch_size=batch_size, rule="noise"
    )
    order = ["method", "metric", "item"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True),
        expected.sort_values(order, ignore_index=True),
        atol=1e-6,
    )
    refused()
    again = scores.compared_scores(
        own, other, names, family=family, batch_size=batch_size, rule="noise"
    )
    pd.testing.assert_frame_equal(again, found)


def test_another_truth_or_other_maps_are_compared_anew(kept):
    truth, names = np.tile(np.arange(40) < 10, (5, 1)), list("abcde")
    given = {"family": metrics.LOCALIZATION, "rule": "template"}
    scores.compared_scores({"one": MAPS["one"]}, truth, names, **given)
    assert kept == dict.fromkeys(metrics.of_family(metrics.LOCALIZATION), 5)
    for other, own in ((truth[:, ::-1], MAPS["one"]), (truth, MAPS["other"])):
        kept.clear()
        found = scores.compared_scores({"one": own}, other, names, **given)
        assert kept == dict.fromkeys(metrics.of_family(metrics.LOCALIZATION), 5)
        expected = metrics.compare({"one": own}, other, names, **given)
        np.testing.assert_allclose(np.sort(found.value), np.sort(expected.value), atol=1e-6)


@pytest.fixture
def curves(output):
    """A network, the curves of two opposite maps, and the fills of the two areas."""
    model, fills = small_network(1), {"mean": np.zeros((40, 1)), "blur": blurred}
    own = {"one": MAPS["one"], "opposite": -MAPS["one"]}
    table = scored(model, own, scores.curve_settings(), fills=fills)
    return model, own, fills, scores.curves(table)


def test_curves_have_a_point_for_each_share_and_method(curves):
    *_, table = curves
    for _, curve in table.groupby(["method", "curve"]):
        assert curve.fraction.tolist() == list(PLACES)
    assert set(table.curve) == {"insertion", "deletion"} and set(table.method) == {"one", "opposite"}


def test_curves_begin_and_end_with_what_no_map_decides(curves):
    model, *_, table = curves
    ends = table[table.fraction.isin([0, 1])].groupby(["curve", "fraction"]).confidence
    assert np.allclose(ends.std(), 0, atol=1e-6)

    def mean_confidence(x):
        answers = models.score_model(model, "probability").predict_on_batch(np.float32(x))
        return answers[np.arange(5), TARGET].mean()

    full, blank, blur = map(mean_confidence, (X, np.zeros_like(X), blurred(X)))
    expected = {
        ("deletion", 0): full, ("deletion", 1): blank, ("insertion", 0): blur, ("insertion", 1): full,
    }  # fmt: skip
    assert ends.mean().to_dict() == pytest.approx(expected, abs=1e-6)


def test_the_area_under_a_curve_is_the_mean_of_the_areas(curves):
    model, own, fills, table = curves
    areas = evaluated(model, own, fills=fills, metrics=["insertion_area", "deletion_area"])
    means = areas.groupby(["method", "metric"]).value.mean()
    for (method, curve), points in table.groupby(["method", "curve"]):
        area = np.trapezoid(points.confidence, points.fraction)
        assert area == pytest.approx(means[method, f"{curve}_area"], abs=1e-6)

import keras
import numpy as np
import pytest

from xai_utils import metrics
from xai_utils.data import Samples
from xai_utils.metrics.faithfulness import RULES, completeness_gap, drop, increase, masked_confidence, salient_points


@pytest.fixture
def reads_first_point():
    """P(class 1) = sigmoid(2 x_0): a network of two classes that reads one point of a signal."""
    inputs = keras.Input((4, 1))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    kernel = np.zeros((4, 2))
    kernel[0, 1] = 2
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    return model


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def test_drop_and_increase_by_hand():
    confidence, masked = np.array([0.8, 0.8, 0.5]), np.array([0.2, 0.8, 0.75])
    np.testing.assert_allclose(drop(confidence, masked), [0.75, 0, 0])
    assert increase(confidence, masked).tolist() == [0, 0, 1]


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_an_undefined_confidence_gives_an_undefined_value(metric):
    values = metrics.METRICS[metric].function(np.array([0.5, 0.5]), np.array([np.nan, 0.4]))
    assert np.isnan(values[0]) and np.isfinite(values[1])


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_a_perfect_and_an_opposite_map_bracket_every_metric(metric, reads_first_point):
    """Point 1 would lower the confidence if it were read; a map can only keep or lose point 0."""
    x = np.array([[[1.0], [2.0], [2.0], [2.0]]])
    confidence = np.array([sigmoid(2.0)])
    values = {}
    for name, kept in (("perfect", [3, 2, 1, 0]), ("opposite", [0, 1, 2, 3])):
        masked = masked_confidence(
            reads_first_point, x, np.array([kept]), np.array([1]), fraction=0.25
        )
        values[name] = metrics.METRICS[metric].function(confidence, masked)[0]
    better = values["perfect"] - values["opposite"]
    assert better >= 0 if metrics.METRICS[metric].higher_is_better else better <= 0
    if metric == "drop_rate":
        assert values["perfect"] == pytest.approx(0, abs=1e-6)
        assert values["opposite"] == pytest.approx(1 - 0.5 / sigmoid(2.0), abs=1e-6)


def test_removed_points_take_the_value_of_the_fill(reads_first_point):
    x, maps, target = np.ones((1, 4, 1)), np.array([[0, 1, 1, 1]]), np.array([1])
    for fill, expected in ((0.0, 0.5), (3.0, sigmoid(6.0)), (np.full((4, 1), -1.0), sigmoid(-2.0))):
        confidence = masked_confidence(reads_first_point, x, maps, target, fraction=0.75, fill=fill)
        assert confidence[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rule, expected", [("exact", [1, 1, 0, 1]), ("published", [0, 1, 0, 1])])
def test_which_points_are_salient(rule, expected):
    keep = salient_points(np.array([[2, 4, 1, 3]]), 0.75, rule)
    assert keep.astype(int).tolist() == [expected]


@pytest.mark.parametrize(
    "values, exact, published",
    [
        ([5, 5, 5, 5], [1, 1, 0, 0], [0, 0, 0, 0]),  # constant: position decides, or nothing is kept
        ([0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]),
        ([0, 0, 0, 9], [1, 0, 0, 1], [0, 0, 0, 1]),  # ties at the threshold
        ([-1, -2, -3, -4], [1, 1, 0, 0], [1, 0, 0, 0]),  # negative values rank like others
        ([1, np.nan, 3, 2], [0, 0, 1, 1], None),
    ],
)
def test_ties_constants_and_negative_values(values, exact, published):
    maps = np.array([values], float)
    assert salient_points(maps, 0.5, "exact").astype(int).tolist() == [exact]
    if published is not None:
        assert salient_points(maps, 0.5, "published").astype(int).tolist() == [published]


@pytest.mark.parametrize("size", [7, 40, 225])
@pytest.mark.parametrize("fraction", [0.15, 0.3, 0.5, 0.9, 1.0])
def test_the_exact_rule_keeps_the_share_it_says(size, fraction):
    maps = np.random.default_rng(0).integers(0, 3, (4, size))
    kept = salient_points(maps, fraction, "exact").sum(axis=1)
    assert (kept == int(fraction * size + 0.5)).all()


@pytest.mark.parametrize("rule", RULES)
def test_masks_of_images_and_of_flat_maps_are_the_same(rule):
    maps = np.random.default_rng(0).random((3, 6, 5))
    flat = salient_points(maps.reshape(3, 30), 0.4, rule)
    assert np.array_equal(salient_points(maps, 0.4, rule).reshape(3, 30), flat)


def test_a_map_that_is_not_finite_has_no_score(reads_first_point):
    maps = np.array([[np.nan, 1, 2, 3], [0, 1, 2, 3]])
    x, target = np.ones((2, 4, 1)), np.array([1, 1])
    confidence = masked_confidence(reads_first_point, x, maps, target, fraction=0.5)
    assert np.isnan(confidence[0]) and np.isfinite(confidence[1])


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1])
def test_fractions_outside_zero_to_one_are_refused(fraction):
    with pytest.raises(ValueError, match="fraction"):
        salient_points(np.ones((1, 4)), fraction)


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="exact, published"):
        salient_points(np.ones((1, 4)), 0.5, "nearest")


def test_evaluate_gives_one_row_a_value_and_means_hide_nothing(reads_first_point):
    x = np.ones((3, 4, 1), np.float32)
    samples = Samples(x, np.ones(3, int), np.array(["a", "b", "c"]))
    maps = {"good": np.array([[3.0, 2, 1, 0]] * 3), "broken": np.array([[3.0, 2, 1, np.nan]] * 3)}
    scores = metrics.evaluate(
        reads_first_point, samples, np.array([1, 1, 1]), maps,
        fractions=[0.25, 0.5], fills={"black": 0.0}, rules=RULES,
    )  # fmt: skip
    assert len(scores) == 2 * 2 * 1 * 2 * len(metrics.METRICS) * 3
    table = metrics.summarize(scores).set_index(["method", "rule", "fraction"])
    assert table.loc[("good", "exact", 0.25), "drop_rate"] == pytest.approx(0, abs=1e-6)
    assert table.loc["broken", "drop_rate"].isna().all()


def test_the_completeness_gap_is_what_a_sum_misses(reads_first_point):
    """The logit of class 1 is 2 x_0, so from 0 to x it changes by 6, 6 and 0.2."""
    x = np.zeros((3, 4, 1), np.float32)
    x[:, 0, 0] = [3, 3, 0.1]
    maps = np.array([[6, 0, 0, 0], [3, 0, 0, -1.5], [0, 0, 0, 0.0]])
    gap = completeness_gap(reads_first_point, x, [1, 1, 1], maps)
    np.testing.assert_allclose(gap, [0, 0.75, 0.4], atol=1e-6)
    from_one = completeness_gap(reads_first_point, x[:1], [1], maps[:1], baseline=1.0)
    np.testing.assert_allclose(from_one, 0.5, atol=1e-6)


def test_scores_of_a_model_without_softmax_are_those_of_its_probabilities(reads_first_point):
    model = reads_first_point
    x = np.array([[[2.0], [1], [0], [-1]], [[-1.0], [1], [0], [-1]]], np.float32)
    samples = Samples(x, np.array([1, 0]), np.array(["a", "b"]))
    settings = {"fractions": [0.5], "fills": {"black": 0.0}, "rules": ["exact"]}
    maps = {"some": np.array([[0, 1, 2, 3], [3, 2, 1, 0.0]])}
    values = []
    for activation in (keras.activations.softmax, keras.activations.linear):
        model.layers[-1].activation = activation
        values.append(metrics.evaluate(model, samples, [1, 0], maps, **settings).value)
    np.testing.assert_allclose(*values, atol=1e-6)

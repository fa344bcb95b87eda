import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from xai_utils import metrics
from xai_utils.metrics import faithfulness
from xai_utils.metrics.faithfulness import (
    PLACES,
    RULES,
    Answers,
    blurred,
    completeness_gap,
    drop,
    increase,
    salient_points,
    tied_share,
    unit_scale,
)


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


def answers(model, x, maps, **more):
    """The answers for class 1, with a black fill, a mean of 1 and a blur of -1."""
    fills = {"black": 0.0, "mean": np.ones((4, 1)), "blur": -np.ones(x.shape)}
    target = np.ones(len(x), int)
    return Answers(model, x, target, np.asarray(maps, float), fills, {}, **more)


def test_drop_and_increase_by_hand():
    confidence, masked = np.array([0.8, 0.8, 0.5]), np.array([0.2, 0.8, 0.75])
    np.testing.assert_allclose(drop(confidence, masked), [0.75, 0, 0])
    assert increase(confidence, masked).tolist() == [0, 0, 1]


def test_what_is_kept_removed_and_multiplied(reads_first_point):
    """Points 0 and 1 are the top half; the map in [0, 1] is 1, 2/3, 1/3, 0."""
    x = np.array([[[3.0], [2.0], [2.0], [2.0]]])
    given = answers(reads_first_point, x, [[4, 3, 2, 1]])
    expected = [
        (given.full(), 6),
        (given.blank("mean"), 2),
        (given.kept(0.5, "black", "exact"), 6),
        (given.kept(0.25, "black", "published"), 0),  # none lies above the largest
        (given.removed(0.5, "black"), 0),
        (given.removed(0.25, "blur"), -2),
        (given.multiplied(), 6),
    ]
    for answer, logit in expected:
        np.testing.assert_allclose(answer, [sigmoid(logit)], atol=1e-6)


def test_a_question_is_asked_once(reads_first_point, monkeypatch):
    asked = []
    true_confidence = faithfulness.confidence
    monkeypatch.setattr(faithfulness, "confidence", lambda *a: asked.append(1) or true_confidence(*a))
    given = answers(reads_first_point, np.ones((2, 4, 1)), np.ones((2, 4)))
    faithfulness.insertion_area(given, fill="blur")
    faithfulness.drop_rate(given, fraction=0.3, fill="blur", rule="exact")
    faithfulness.increase_rate(given, fraction=0.3, fill="blur", rule="exact")
    assert len(asked) == len(PLACES)


def test_areas_by_hand(reads_first_point):
    """A map that ranks the point that is read first: from the first point on all is known."""
    x = np.array([[[3.0], [2.0], [2.0], [2.0]]])
    first, last = (
        answers(reads_first_point, x, [[4, 3, 2, 1]]),
        answers(reads_first_point, x, [[1, 2, 3, 4]]),
    )
    high, blur, mean = sigmoid(6), sigmoid(-2), sigmoid(2)
    # Of 4 points, 5 % are none, 15 and 30 % are one, 50 % two, 70 % three, 90 % all.
    early = blur * 0.05 + 0.1 * (blur + high) / 2 + high * 0.85
    late = blur * 0.70 + 0.2 * (blur + high) / 2 + high * 0.1
    np.testing.assert_allclose(faithfulness.insertion_area(first, fill="blur"), early, atol=1e-6)
    np.testing.assert_allclose(faithfulness.insertion_area(last, fill="blur"), late, atol=1e-6)
    early = high * 0.05 + 0.1 * (mean + high) / 2 + mean * 0.85
    np.testing.assert_allclose(faithfulness.deletion_area(first, fill="mean"), early, atol=1e-6)


def test_loss_without_the_top_by_hand(reads_first_point):
    x = np.array([[[3.0], [2.0], [2.0], [2.0]]])
    loss = faithfulness.removal_loss(
        answers(reads_first_point, x, [[4, 3, 2, 1]]), fraction=0.25, fill="black"
    )
    np.testing.assert_allclose(loss, 1 - 0.5 / sigmoid(6), atol=1e-6)
    x = np.array([[[-3.0], [2.0], [2.0], [2.0]]])
    gain = faithfulness.removal_loss(
        answers(reads_first_point, x, [[4, 3, 2, 1]]), fraction=0.25, fill="black"
    )
    assert gain[0] == pytest.approx(1 - 0.5 / sigmoid(-6), rel=1e-4)  # it rises: negative


def test_adcc_by_hand(reads_first_point):
    """The map scaled to [0, 1] is 1, 0, 0, 1; its second one is 1, 1, 0, 0, without correlation."""
    x = np.ones((1, 4, 1))
    given = answers(reads_first_point, x, [[5, 1, 1, 5]], again=np.array([[3.0, 3, 2, 2]]))
    assert faithfulness.coherency(given) == pytest.approx(0.5)
    assert faithfulness.complexity(given) == pytest.approx(0.5)
    assert faithfulness.adcc(given) == pytest.approx(3 / (1 / 0.5 + 1 / 0.5 + 1 / 1))
    same = answers(reads_first_point, x, [[5, 1, 1, 5]], again=np.array([[9.0, 0, 0, 9]]))
    assert faithfulness.coherency(same) == pytest.approx(1)
    opposite = answers(reads_first_point, x, [[5, 1, 1, 5]], again=np.array([[0.0, 9, 9, 0]]))
    assert faithfulness.coherency(opposite) == pytest.approx(0)
    assert faithfulness.adcc(opposite) == 0


def score(name, model, x, maps):
    """The values of a metric of faithfulness, in one setting."""
    metric = metrics.METRICS[name]
    setting = metric.fixed | {"fraction": 0.25, "fill": "black", "rule": "exact"}
    own = {key: setting[key] for key in (*metric.varies, *metric.fixed)}
    maps = np.asarray(maps, float)
    return metric.function(answers(model, x, maps, again=maps), **own)


FAITHFUL = metrics.of_family(metrics.FAITHFULNESS)


@pytest.mark.parametrize("name", [name for name in FAITHFUL if name not in ("coherency", "complexity")])
def test_a_perfect_and_an_opposite_map_bracket_every_metric(name, reads_first_point):
    """Only point 0 is read; a map can put it first or last."""
    x = np.array([[[1.0], [2.0], [2.0], [2.0]]])
    perfect, middle, opposite = (
        score(name, reads_first_point, x, [values])[0]
        for values in ([3, 0, 0, 0], [2, 3, 1, 0], [0, 3, 3, 3])
    )
    sign = 1 if metrics.METRICS[name].higher_is_better else -1
    assert sign * perfect >= sign * middle >= sign * opposite
    if "increase" not in name:  # nothing can raise what only point 0 decides
        assert sign * perfect > sign * opposite


def test_removing_a_harmful_point_is_an_increase(reads_first_point):
    x = np.array([[[-1.0], [2.0], [2.0], [2.0]]])
    for name in ("increase_rate", "multiplied_increase_rate"):
        kept, lost = (score(name, reads_first_point, x, [m])[0] for m in ([3, 0, 0, 0], [0, 1, 2, 3]))
        assert (kept, lost) == (0, 1)


DEGENERATE = {
    "constant": [2, 2, 2, 2],
    "zero": [0, 0, 0, 0],
    "negative": [-1, -2, -3, -4],
}


@pytest.mark.parametrize("name", FAITHFUL)
@pytest.mark.parametrize("kind", DEGENERATE)
def test_degenerate_maps_have_a_value_in_the_range(name, kind, reads_first_point):
    value = score(name, reads_first_point, np.ones((1, 4, 1)), [DEGENERATE[kind]])[0]
    assert 0 <= value <= 1


@pytest.mark.parametrize("name", FAITHFUL)
def test_a_map_that_is_not_finite_has_no_value_and_spoils_no_other(name, reads_first_point):
    for bad in (np.nan, np.inf):
        maps = [[3, 2, 1, bad], [3, 2, 1, 0]]
        values = score(name, reads_first_point, np.ones((2, 4, 1)), maps)
        assert np.isnan(values[0]) and np.isfinite(values[1])


@pytest.mark.parametrize("name", ["drop_rate", "removal_loss", "insertion_area", "deletion_area"])
def test_only_the_order_of_the_points_counts(name, reads_first_point):
    x = np.random.default_rng(0).normal(size=(6, 4, 1))
    maps = np.random.default_rng(1).normal(size=(6, 4))
    values, monotone = (score(name, reads_first_point, x, m) for m in (maps, np.exp(3 * maps) - 7))
    np.testing.assert_allclose(values, monotone)


def test_a_constant_map_scaled_is_nothing_and_others_reach_from_0_to_1():
    maps = np.array([[3, 3, 3], [-1, 0, 1.0]])
    assert unit_scale(maps).tolist() == [[0, 0, 0], [0, 0.5, 1]]


@pytest.mark.parametrize("shape", [(2, 40, 1), (2, 30, 30, 3)])
def test_a_blur_keeps_constants_and_the_channels_apart(shape):
    x = np.ones(shape) * np.arange(1, shape[-1] + 1)
    np.testing.assert_allclose(blurred(x), x)
    spike = np.zeros(shape)
    spike[0, 20] = 1
    assert blurred(spike)[0, 20].max() < 0.5 and blurred(spike)[1].max() == 0


@pytest.mark.parametrize("rule, expected", [("exact", [1, 1, 0, 1]), ("published", [0, 1, 0, 1])])
def test_which_points_are_salient(rule, expected):
    keep = salient_points(np.array([[2, 4, 1, 3]]), 0.75, rule)
    assert keep.astype(int).tolist() == [expected]


@pytest.mark.parametrize(
    "values, exact, published",
    [
        (
            [5, 5, 5, 5],
            [1, 1, 0, 0],
            [0, 0, 0, 0],
        ),  # constant: the order of ties decides, or nothing is kept
        ([0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]),
        ([0, 0, 0, 9], [1, 0, 0, 1], [0, 0, 0, 1]),  # ties at the threshold
        ([-1, -2, -3, -4], [1, 1, 0, 0], [1, 0, 0, 0]),  # negative values rank like others
        ([1, np.nan, 3, 2], [0, 0, 1, 1], None),
    ],
)
def test_ties_constants_and_negative_values(values, exact, published, monkeypatch):
    """In reading order by the first rule; by the exact one in any that is drawn, as backwards."""
    maps = np.array([values], float)
    assert salient_points(maps, 0.5, "first").astype(int).tolist() == [exact]
    monkeypatch.setattr(faithfulness, "tie_order", lambda size: np.arange(size)[::-1])
    backwards = salient_points(maps[:, ::-1], 0.5, "exact")[:, ::-1]
    assert backwards.astype(int).tolist() == [exact]
    if published is not None:
        assert salient_points(maps, 0.5, "published").astype(int).tolist() == [published]


def test_the_published_rule_keeps_nothing_where_its_share_is_less_than_a_point():
    maps = np.arange(4.0)[np.newaxis]
    assert not salient_points(maps, 0.2, "published").any()
    assert salient_points(maps, 0.2, "exact").sum() == 1


def test_a_constant_map_keeps_no_band():
    """As many of each quarter, and other points than a band; each map of a size the same."""
    keep = salient_points(np.ones((2, 60, 60)), 0.25, "exact")
    quarters = keep[0].reshape(2, 30, 2, 30).mean(axis=(1, 3))
    assert keep[0].sum() == 900 and np.abs(quarters - 0.25).max() < 0.05
    assert np.array_equal(*keep) and not np.array_equal(
        keep[0], salient_points(np.ones((1, 60, 60)), 0.25, "first")[0]
    )


def test_ties_are_counted():
    assert tied_share(np.array([[1, 2, 2, 3], [0, 0, 0, 0], [1, 2, 3, 4]])).tolist() == [0.5, 1, 0]


@pytest.mark.parametrize("size", [7, 40, 225])
@pytest.mark.parametrize("fraction", [0.15, 0.3, 0.5, 0.9, 1.0])
def test_the_exact_rule_keeps_the_share_it_says(size, fraction):
    maps = np.random.default_rng(0).integers(0, 3, (4, size))
    for rule in ("exact", "first"):
        kept = salient_points(maps, fraction, rule).sum(axis=1)
        assert (kept == int(fraction * size + 0.5)).all()


@pytest.mark.parametrize("rule", RULES)
def test_masks_of_images_and_of_flat_maps_are_the_same(rule):
    maps = np.random.default_rng(0).random((3, 6, 5))
    flat = salient_points(maps.reshape(3, 30), 0.4, rule)
    assert np.array_equal(salient_points(maps, 0.4, rule).reshape(3, 30), flat)


def test_ties_are_resolved_alike_by_every_processor():
    """NumPy sorts by the widest instructions that it finds, unless they are switched off."""
    wide = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    if not wide:
        pytest.skip("this processor has nothing that NumPy could switch off")
    code = """
import numpy as np
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from xai_utils.metrics.faithfulness import salient_points
maps = np.random.default_rng(0).integers(0, 4, (8, 900)).astype(np.float32)
masks = [salient_points(maps, f, r) for f in (0.15, 0.3, 0.5, 0.9) for r in ("exact", "published")]
wide = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
"""
    here = {}
    exec(code, here)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        code + "print(len(wide), np.packbits(masks).tobytes().hex())",
    ]
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(wide)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", np.packbits(here["masks"]).tobytes().hex()]


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1])
def test_fractions_outside_zero_to_one_are_refused(fraction):
    with pytest.raises(ValueError, match="fraction"):
        salient_points(np.ones((1, 4)), fraction)


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="exact, first, published"):
        salient_points(np.ones((1, 4)), 0.5, "nearest")


def test_the_completeness_gap_is_what_a_sum_misses(reads_first_point):
    """The logit of class 1 is 2 x_0, so from 0 to x it changes by 6, 6 and 0.2."""
    x = np.zeros((3, 4, 1), np.float32)
    x[:, 0, 0] = [3, 3, 0.1]
    maps = np.array([[6, 0, 0, 0], [3, 0, 0, -1.5], [0, 0, 0, 0.0]])
    gap = completeness_gap(reads_first_point, x, [1, 1, 1], maps)
    np.testing.assert_allclose(gap, [0, 0.75, 0.4], atol=1e-6)
    from_one = completeness_gap(reads_first_point, x[:1], [1], maps[:1], baseline=1.0)
    np.testing.assert_allclose(from_one, 0.5, atol=1e-6)

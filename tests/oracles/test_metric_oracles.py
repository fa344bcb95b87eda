"""The same maps, judged here and by Quantus and pytorch-grad-cam (make_metric_oracles.py).

Where the definitions differ, a test says how: what the others give, and what it is here.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from skimage import metrics

from tests.oracles.test_oracles import ORACLES, model  # noqa: F401, a fixture
from xai_utils.metrics.faithfulness import (
    Answers,
    confidence,
    drop,
    multiplied_drop_rate,
    multiplied_increase_rate,
)
from xai_utils.metrics.localization import bounding_box, chance, energy, pointing
from xai_utils.metrics.sanity import change, rank_correlation, structural_similarity

METRIC_ORACLES = np.load(Path(__file__).with_name("metric_oracles.npz"))
TRUTH = METRIC_ORACLES["truth"]
METRICS = {"mass": energy, "rank": bounding_box, "pointing": pointing}
EACH_METRIC = pytest.mark.parametrize("metric", METRICS)


def found(metric, kind):
    return METRICS[metric](METRIC_ORACLES[kind], TRUTH)


def quantus(metric, kind):
    return METRIC_ORACLES[f"{metric}_{kind}"]


def agree(values, expected, **tolerance):
    np.testing.assert_allclose(values, expected, **{"rtol": 1e-9, "atol": 1e-9} | tolerance)


@pytest.mark.parametrize(
    "metric, kind",
    [
        ("mass", "positive"),
        ("mass", "tied"),
        ("rank", "positive"),
        ("rank", "signed"),
        ("rank", "negative"),
        ("pointing", "positive"),
        ("pointing", "signed"),
        ("pointing", "negative"),
    ],
)
def test_quantus_agrees(metric, kind):
    """On the mass of maps without negative values, and on the others where no points are equal."""
    agree(found(metric, kind), quantus(metric, kind))


def test_quantus_agrees_on_the_mass_of_the_positive_part_and_of_magnitudes():
    """The former is the energy here; the latter, an option there, is the energy of magnitudes."""
    agree(found("mass", "signed"), quantus("mass", "positive_part"))
    agree(energy(np.abs(METRIC_ORACLES["signed"]), TRUTH), quantus("mass", "absolute"))


def test_quantus_lets_signs_cancel_in_the_mass():
    """It divides sums of signed values, so a mass may be below 0 or above 1, as none is here."""
    signed = METRIC_ORACLES["signed"]
    ratio = (signed * TRUTH).sum(axis=(1, 2)) / signed.sum(axis=(1, 2))
    agree(quantus("mass", "signed"), ratio)
    assert ratio.min() < 0 and ratio.max() > 1
    assert ((found("mass", "signed") >= 0) & (found("mass", "signed") <= 1)).all()


def test_quantus_gives_a_negative_map_the_mass_of_its_opposite():
    """Signs cancel there too. Here it has no energy, and counts as spread evenly."""
    agree(energy(-METRIC_ORACLES["negative"], TRUTH), quantus("mass", "negative"))
    agree(found("mass", "negative"), chance(TRUTH))


def test_quantus_agrees_on_the_rank_over_all_choices_among_equal_points():
    """Among equal points it takes those that an unstable sort puts first: any of them.

    The mean over all orders of the points is the value here.
    """
    ranks = bounding_box(METRIC_ORACLES["six_points"], METRIC_ORACLES["six_truth"])
    agree(ranks, METRIC_ORACLES["six_rank"])
    assert not np.allclose(found("rank", "tied"), quantus("rank", "tied"))


def test_quantus_counts_a_hit_where_any_of_several_highest_points_is_inside():
    """Here it is the share inside: with several, no map gets all for some of them."""
    shares = found("pointing", "tied")
    agree(quantus("pointing", "tied"), shares > 0)
    assert ((shares > 0) & (shares < 1)).any()


def test_constant_maps():
    """Chance here, whatever the metric. Quantus has 0/0 for the mass of zeros, the mean of the
    truth for other constants, an arbitrary rank, and a hit always.
    """
    for metric in METRICS:
        agree(found(metric, "constant"), chance(TRUTH))
    zero = (METRIC_ORACLES["constant"] == 0).all(axis=(1, 2))
    agree(quantus("mass", "constant"), np.where(zero, np.nan, chance(TRUTH)))
    assert not np.allclose(quantus("rank", "constant"), chance(TRUTH))
    agree(quantus("pointing", "constant"), 1)


@EACH_METRIC
def test_without_truth(metric):
    """NaN on both sides; but Quantus 0.6.0 writes it into booleans in the pointing game: a hit."""
    values = METRICS[metric](METRIC_ORACLES["signed"], np.zeros_like(TRUTH))
    assert np.isnan(values).all()
    agree(quantus(metric, "without_truth"), 1 if metric == "pointing" else values)


@EACH_METRIC
def test_maps_that_are_not_finite(metric):
    """NaN here, for that map alone. Quantus divides by the largest value of the whole batch, so one
    NaN is in all its maps, the finite one too: no mass, no hit, and a rank that means nothing.
    """
    values = found(metric, "undefined")
    assert np.isnan(values).tolist() == [True] * (len(values) - 1) + [False]
    given = quantus(metric, "undefined")
    if metric == "rank":
        assert np.isfinite(given).all()
    else:
        agree(given, np.full(len(values), {"mass": np.nan, "pointing": 0}[metric]))


@pytest.fixture(scope="module")
def probabilities(model):  # noqa: F811
    return keras.Sequential([model, keras.layers.Softmax()])


@pytest.fixture(scope="module")
def answers(probabilities):
    """A function that gives the answers for maps of several rounds of the input."""
    rounds = len(METRIC_ORACLES["multiplied_by"]) // len(ORACLES["x"])
    x, target = np.tile(ORACLES["x"], (rounds, 1, 1, 1)), np.tile(ORACLES["target"], rounds)
    return lambda maps: Answers(probabilities, x, target.astype(int), maps, {}, {})


def test_pytorch_grad_cam_agrees_on_the_drop_but_for_the_confidence_it_is_a_share_of(answers):
    """Its drop is ``max(0, full - multiplied)``, not divided by ``full`` as here and in the source.

    One value a sample on both sides, no per cent. It asks for what its targets say: here those
    that give probabilities; its usual ones give scores.
    """
    asked, absolute = answers(METRIC_ORACLES["multiplied_by"]), METRIC_ORACLES["drop"]
    agree(asked.full(), METRIC_ORACLES["full"], atol=1e-5)
    agree(multiplied_drop_rate(asked), absolute / METRIC_ORACLES["full"], atol=1e-5)
    assert absolute.max() > 0.3 and absolute.min() == 0


def test_pytorch_grad_cam_agrees_on_the_increase(answers):
    increase = METRIC_ORACLES["increase"]
    agree(multiplied_increase_rate(answers(METRIC_ORACLES["multiplied_by"])), increase)
    assert set(increase) == {0, 1}


def test_pytorch_grad_cam_multiplies_by_the_map_as_it_is(answers):
    """Half a map loses more there; here it is scaled to [0, 1] first, and nothing changes."""
    half = METRIC_ORACLES["multiplied_by"] / 2
    asked = answers(half)
    seen = confidence(asked.model, asked.x * half[..., np.newaxis], asked.target)
    absolute = drop(asked.full(), seen) * asked.full()
    agree(absolute, METRIC_ORACLES["drop_of_half"], atol=1e-5)
    given = METRIC_ORACLES["drop"] / METRIC_ORACLES["full"]
    agree(multiplied_drop_rate(asked), given, atol=1e-5)


MAPS, OTHERS = METRIC_ORACLES["maps"], METRIC_ORACLES["others"]


@pytest.mark.parametrize("metric", [rank_correlation, change, structural_similarity])
def test_quantus_agrees_on_the_similarity(metric):
    """Spearman's correlation, Yeh's sensitivity for one change, and SSIM of maps in [0, 1].

    By default, Quantus' sensitivity is the largest for many changes of the input.
    """
    agree(metric(MAPS, OTHERS), METRIC_ORACLES[metric.__name__])


@pytest.mark.parametrize("metric", [rank_correlation, change])
def test_quantus_agrees_on_the_similarity_of_maps_with_equal_points(metric):
    values = metric(np.round(MAPS), np.round(OTHERS))
    agree(values, METRIC_ORACLES[f"{metric.__name__}_of_ties"])


@pytest.mark.parametrize(
    "metric, here, there",
    [(rank_correlation, [0, 1], [np.nan, np.nan]), (change, [1, 0], [np.inf, np.nan])],
)
def test_quantus_leaves_the_similarity_of_zeros_undefined(metric, here, there):
    """First the map alone is 0 everywhere, then both; the others agree."""
    expected = METRIC_ORACLES[f"{metric.__name__}_of_zeros"]
    values = metric(*(np.stack([MAPS, OTHERS]) * METRIC_ORACLES["kept"]))
    agree(expected[:2], there)
    agree(values, [*here, *expected[2:]])


def test_quantus_takes_the_structural_similarity_of_maps_as_they_are():
    """The range is that of both maps together; here each is scaled to [0, 1] first."""
    unscaled = [
        metrics.structural_similarity(*pair, data_range=np.ptp(pair), win_size=7)
        for pair in zip(MAPS, OTHERS)
    ]
    agree(METRIC_ORACLES["structural_similarity_unscaled"], unscaled)
    assert not np.allclose(structural_similarity(MAPS, OTHERS), unscaled, atol=0.1)

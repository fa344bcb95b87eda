import numpy as np
import pytest

from xai_utils.metrics import localization
from xai_utils.metrics.localization import bounding_box, chance, energy, pointing

METRICS = pytest.mark.parametrize("metric", [energy, bounding_box, pointing])
NAN = float("nan")

# Two of four points are the truth.
TRUTH = np.array([[True, True, False, False]])


@pytest.mark.parametrize(
    "scores, placed, ranked, pointed",
    [
        ([3, 1, 4, 2], 4 / 10, 1 / 2, 0),
        ([5, 1, 4, 2], 6 / 12, 1 / 2, 1),
        ([3, -1, 2, -4], 3 / 5, 1 / 2, 1),
        ([-1, -2, -3, -4], 1 / 2, 1, 1),  # no energy, but the least negative points lie inside
        ([-4, -3, -2, -1], 1 / 2, 0, 0),
        ([7, 7, 7, 7], 1 / 2, 1 / 2, 1 / 2),
        ([0, 0, 0, 0], 1 / 2, 1 / 2, 1 / 2),
        ([-2, -2, -2, -2], 1 / 2, 1 / 2, 1 / 2),
        ([5, 2, 2, 2], 7 / 11, (1 + 1 / 3) / 2, 1),  # one of three equal points is chosen
        ([2, 2, 5, 2], 4 / 11, (2 / 3) / 2, 0),
        ([5, 1, 5, 1], 6 / 12, 1 / 2, 1 / 2),
        ([5, 5, 5, 0], 10 / 15, 2 / 3, 2 / 3),
        ([0, 0, 9, 0], 0, (2 / 3) / 2, 0),
        ([1, NAN, 1, 1], NAN, NAN, NAN),
        ([1, np.inf, 1, 1], NAN, NAN, NAN),
        ([1, -np.inf, 1, 1], NAN, NAN, NAN),
    ],
)
def test_shares_computed_by_hand(scores, placed, ranked, pointed):
    maps = np.array([scores], float)
    found = [metric(maps, TRUTH)[0] for metric in (energy, bounding_box, pointing)]
    assert found == pytest.approx([placed, ranked, pointed], nan_ok=True)


def test_the_bounding_box_takes_as_many_points_as_the_truth_has():
    maps = np.tile([4.0, 3.0, 2.0, 1.0], (4, 1))
    truth = np.array([[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1]], bool)
    assert bounding_box(maps, truth) == pytest.approx([0, 1 / 2, 2 / 3, 1])


def test_equal_points_count_as_their_mean_over_random_choices():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 3, (1, 30)).astype(float)
    truth = rng.random((1, 30)) < 0.4
    jittered = np.repeat(maps, 4000, axis=0) + rng.uniform(0, 0.5, (4000, 30))
    drawn = bounding_box(jittered, np.repeat(truth, 4000, axis=0))
    assert bounding_box(maps, truth)[0] == pytest.approx(drawn.mean(), abs=0.01)


@METRICS
def test_the_truth_itself_gets_one_and_its_complement_nothing(metric):
    truth = np.random.default_rng(1).random((20, 6, 5)) < 0.3
    assert np.array_equal(metric(truth.astype(np.float32), truth), np.ones(20))
    assert np.array_equal(metric(np.float32(1) - truth, truth), np.zeros(20))


@METRICS
def test_a_constant_map_gets_what_chance_gives(metric):
    truth = np.random.default_rng(2).random((20, 6, 5)) < 0.3
    assert metric(np.full(truth.shape, 0.1, np.float32), truth) == pytest.approx(chance(truth))


@METRICS
def test_random_maps_get_on_average_what_chance_gives(metric):
    rng = np.random.default_rng(3)
    truth = np.tile(rng.random((1, 8, 8)) < 0.3, (5000, 1, 1))
    mean = metric(rng.normal(size=truth.shape), truth).mean()
    assert mean == pytest.approx(chance(truth)[0], abs=0.03)


@METRICS
def test_positive_scaling_changes_nothing(metric):
    rng = np.random.default_rng(4)
    maps, truth = rng.normal(size=(20, 6, 5)), rng.random((20, 6, 5)) < 0.3
    for factor in (1e-20, 1e20):
        assert metric(factor * maps, truth) == pytest.approx(metric(maps, truth))


@METRICS
def test_images_and_signals_with_the_same_points_get_the_same(metric):
    rng = np.random.default_rng(5)
    maps, truth = rng.normal(size=(20, 6, 5)), rng.random((20, 6, 5)) < 0.3
    flat = metric(maps.reshape(20, 30), truth.reshape(20, 30))
    assert np.array_equal(metric(maps, truth), flat)


@METRICS
def test_an_undefined_sample_leaves_the_others_alone(metric):
    maps = np.array([[3, 1, 2, 1], [NAN, 1, 4, 2], [3, 1, 2, 1], [3, 1, 2, 1]], np.float32)
    truth = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]], bool)
    values = metric(maps, truth)
    assert np.isnan(values).tolist() == [False, True, True, False]
    assert values[0] == values[3]


@METRICS
def test_other_shapes_are_refused(metric):
    with pytest.raises(ValueError, match=r"\(1, 4\).*\(1, 2, 2\)"):
        metric(np.ones((1, 4)), np.ones((1, 2, 2), bool))


def test_chance_is_the_share_of_the_area_and_undefined_for_nothing():
    truth = np.zeros((3, 2, 4), bool)
    truth[0, 0], truth[1, 1, 1] = True, True
    assert chance(truth) == pytest.approx([1 / 2, 1 / 8, NAN], nan_ok=True)


def test_the_shares_of_instances_by_hand():
    """Of a map that sums to 8 over four points, the first instance gets 2 of one point, the second 6 of
    two; negative values count for nothing."""
    one_map = np.array([2.0, 5, 1, -9])
    shares, density = localization.instance_shares(one_map, [[1, 0, 0, 0], [0, 1, 1, 0]])
    np.testing.assert_allclose(shares, [0.25, 0.75])
    np.testing.assert_allclose(density, [1, 1.5])


def test_no_map_that_ignores_the_instances_is_dense_in_the_least_dense_of_them():
    """The constant map and the middle, which share evenly, stay at 1 and below; to be even is not enough."""
    places = np.arange(16)
    instances = np.stack([places < 4, places >= 12])
    middle = -np.abs(places - 7.5) + 8
    good, one_sided = np.where(instances.any(axis=0), 4.0, 1.0), np.where(instances[0], 9.0, 1.0)
    lowest = {
        name: localization.instance_shares(own, instances)[1].min()
        for name, own in {"flat": np.ones(16), "middle": middle, "good": good, "one": one_sided}.items()
    }
    assert lowest["flat"] == pytest.approx(1) and lowest["middle"] < 1
    assert lowest["good"] == pytest.approx(1.6) and lowest["one"] < 1


def test_a_map_that_says_nothing_gives_every_instance_its_area():
    instances = np.eye(4, dtype=bool)
    for flat in (np.ones(4), np.zeros(4), -np.ones(4)):
        shares, density = localization.instance_shares(flat, instances)
        np.testing.assert_allclose(shares, 0.25)
        np.testing.assert_allclose(density, 1)
    shares, density = localization.instance_shares(np.array([np.nan, 1, 1, 1]), instances)
    assert np.isnan(shares).all() and np.isnan(density).all()

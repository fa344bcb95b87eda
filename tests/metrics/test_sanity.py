import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.conftest import small_network, some_inputs
from xai_utils import metrics
from xai_utils.attributions import explain
from xai_utils.metrics import sanity
from xai_utils.networks.architectures import shallow_cnn, vgg7

SAMENESS = metrics.of_family(metrics.SAMENESS)
BEST = {"rank_correlation": 1, "ssim": 1, "change": 0}
MAPS = np.random.default_rng(0).normal(size=(3, 20, 20))


@pytest.mark.parametrize("name", SAMENESS)
def test_a_map_is_like_itself_and_unlike_its_opposite(name):
    function = metrics.METRICS[name].function
    np.testing.assert_allclose(function(MAPS, MAPS), BEST[name], atol=1e-12)
    sign = 1 if metrics.METRICS[name].higher_is_better else -1
    assert (sign * function(MAPS, -MAPS) < sign * function(MAPS, MAPS + 0.1)).all()


def test_rank_correlation_is_spearmans():
    other = np.round(np.random.default_rng(1).normal(size=(3, 400)), 1)  # with ties
    expected = [spearmanr(a, b).statistic for a, b in zip(MAPS.reshape(3, 400), other)]
    np.testing.assert_allclose(sanity.rank_correlation(MAPS.reshape(3, 400), other), expected)


def test_change_by_hand():
    maps, others = np.array([[3.0, 4], [0, 0], [0, 0]]), np.array([[3.0, 0], [0, 0], [2, 0]])
    assert sanity.change(maps, others).tolist() == [0.8, 0, 1]


@pytest.mark.parametrize("name", SAMENESS)
@pytest.mark.parametrize("shape", [(20,), (9, 9)])
def test_constant_maps_have_a_value(name, shape):
    """A constant map is like itself, and like no other."""
    function = metrics.METRICS[name].function
    constant, varied = np.ones((1, *shape)), np.random.default_rng(2).normal(size=(1, *shape))
    assert function(constant, constant)[0] == BEST[name]
    assert np.isfinite(function(constant, varied)[0])
    if name == "rank_correlation":
        assert function(constant, varied)[0] == 0


@pytest.mark.parametrize("name", SAMENESS)
def test_maps_that_are_not_finite_have_none(name):
    broken = MAPS.copy()
    broken[1, 3, 3] = np.nan
    for pair in ((MAPS, broken), (broken, MAPS)):
        values = metrics.METRICS[name].function(*pair)
        assert np.isnan(values[1]) and np.isfinite(values[[0, 2]]).all()


@pytest.mark.parametrize("build", [shallow_cnn, vgg7])
def test_only_the_layers_that_were_asked_for_forget(build):
    model = build()
    for rule, layers in sanity.randomizations(model).items():
        copy = sanity.randomized(model, layers)
        for layer, original in zip(copy.layers, model.layers):
            same = all(
                np.array_equal(a, b) for a, b in zip(layer.get_weights(), original.get_weights())
            )
            assert same == (original.name not in layers), (rule, original.name)


def test_a_copy_in_which_nothing_forgets_is_the_same_network():
    model, x = vgg7(), some_inputs(2)
    model.get_layer("normalization").adapt(x + 3)
    copy = sanity.randomized(model, [])
    np.testing.assert_allclose(copy.predict_on_batch(x), model.predict_on_batch(x), atol=1e-6)


def test_layers_are_reinitialized_by_their_own_initializers():
    """A dense layer's new kernel is within Glorot's bounds; its bias, trained away from 0, is 0."""
    model = small_network(1)
    model.set_weights([weight + 10 for weight in model.get_weights()])
    copy = sanity.randomized(model, sanity.learned_layers(model))
    kernel, bias = copy.layers[-1].get_weights()
    assert np.abs(kernel).max() <= np.sqrt(6 / sum(kernel.shape)) and (bias == 0).all()
    again = sanity.randomized(model, sanity.learned_layers(model))
    assert np.array_equal(copy.predict_on_batch(some_inputs(1)), again.predict_on_batch(some_inputs(1)))


def test_cascades_go_from_the_scores_down_and_no_network_is_made_twice():
    names = ["dense", "conv1d_2", "conv1d_1", "conv1d"]
    assert sanity.learned_layers(shallow_cnn()) == names
    plans = sanity.randomizations(shallow_cnn())
    assert [plans[f"cascading {name}"] for name in names] == [names[: i + 1] for i in range(4)]
    assert [rule for rule in plans if rule.startswith("independent")] == [
        f"independent {name}" for name in names[1:]
    ]


def test_the_normalization_that_was_measured_on_the_data_stays():
    assert "normalization" not in sanity.learned_layers(vgg7())


def test_noise_has_the_share_of_the_range_that_it_says():
    x = np.zeros((2, 2000, 1), np.float32)
    x[0, 0], x[1, 0] = 1, 5
    noise = sanity.with_noise(x, 0.02) - x
    np.testing.assert_allclose(noise.std(axis=(1, 2)), [0.02, 0.1], rtol=0.1)
    assert np.array_equal(sanity.with_noise(x, 0.02), sanity.with_noise(x, 0.02))


@pytest.mark.parametrize("method, survives", [("edge", True), ("constant", True), ("gradient", False)])
def test_a_control_survives_and_a_gradient_does_not(method, survives):
    """The two ends between which every method lies."""
    model, x, target = small_network(2), some_inputs(2), np.zeros(5, int)
    forgetful = sanity.randomized(model, sanity.learned_layers(model))
    ours, theirs = (explain(network, x, target, method) for network in (model, forgetful))
    likeness = sanity.rank_correlation(ours, theirs)
    assert (likeness == 1).all() if survives else (likeness < 0.5).all()

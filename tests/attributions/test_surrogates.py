import keras
import numpy as np
import pytest

from tests.conftest import some_inputs
from xai_utils.attributions import explain, surrogates
from xai_utils.models import score_model


def linear(shape):
    keras.utils.set_random_seed(1)
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))


def part_effects(model, one, parts):
    """What each part of a sample adds to a linear score, against the mean of the sample."""
    weights = model.layers[-1].get_weights()[0][:, 1].reshape(one.shape)
    effect = (weights * (one - one.mean(axis=tuple(range(one.ndim - 1))))).sum(axis=-1)
    segments = surrogates.segments_of(one, parts)
    return np.bincount(segments.ravel(), effect.ravel())[segments]


@pytest.mark.parametrize("shape", [(40, 1), (16, 16, 3)])
def test_shap_of_a_linear_model_is_the_effect_of_each_part(shape):
    model, x = linear(shape), np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    maps = explain(model, x, [1, 1], "shap", parts=6)
    for one, found in zip(x, maps):
        np.testing.assert_allclose(found, part_effects(model, one, 6), atol=1e-4)


def test_lime_of_a_linear_model_is_nearly_the_effect_of_each_part():
    """Nearly, because the library's ridge regression shrinks the weights."""
    model, x = linear((40, 1)), some_inputs(1)
    maps = explain(model, x, [1] * 5, "lime", parts=8, samples=1000, score="logit")
    for one, found in zip(x, maps):
        expected = part_effects(model, one, 8)
        assert np.corrcoef(found, expected)[0, 1] > 0.999
        np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())


def test_shap_values_add_up_to_the_change_of_the_score():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((40, 1))
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(inputs))
    model, x = keras.Model(inputs, keras.layers.Dense(2)(hidden)), some_inputs(1)
    maps = explain(model, x, [0] * 5, "shap", parts=8)
    mean = np.broadcast_to(x.mean(axis=1, keepdims=True), x.shape)
    change = score_model(model)(x).numpy()[:, 0] - score_model(model)(mean).numpy()[:, 0]
    by_part = maps.reshape(5, 8, 5)[:, :, 0]
    np.testing.assert_allclose(by_part.sum(axis=1), change, atol=1e-4)


def test_signals_are_cut_into_windows_and_images_into_connected_superpixels():
    windows = surrogates.segments_of(np.zeros((40, 1)), 8)
    assert windows.tolist() == np.repeat(np.arange(8), 5).tolist()
    halves = np.zeros((16, 16, 3))
    halves[:, 8:] = 1
    segments = surrogates.segments_of(halves, 8)
    assert len(np.unique(segments)) > 1
    assert not {*segments[:, :8].ravel()} & {*segments[:, 8:].ravel()}


def test_shap_leaves_numpys_global_generator_alone():
    model, x = linear((40, 1)), some_inputs(1)
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    explain(model, x, method="shap", parts=20, samples=50)
    assert np.random.random() == expected

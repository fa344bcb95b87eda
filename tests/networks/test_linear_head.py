import keras
import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils.models import feature_model, score_model
from xai_utils.networks import linear_head


def separable(count=60):
    """Features of which the first two are high where a class is, and noise; the third class is in none."""
    rng = np.random.default_rng(0)
    present = np.c_[rng.random((count, 2)) < 0.4, np.zeros(count, bool)]
    features = rng.normal(size=(count, 4))
    features[:, :2] += 6 * present[:, :2]
    return features.astype(np.float32), present, np.arange(count) % 3


def test_the_body_gives_what_the_dense_layer_takes():
    model, x = small_network(2, pooled=True), some_inputs(2)
    body = linear_head.body_of(model)
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_allclose(body(x) @ kernel + bias, score_model(model)(x), atol=1e-5)
    middle = [keras.layers.GlobalAveragePooling1D(), keras.layers.LayerNormalization()]
    layers = [keras.Input((40, 1)), keras.layers.Conv1D(4, 3), *middle, keras.layers.Dense(3)]
    with pytest.raises(ValueError, match="no dense layer right behind a pooling"):
        linear_head.body_of(keras.Sequential(layers))


def test_each_fold_is_asked_of_a_head_that_did_not_see_it():
    """With the labels of one fold turned around, its own head still tells them right; the others change."""
    features, present, fold = separable()
    kernel, bias = linear_head.fit(features, present, fold)
    assert kernel.shape == (4, 9) and bias.shape == (9,)
    turned = present.copy()
    turned[fold == 1, :2] = ~turned[fold == 1, :2]
    other, _ = linear_head.fit(features, turned, fold)
    assert np.array_equal(kernel[:, 3:6], other[:, 3:6])
    assert not np.allclose(kernel[:, :2], other[:, :2]) and not np.allclose(
        kernel[:, 6:8], other[:, 6:8]
    )


def test_a_head_is_at_the_optimum():
    """There the slope of the loss and of its penalty is zero, however the features are shifted."""
    features, present, _ = separable()
    kernel, bias = linear_head.fit(features + 3, present[:, :2], np.full(len(features), -1))
    misfit = 1 / (1 + np.exp(-(np.float64(features + 3) @ kernel + bias))) - present[:, :2]
    np.testing.assert_allclose((features + 3).T @ misfit + kernel, 0, atol=1e-4)
    np.testing.assert_allclose(misfit.sum(axis=0), 0, atol=1e-4)


def test_well_told_classes_have_a_precision_of_1_and_unseen_ones_count_for_nothing():
    features, present, fold = separable()
    kernel, bias = linear_head.fit(features, present, fold)
    scores = features @ kernel + bias
    own = np.take_along_axis(scores, 3 * fold[:, np.newaxis] + np.arange(3), axis=1)
    told = linear_head.quality(own, present)
    assert told["map"] > 0.98 and (own[:, 2] < -3).all()
    assert linear_head.quality(-own, present)["map"] < 0.6


def test_quality_by_hand():
    """Class 0 is ranked first and third of three: precision (1 + 2/3) / 2; class 1 first: 1."""
    scores = np.array([[0.9, 0.0], [0.5, 0.8], [0.1, 0.2]])
    present = np.array([[True, False], [False, True], [True, False]])
    assert linear_head.quality(scores, present) == pytest.approx(
        {"map": (5 / 6 + 1) / 2, "top1": 2 / 3}
    )


def test_one_head_for_all_where_other_images_are_at_hand():
    features, present, _ = separable()
    kernel, bias = linear_head.fit(features, present, np.full(60, -1))
    assert kernel.shape == (4, 3)
    assert linear_head.own_outputs(np.array([-1, -1]), np.array([2, 0]), 3).tolist() == [2, 0]
    assert linear_head.own_outputs(np.array([0, 2]), np.array([2, 0]), 3).tolist() == [2, 6]


def test_the_network_with_the_head_gives_probabilities_of_their_own():
    body, x = linear_head.body_of(small_network(2, pooled=True)), some_inputs(2)
    kernel, bias = np.random.default_rng(0).normal(size=(4, 6)), np.arange(6.0)
    model = linear_head.with_head(body, kernel, bias)
    logits = np.asarray(body(x)) @ kernel + bias
    np.testing.assert_allclose(model(x), 1 / (1 + np.exp(-logits)), atol=1e-5)
    np.testing.assert_allclose(score_model(model)(x), logits, atol=1e-4)
    assert feature_model(model).outputs[1].shape[1:] == (16, 16, 4)

"""What is read off maps: shares inside masks, fits of templates, the path from nothing to the sample."""

import keras
import numpy as np
import pytest

from xai_utils.study import readings


def test_the_rim_is_what_is_near_the_border():
    rim = readings.rim((5, 6), 1)
    assert rim.sum() == 30 - 3 * 4 and not rim[1:-1, 1:-1].any()


def test_the_darkest_pixels_are_exactly_so_many_and_the_darkest():
    images = np.arange(16, dtype=float).reshape(1, 4, 4, 1).repeat(3, axis=-1)
    assert readings.darkest(images).ravel().nonzero()[0].tolist() == [0, 1, 2, 3]
    assert readings.darkest(np.zeros((1, 4, 4, 3))).sum() == 4


def test_a_map_inside_is_marked_wholly_and_an_even_one_as_the_area():
    masks = np.zeros((2, 4), bool)
    masks[:, :1] = True
    found = readings.marked({"inside": masks * 2.0, "even": np.ones((2, 4))}, masks)
    assert found["inside"]["mean"] == 1 and found["even"]["mean"] == found["area"] == 0.25


def test_a_template_fits_where_it_stands():
    template = np.array([0.0, 1.0, 0.0, 2.0])
    other = np.array([1.0, 0.0, 1.0, 0.0])
    signal = np.r_[np.zeros(3), 5 * template - 1, np.zeros(3)]
    fits = readings.template_fits(signal[np.newaxis], [4], np.stack([template, other]))
    assert fits[0, 0] == pytest.approx(1) and fits[0, 1] < 0.99


def test_misfits_are_counted_of_wrong_and_of_right_predictions():
    fits = np.array([[0.9, 0.8], [0.9, 0.8], [0.2, 0.3], [0.7, 0.6]])
    found = readings.misfits(fits, np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]))
    # One error, and another template fits it better; so it does one of three right ones, the last.
    assert found["errors"] == found["wrong"] == 1
    assert found["right"] == pytest.approx(1 / 3) and found["accuracy"] == 0.5
    assert found["p"] == pytest.approx(1)  # one draw of four, two of them misfits: either is as likely
    assert readings.misfits(fits, np.array([0] * 4), np.array([0] * 4))["errors"] == 0


def test_the_path_of_a_linear_score_is_straight():
    """Logits x and -x: the probability on the path is the logistic function, the slope that of the score."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, use_bias=False)])
    model.layers[0].set_weights([np.array([[1.0, -1.0]])])
    model = keras.Sequential([*model.layers, keras.layers.Softmax()])
    model.build((None, 1))
    x = np.array([[3.0], [8.0]], np.float32)
    probability, logit, slope = readings.along_path(model, x, np.array([0, 0]))
    assert np.allclose(probability, 1 / (1 + np.exp(-2 * readings.PATH * x)), atol=1e-5)
    found = readings.saturation(probability, slope)
    assert found["end"] == pytest.approx(1, abs=1e-3) and found["samples"] == 2
    places = [readings.PATH[np.argmax(row >= 0.99 * row[-1])] for row in probability]
    assert found["reached"] == pytest.approx(np.median(places))

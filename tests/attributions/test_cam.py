import keras
import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain
from xai_utils.attributions.cam import upsample


def test_grad_cam_of_a_network_computed_by_hand():
    """Two feature maps, x and -x after the ReLU, and a dense layer that sums each with a weight."""
    inputs = keras.Input((4, 1))
    features = keras.layers.Conv1D(2, 1, activation="relu", name="conv")(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(features))
    model = keras.Model(inputs, outputs)
    model.layers[1].set_weights([np.array([[[1.0, -1.0]]]), np.zeros(2)])
    # Class 0 reads the first map with the weights 1, 2, 3, 4 (mean 2.5), the second with -1.
    dense = np.zeros((8, 2))
    dense[0::2, 0], dense[1::2, 0] = [1, 2, 3, 4], -1
    model.layers[-1].set_weights([dense, np.zeros(2)])
    x = np.array([[[2.0], [-3.0], [0.0], [1.0]]])
    # 2.5·ReLU(x) - 1·ReLU(-x) = 5, -3, 0, 2.5; the negative one is cut off.
    np.testing.assert_allclose(explain(model, x, [0])[0], [5, 0, 0, 2.5], atol=1e-6)
    np.testing.assert_allclose(explain(model, x, [1])[0], [0, 0, 0, 0], atol=1e-6)


def test_grad_cam_of_the_probability_shrinks_with_the_slope_of_the_softmax():
    """With two classes dp/dy = p (1 - p) times the difference of the classes' gradients."""
    model, x = small_network(1), some_inputs(1)
    maps = {score: explain(model, x, [0] * 5, score=score) for score in ("logit", "probability")}
    assert not np.allclose(maps["logit"], maps["probability"])
    assert (maps["probability"] <= maps["logit"].max()).all()


def test_a_dead_layer_gives_a_map_of_zeros():
    model, x = small_network(2), some_inputs(2)
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([0 * kernel, bias - 1])
    assert not explain(model, x).any()


def test_upsampling_keeps_constants_and_the_centre_of_a_peak():
    np.testing.assert_allclose(upsample(np.full((1, 5, 5), 2.0), (15, 15)), 2)
    coarse = np.zeros((1, 5, 7))
    coarse[0, 2, 4] = 1
    fine = upsample(coarse, (15, 21))
    assert fine.shape == (1, 15, 21)
    assert np.unravel_index(fine.argmax(), fine.shape) == (0, 7, 13)


def test_bilinear_upsampling_by_two_is_the_weights_of_a_quarter():
    fine = upsample(np.array([[0.0, 4.0]]), (4,))
    np.testing.assert_allclose(fine, [[0, 1, 3, 4]])


@pytest.mark.parametrize("kind", ["bilinear", "cubic_spline"])
def test_upsampling_to_the_same_size_changes_nothing(kind):
    maps = np.random.default_rng(0).random((2, 6, 6))
    np.testing.assert_allclose(upsample(maps, (6, 6), kind), maps, atol=1e-9)

import keras
import numpy as np
import pytest

from tests.attributions.test_cam import A, X, two_maps
from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain, masks
from xai_utils.models import block_layers

PLACES = {1: (13,), 2: (4, 11)}


def reader(dimensions):
    """Reads the one point PLACES of a positive input: class 1 wherever it is bright."""
    shape = (40, 1) if dimensions == 1 else (16, 16, 1)
    convolution = keras.layers.Conv1D if dimensions == 1 else keras.layers.Conv2D
    inputs = keras.Input(shape)
    features = convolution(2, 1, activation="relu", name="conv")(inputs)
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(features))
    model = keras.Model(inputs, outputs)
    model.get_layer("conv").set_weights(
        [np.array([1.0, 0.5]).reshape((1,) * dimensions + (1, 2)), np.zeros(2)]
    )
    dense = np.zeros((*shape[:-1], 2, 2))
    dense[PLACES[dimensions]] = [[-4, 4], [0, 0]]
    model.layers[-1].set_weights([dense.reshape(-1, 2), np.array([2.0, -2.0])])
    return model


@pytest.mark.parametrize("dimensions", [1, 2])
def test_rise_peaks_at_the_point_that_the_model_reads(dimensions):
    x = np.ones((1, 40, 1) if dimensions == 1 else (1, 16, 16, 1))
    maps = explain(reader(dimensions), x, [1], "rise", masks=2000)
    peak = np.unravel_index(maps[0].argmax(), maps[0].shape)
    cell = 40 / 7 if dimensions == 1 else 16 / 7
    assert np.max(np.abs(np.subtract(peak, PLACES[dimensions]))) <= cell


@pytest.mark.parametrize("dimensions", [1, 2])
def test_sise_peaks_at_the_point_that_the_model_reads(dimensions):
    x = np.full((1, 40, 1) if dimensions == 1 else (1, 16, 16, 1), 0.2)
    x[0][PLACES[dimensions]] = 1
    maps = explain(reader(dimensions), x, [1], "sise")
    assert np.unravel_index(maps[0].argmax(), maps[0].shape) == PLACES[dimensions]


def test_rise_of_a_model_that_sees_everything_alike_is_flat():
    """The score is the same behind every mask, so the mean mask is left: 1, but for its noise."""
    model = reader(1)
    model.layers[-1].set_weights([np.zeros((80, 2)), np.zeros(2)])
    maps = explain(model, np.ones((1, 40, 1)), [1], "rise", masks=4000)
    np.testing.assert_allclose(maps, 0.5, atol=0.03)


def test_random_masks_are_open_with_the_probability_asked_for():
    rng = np.random.default_rng(0)
    grids, shifts = rng.random((3000, 7, 7)) < 0.3, rng.random((3000, 2))
    drawn = masks.enlarged(grids.astype(np.float32), shifts, (40, 30)).numpy()
    assert drawn.shape == (3000, 40, 30) and drawn.min() >= 0 and drawn.max() <= 1
    np.testing.assert_allclose(drawn.mean(axis=0), 0.3, atol=0.04)


def test_blocks_end_where_a_pooling_follows():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(2, 3, name="a"),
            layers.Conv2D(2, 3, name="b"),
            layers.ReLU(name="b_activated"),
            layers.MaxPooling2D(),
            layers.Conv2D(2, 3, name="c"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    places = block_layers(model, (16, 16, 3))
    assert [model.layers[place].name for place in places] == ["b_activated", "c"]
    assert block_layers(small_network(1), (40, 1)) == [0]


def test_fusion_keeps_the_sum_where_the_later_map_is_above_its_threshold():
    earlier, later = np.array([1.0, 1, 0, 0]), np.array([0.0, 0.9, 1, 0])
    np.testing.assert_allclose(masks._fuse(earlier, later), [0, 1, 1 / 1.9, 0])
    np.testing.assert_allclose(masks._fuse(earlier, np.zeros(4)), earlier)


def test_sise_of_a_dead_layer_is_zero():
    model, x = small_network(2), some_inputs(2)
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([0 * kernel, bias - 1])
    assert not explain(model, x, method="sise").any()


def test_sise_finds_its_feature_maps_where_the_probability_is_rounded_to_1():
    """There the probability's gradient is 0 in floats. Only A speaks for class 0 (see test_cam)."""
    model = two_maps()
    model.layers[-1].set_weights([100 * weight for weight in model.layers[-1].get_weights()])
    np.testing.assert_allclose(explain(model, X, [0], "sise")[0], A / A.max(), atol=1e-6)

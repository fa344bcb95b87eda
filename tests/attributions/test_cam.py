from inspect import signature

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small_network, some_inputs
from xai_utils import models
from xai_utils.attributions import METHODS, cam, explain
from xai_utils.attributions.cam import upsample
from xai_utils.models import dense_head

# Two feature maps, A = ReLU(x) and B = ReLU(-x), and a dense layer on both. Of class 0 it reads A
# with the weights 1, 2, 3, 4 and B with -1 everywhere: these are the gradients too.
X = np.array([[[2.0], [-3.0], [0.0], [1.0]]])
A, B = np.array([2.0, 0, 0, 1]), np.array([0.0, 3, 0, 0])


def two_maps():
    inputs = keras.Input((4, 1))
    features = keras.layers.Conv1D(2, 1, activation="relu", name="conv")(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(features))
    model = keras.Model(inputs, outputs)
    model.layers[1].set_weights([np.array([[[1.0, -1.0]]]), np.zeros(2)])
    dense = np.zeros((8, 2))
    dense[0::2, 0], dense[1::2, 0] = [1, 2, 3, 4], -1
    model.layers[-1].set_weights([dense, np.zeros(2)])
    return model


PLUS_PLUS = sum(g / (2 + 3 * g) for g in (1, 2, 3, 4))  # g²/(2g² + 3g³) · g, with 3 = ΣA
SCORES = np.exp([4.0, -3.0]) / np.exp([4.0, -3.0]).sum()  # of x∘H: (2, 0, 0, ½) and (0, -3, 0, 0)


@pytest.mark.parametrize(
    "method, options, expected",
    [
        ("grad_cam", {}, 2.5 * A - B),
        ("xgrad_cam", {}, (2 * 1 + 1 * 4) / 3 * A - B),
        ("grad_cam_pp", {}, PLUS_PLUS * A),
        ("integrated_grad_cam", {"steps": 1}, 10 * A - 4 * B),
        # At t/2 the maps are half as large and the gradients the same: (½ + 1)/2 of one step.
        ("integrated_grad_cam", {"steps": 2}, 0.75 * (10 * A - 4 * B)),
        ("score_cam", {}, SCORES[0] * A + SCORES[1] * B),
        # The score is 2·1 + 1·4 - 3 = 3; without A it is -3, without B it is 6.
        ("ablation_cam", {}, (3 + 3) / 3 * A + (3 - 6) / 3 * B),
        # Upstream of A all positive, of B all negative: only A's part of the gradient is left.
        ("guided_grad_cam", {}, (2.5 * A - B) * [1, 0, 0, 4]),
    ],
)
def test_maps_computed_by_hand(method, options, expected):
    maps = explain(two_maps(), X, [0], method, **options)
    np.testing.assert_allclose(maps[0], np.maximum(expected, 0), atol=1e-6)


def test_score_cam_takes_a_constant_feature_map_for_one_that_hides_everything():
    """B is 0 on a positive signal; behind A, (2, 0, 0, ½), the score is 2 + 4/2 = 4."""
    maps = explain(two_maps(), np.maximum(X, 0), [0], "score_cam")
    np.testing.assert_allclose(maps[0], A * np.exp(4) / (np.exp(4) + np.exp(0)), atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_grad_cam_is_the_positive_part_of_cam_over_the_positions(dimensions):
    model, x = small_network(dimensions, pooled=True), some_inputs(dimensions)
    positions = np.prod(x.shape[1:-1])
    target = [0, 1, 2, 0, 1]
    maps = explain(model, x, target, "cam")
    assert maps.min() < 0 < maps.max()
    np.testing.assert_allclose(explain(model, x, target), np.maximum(maps, 0) / positions, atol=1e-6)


def test_cam_reads_the_weights_of_the_layer_after_pooling_and_dropout():
    inputs = keras.Input((4, 1))
    features = keras.layers.Conv1D(2, 1, activation="relu")(inputs)
    pooled = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling1D()(features))
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Dense(2)(pooled)))
    model.layers[1].set_weights([np.array([[[1.0, -1.0]]]), np.zeros(2)])
    model.layers[-2].set_weights([np.array([[2.0, 0], [-5, 1]]), np.zeros(2)])
    np.testing.assert_allclose(explain(model, X, [0], "cam")[0], 2 * A - 5 * B, atol=1e-6)
    np.testing.assert_allclose(explain(model, X, [1], "cam")[0], B, atol=1e-6)


def test_cam_says_what_it_needs():
    inputs = keras.Input((40, 4))
    pooled = keras.layers.GlobalAveragePooling1D()(inputs)
    with pytest.raises(ValueError, match="no global average pooling of feature maps"):
        explain(keras.Model(inputs, keras.layers.Dense(2)(pooled)), np.ones((1, 40, 4)), method="cam")
    with pytest.raises(ValueError, match="no global average pooling .* use grad_cam"):
        explain(small_network(1), some_inputs(1), method="cam")


@pytest.mark.parametrize("units", [[], [6]])
def test_ablation_cam_is_what_zeroing_one_channel_at_a_time_gives(units):
    """By brute force: a channel of a ReLU convolution is zero where its kernel and bias are."""
    keras.utils.set_random_seed(5)
    convolution = keras.layers.Conv1D(4, 3, activation="relu", name="conv")
    hidden = [keras.layers.Dense(count, activation="tanh") for count in units]
    head = [keras.layers.MaxPooling1D(), keras.layers.Flatten(), *hidden, keras.layers.Dense(3)]
    model, x = keras.Sequential([keras.Input((40, 1)), convolution, *head]), some_inputs(1)
    target, kernel = np.array([0, 1, 2, 1, 0]), convolution.get_weights()
    whole = model(x).numpy()[range(5), target]
    features = keras.Model(model.inputs, convolution.output)(x).numpy()
    weights = []
    for channel in range(4):
        ablated = [part.copy() for part in kernel]
        ablated[0][..., channel], ablated[1][channel] = 0, 0
        convolution.set_weights(ablated)
        weights.append((whole - model(x).numpy()[range(5), target]) / np.abs(whole))
    convolution.set_weights(kernel)
    expected = np.maximum(np.einsum("nik,kn->ni", features, weights), 0)
    maps = explain(model, x, target, "ablation_cam")
    np.testing.assert_allclose(maps, upsample(expected, (40,)), rtol=1e-5, atol=1e-5)


HEADS = {
    "average": [keras.layers.GlobalAveragePooling2D],
    "maximum": [keras.layers.GlobalMaxPooling2D, lambda: keras.layers.Dropout(0.5)],
    "local": [keras.layers.MaxPooling2D, keras.layers.Flatten],
    "hidden": [keras.layers.Flatten, lambda: keras.layers.Dense(6, "tanh"), lambda: keras.layers.Dense(5, "relu")],
}  # fmt: skip


@pytest.mark.parametrize("score", ["logit", "probability", "log_odds"])
@pytest.mark.parametrize("end", ["softmax", "linear", "softmax layer"])
@pytest.mark.parametrize("head", HEADS)
def test_ablation_in_one_pass_is_ablation_one_by_one(head, end, score):
    keras.utils.set_random_seed(6)
    ends = {"softmax layer": [keras.layers.Dense(3), keras.layers.Softmax()]}
    convolution = keras.layers.Conv2D(4, 3, activation="relu")
    layers = [convolution, *(make() for make in HEADS[head])]
    layers += ends.get(end) or [keras.layers.Dense(3, activation=end)]
    model, x = keras.Sequential([keras.Input((16, 16, 3)), *layers]), some_inputs(2)
    given = model, x, np.array([0, 1, 2, 1, 0])
    options = {"score": score, "layer": None, "upsampling": "bilinear"}
    at_once = cam._ablated_before_dense(*given, **options)
    if score != "log_odds":
        np.testing.assert_array_equal(explain(*given, "ablation_cam", score=score), at_once)
    one_by_one = cam._ablated_one_by_one(*given, **options)
    assert one_by_one.any()
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-5, atol=1e-5 * np.max(one_by_one))


def test_ablation_where_the_head_convolves_again_goes_one_by_one():
    layers = [
        keras.layers.Conv2D(4, 3, name="first"),
        keras.layers.Conv2D(2, 3),
        keras.layers.Flatten(),
    ]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers, keras.layers.Dense(3)])
    assert dense_head(model, "logit", "first") is None and dense_head(model) is not None


def test_ablation_where_a_way_leads_around_the_dense_layer():
    inputs = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    both = keras.layers.Concatenate()([pooled, keras.layers.Dense(5, "relu")(pooled)])
    model = keras.Model(inputs, keras.layers.Dense(3)(both))
    assert dense_head(model) is None
    assert explain(model, some_inputs(2), [0] * 5, "ablation_cam").any()


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_pp", "ablation_cam", "cam"])
def test_feature_maps_whose_size_is_known_only_when_they_are_computed(method):
    inputs = keras.Input((None, None, 3))
    halved = keras.layers.Lambda(lambda x: tf.image.resize(x, tf.shape(x)[1:3] // 2))(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, padding="same")(halved))
    model = keras.Model(inputs, keras.layers.Dense(3)(pooled))
    maps = explain(model, some_inputs(2), [0] * 5, method)
    assert maps.shape == (5, 16, 16) and np.isfinite(maps).all()


NEEDS_A_MAP = [
    name for name, method in METHODS.items() if "layer" in signature(method.function).parameters
]


@pytest.mark.parametrize("method", NEEDS_A_MAP)
def test_a_layer_without_positions_is_refused(method):
    model = two_maps()
    with pytest.raises(ValueError, match="no map of the input"):
        explain(model, X, [0], method, layer=model.layers[2].name)


@pytest.mark.parametrize("method", NEEDS_A_MAP)
def test_feature_maps_of_low_precision(method):
    """The last convolution computes in bfloat16, which has 8 bits: as the hand computed ones, to 1 %."""
    inputs = keras.Input((4, 1))
    features = keras.layers.Conv1D(2, 1, activation="relu", dtype="mixed_bfloat16")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(features)))
    model.set_weights(two_maps().get_weights())
    maps, exact = (explain(each, X, [0], method) for each in (model, two_maps()))
    np.testing.assert_allclose(maps, exact, atol=0.02 * np.abs(exact).max())


def test_grad_cam_of_the_probability_shrinks_with_the_slope_of_the_softmax():
    """The score of class 1 is always 0, so that p = sigmoid(3) and dp/dy = p (1 - p)."""
    p = 1 / (1 + np.exp(-3))
    maps = {score: explain(two_maps(), X, [0], score=score) for score in ("logit", "probability")}
    np.testing.assert_allclose(maps["probability"], p * (1 - p) * maps["logit"], atol=1e-6)


def test_a_dead_layer_gives_a_map_of_zeros():
    model, x = small_network(2), some_inputs(2)
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([0 * kernel, bias - 1])
    assert not explain(model, x).any()


def test_upsampling_keeps_constants_and_the_centre_of_a_peak():
    np.testing.assert_allclose(upsample(np.full((1, 5, 5), 2.0), (15, 15)), 2)
    coarse = np.zeros((1, 5, 7))
    coarse[0, 2, 4] = 1
    fine = np.asarray(upsample(coarse, (15, 21)))
    assert fine.shape == (1, 15, 21)
    assert np.unravel_index(fine.argmax(), fine.shape) == (0, 7, 13)


def test_bilinear_upsampling_by_two_is_the_weights_of_a_quarter():
    fine = upsample(np.array([[0.0, 4.0]]), (4,))
    np.testing.assert_allclose(fine, [[0, 1, 3, 4]])


@pytest.mark.parametrize("kind", ["bilinear", "cubic_spline"])
def test_upsampling_to_the_same_size_changes_nothing(kind):
    maps = np.random.default_rng(0).random((2, 6, 6))
    np.testing.assert_allclose(upsample(maps, (6, 6), kind), maps, atol=1e-9)


@pytest.mark.parametrize("layer", [None, "first"])
def test_integrated_grad_cam_of_one_input_for_several_classes_is_that_of_each(layer):
    """The input goes through once for all classes, where everything passes through the layer; "first" has
    a way around it."""
    inputs = keras.Input((40, 1))
    first = keras.layers.Conv1D(3, 3, padding="same", activation="relu", name="first")(inputs)
    second = keras.layers.Conv1D(3, 3, padding="same", activation="relu")(inputs)
    means = keras.layers.GlobalAveragePooling1D()(keras.layers.Add()([first, second]) ** 2)
    model, x = keras.Model(inputs, keras.layers.Dense(3)(means)), some_inputs(1, 2)
    assert models.has_head(model, layer) == (layer is None)
    options = {"method": "integrated_grad_cam", "layer": layer, "steps": 3}
    target = np.array([0, 1, 2, 0])
    together = explain(model, x[[0, 1, 0, 0]], target, **options)
    alone = [explain(model, x[[i]], [c], **options)[0] for i, c in zip([0, 1, 0, 0], target)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    assert np.array_equal(together[0], together[3]) and not np.allclose(together[0], together[2])

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_explain.core.integrated_gradients import IntegratedGradients

from tests.attributions.test_cam import X, two_maps
from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain, gradients
from xai_utils.models import score_model


@keras.saving.register_keras_serializable()
class Square(keras.layers.Layer):
    def call(self, x):
        return x * x


def network(*layers):
    inputs = keras.Input((3, 2))
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(outputs)))
    kernel = np.arange(12.0).reshape(6, 2)
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    return model, kernel[:, 1].reshape(3, 2)


def test_integrated_gradients_of_a_linear_model_are_weight_times_input():
    model, weights = network(keras.layers.Conv1D(2, 1, use_bias=False, name="conv"))
    model.get_layer("conv").set_weights([np.eye(2)[np.newaxis]])
    x = np.array([[[1, 2], [3, 4], [-1, 0.5]]])
    expected = (weights * x).sum(axis=-1)  # the channels are summed
    np.testing.assert_allclose(explain(model, x, [1], "integrated_gradients"), expected, rtol=1e-5)
    moved = explain(model, x, [1], "integrated_gradients", baseline=1.0)
    np.testing.assert_allclose(moved, (weights * (x - 1)).sum(axis=-1), rtol=1e-5, atol=1e-5)


def test_integrated_gradients_of_a_quadratic_model_are_exact():
    """The midpoint rule integrates the linear gradient 2 w x a exactly, so w x² comes out."""
    model, weights = network(keras.layers.Conv1D(2, 1, use_bias=False, name="conv"), Square())
    model.get_layer("conv").set_weights([np.eye(2)[np.newaxis]])
    x = np.array([[[1, 2], [3, 4], [-1, 0.5]]])
    maps = explain(model, x, [1], "integrated_gradients", steps=2)
    np.testing.assert_allclose(maps, (weights * x**2).sum(axis=-1), rtol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("tolerance", [0.05, 0.001])
def test_integrated_gradients_add_up_to_the_change_of_the_score(dimensions, tolerance):
    model, x = small_network(dimensions), some_inputs(dimensions)
    options = {"steps": 2, "tolerance": tolerance, "limit": 1000}
    maps = explain(model, x, [0] * 5, "integrated_gradients", **options)
    scores = score_model(model)(np.concatenate([x, 0 * x[:1]])).numpy()[:, 0]
    change = scores[:-1] - scores[-1]
    gap = np.abs(maps.reshape(5, -1).sum(axis=1) - change)
    assert (gap <= tolerance * np.maximum(np.abs(change), 0.5) + 1e-5).all()


def test_only_samples_that_miss_their_sum_are_refined_and_only_where_their_path_bends(monkeypatch):
    """ReLU(x - 0.35) of 0 and of 1: the first is straight, the second bends once.

    Of the second, 4 middles give 3/4 of the path above the bend (0.65 is right). The slope changes
    from 0 to 1 between 1/8 and 3/8. Cutting the piece around 1/8 in three changes nothing; that
    around 3/8 gives 8/12; and of the two twelfths beside the change, the second gives 23/36.
    """
    model, _ = network(keras.layers.Conv1D(2, 1, activation="relu", name="conv"))
    model.get_layer("conv").set_weights([np.eye(2)[np.newaxis], np.full(2, -0.35)])
    model.layers[-1].set_weights([np.eye(6)[:, [0, 1]], np.zeros(2)])
    x = np.zeros((2, 3, 2))
    x[1, 0, 0] = 1
    sizes = []
    original = gradients._rates

    def counted(model, x, *given, **options):
        sizes.append(len(x))
        return original(model, x, *given, **options)

    monkeypatch.setattr(gradients, "_rates", counted)
    for limit, expected in {5: 3 / 4, 6: 3 / 4, 8: 8 / 12, 10: 8 / 12, 12: 23 / 36}.items():
        sizes.clear()
        options = {"steps": 4, "tolerance": 0.001, "limit": limit}
        maps = explain(model, x, [0, 0], "integrated_gradients", **options)
        assert maps[1, 0] == pytest.approx(expected, abs=1e-6) and not maps[0].any()
        assert sizes == [8] + [2] * ((limit - 4) // 2)  # two samples four times, then one at two places


# A = ReLU(x) is read with the weights 1, 2, 3, 4, B = ReLU(-x) with -1 (see test_cam).
@pytest.mark.parametrize(
    "method, expected",
    [
        ("gradient", [1, 1, 0, 4]),
        ("gradient_x_input", [2, -3, 0, 4]),
        ("guided_backprop", [1, 0, 0, 4]),
    ],
)
def test_gradients_computed_by_hand(method, expected):
    np.testing.assert_allclose(explain(two_maps(), X, [0], method)[0], expected, atol=1e-6)


def test_gradient_takes_the_steepest_channel():
    model, weights = network(keras.layers.Conv1D(2, 1, use_bias=False, name="conv"))
    model.get_layer("conv").set_weights([np.diag([1.0, -1])[np.newaxis]])
    maps = explain(model, np.ones((1, 3, 2)), [1], "gradient")
    np.testing.assert_allclose(maps[0], np.abs(weights).max(axis=1))


@pytest.mark.parametrize("dimensions", [1, 2])
def test_smooth_grad_without_noise_is_the_gradient(dimensions):
    model, x = small_network(dimensions), some_inputs(dimensions)
    smooth = explain(model, x, method="smooth_grad", noise=0.0, samples=3)
    np.testing.assert_allclose(smooth, explain(model, x, method="gradient"), rtol=1e-5)


def test_guided_backprop_goes_through_layers_that_are_relus_and_leaves_the_model_alone():
    """The same network with its activation in a layer of its own, in a model of its own."""
    inside = keras.Sequential([keras.Input((4, 1)), keras.layers.Conv1D(2, 1), keras.layers.ReLU()])
    inputs = keras.Input((4, 1))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(inside(inputs)))
    model = keras.Model(inputs, outputs)
    model.set_weights(two_maps().get_weights())
    np.testing.assert_allclose(explain(model, X, [0], "guided_backprop")[0], [1, 0, 0, 4], atol=1e-6)
    np.testing.assert_allclose(explain(model, X, [0], "gradient")[0], [1, 1, 0, 4], atol=1e-6)


def test_tf_explain_is_taken_apart_without_changing_it():
    model, x, target = small_network(2), some_inputs(2), np.array([0, 1, 2, 0, 1])
    library = IntegratedGradients()
    whole = [
        library.explain((one[np.newaxis], None), model, int(label)) for one, label in zip(x, target)
    ]
    assert np.array_equal(explain(model, x, target, "tf_explain_integrated_gradients"), whole)


def test_tf_explain_returns_whole_numbers_of_eight_bits():
    maps = explain(small_network(2), some_inputs(2), method="tf_explain_integrated_gradients")
    assert np.array_equal(maps, np.round(maps)) and maps.min() >= 0 and maps.max() <= 255


def test_tf_explain_ignores_the_sign_of_the_gradient():
    """A linear model and its negative have the same map: the absolute value is taken."""
    model, x = small_network(1, softmax=False), some_inputs(1)
    map_of = lambda: explain(model, x, [0] * 5, "tf_explain_integrated_gradients")  # noqa: E731
    before = map_of()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([-kernel, -bias])
    assert np.array_equal(map_of(), before)


def test_guided_backprop_knows_a_relu_layer_given_as_activation_and_refuses_a_model_without():
    inputs = keras.Input((4, 1))
    features = keras.layers.Conv1D(2, 1, activation=keras.layers.ReLU())(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(features)))
    model.set_weights(two_maps().get_weights())
    np.testing.assert_allclose(explain(model, X, [0], "guided_backprop")[0], [1, 0, 0, 4], atol=1e-6)
    smooth = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    with pytest.raises(ValueError, match="has no ReLU"):
        explain(smooth, X, [0], "guided_backprop")


def test_other_activations_made_of_relus_are_not_guided():
    """PReLU is computed by two ReLUs: alone it is refused, before a ReLU its gradient is its own."""
    inputs = keras.Input((4, 1))
    bent = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.3))(inputs)
    alone = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(bent)))
    with pytest.raises(ValueError, match="has no ReLU"):
        explain(alone, X, [0], "guided_backprop")
    features = keras.layers.Conv1D(2, 1, activation="relu")(bent)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(features)))
    model.set_weights([np.full((4, 1), 0.3, np.float32), *two_maps().get_weights()])
    kernel = model.layers[-1].get_weights()[0]
    model.layers[-1].set_weights([-kernel, np.zeros(2)])  # B speaks for class 0, where x is -3
    np.testing.assert_allclose(explain(model, X, [0], "guided_backprop")[0], [0, -0.3, 0, 0], atol=1e-6)


@pytest.mark.parametrize("method", ["gradient", "grad_cam"])
def test_a_score_without_a_gradient_is_refused(method):
    inputs = keras.Input((16, 16, 3))
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Lambda(tf.round)(means)))
    with pytest.raises(ValueError, match="no gradient"):
        explain(model, some_inputs(2), [0] * 5, method)


@pytest.mark.parametrize(
    "relu",
    [
        lambda x: keras.layers.ReLU()(x),
        lambda x: keras.layers.ReLU(6.0)(x),
        lambda x: keras.layers.ReLU(50.0)(x),
        lambda x: keras.layers.Activation("relu")(x),
        lambda x: keras.layers.Activation("relu6")(x),
        lambda x: keras.layers.Activation(tf.nn.relu)(x),
        lambda x: keras.layers.Activation(tf.nn.relu6)(x),
        lambda x: keras.ops.relu(x),
        lambda x: keras.ops.relu6(x),
        lambda x: keras.activations.relu(x),
        lambda x: keras.activations.relu6(x),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_every_usual_relu_is_guided(relu, beside):
    """By hand as with layers (see test_cam), where no value reaches a cap; and behind a plain ReLU that
    passes everything, with which a model was taken for one that is guided."""
    inputs = keras.Input((4, 1))
    x = keras.layers.ReLU()(inputs + 10) - 10 if beside else inputs
    x = relu(keras.layers.Conv1D(2, 1)(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    model.set_weights(two_maps().get_weights())
    np.testing.assert_allclose(explain(model, X, [0], "guided_backprop")[0], [1, 0, 0, 4], atol=1e-6)
    np.testing.assert_allclose(explain(model, X, [0], "gradient")[0], [1, 1, 0, 4], atol=1e-6)


def test_a_capped_relu_passes_nothing_where_it_is_capped():
    inputs = keras.Input((4, 1))
    x = keras.layers.ReLU(6.0)(keras.layers.Conv1D(2, 1)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    model.set_weights(two_maps().get_weights())
    large = np.where(X.max() == X, 7, X)
    maps = explain(model, large, [0], "guided_backprop")
    assert not maps[large[..., 0] == 7].any() and maps.any()


@pytest.mark.parametrize(
    "hidden",
    [
        lambda x: keras.layers.Lambda(lambda z: tf.nn.relu(z))(x),
        lambda x: keras.layers.Lambda(lambda z: tf.nn.relu6(z))(x),
        lambda x: keras.layers.Activation(lambda z: keras.ops.relu(z))(x),
    ],
)
def test_a_relu_that_guided_backprop_cannot_reach_is_named(hidden):
    inputs = keras.Input((4, 1))
    x = hidden(keras.layers.ReLU()(keras.layers.Conv1D(2, 1)(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    with pytest.raises(ValueError, match="There is a ReLU, .*elu6?.*, in a layer that does not say so"):
        explain(model, X, [0], "guided_backprop")
    assert np.isfinite(explain(model, X, [0], "gradient")).all()


def test_a_leaky_relu_is_not_guided():
    inputs = keras.Input((4, 1))
    for leaky in (keras.layers.ReLU(negative_slope=0.1), keras.layers.LeakyReLU()):
        x = keras.layers.Flatten()(leaky(keras.layers.Conv1D(2, 1)(inputs)))
        with pytest.raises(ValueError, match="has no ReLU"):
            explain(keras.Model(inputs, keras.layers.Dense(2)(x)), X, [0], "guided_backprop")


@pytest.mark.parametrize("limit", [1, 3, 9])
def test_integrated_gradients_refine_a_single_piece(limit):
    """ReLU(x - 0.3) of 1 bends once: of 3 thirds 2 lie above, of the one that is cut again 3 of 3 or 2."""
    model, _ = network(keras.layers.Conv1D(2, 1, activation="relu", name="conv"))
    model.get_layer("conv").set_weights([np.eye(2)[np.newaxis], np.full(2, -0.3)])
    model.layers[-1].set_weights([np.eye(6)[:, [0, 1]], np.zeros(2)])
    x = np.zeros((1, 3, 2))
    x[0, 0, 0] = 1
    options = {"steps": 1, "tolerance": 0.001, "limit": limit}
    found = explain(model, x, [0], "integrated_gradients", **options)[0, 0]
    assert found == pytest.approx({1: 1, 3: 2 / 3, 9: 19 / 27}[limit], abs=1e-6)

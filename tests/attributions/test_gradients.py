import keras
import numpy as np

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain
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


def test_integrated_gradients_add_up_to_the_change_of_the_score():
    for dimensions in (1, 2):
        model, x = small_network(dimensions), some_inputs(dimensions)
        maps = explain(model, x, [0] * 5, "integrated_gradients", steps=200)
        scores = score_model(model)(np.concatenate([x, 0 * x[:1]]))
        change = scores.numpy()[:-1, 0] - scores.numpy()[-1, 0]
        np.testing.assert_allclose(maps.reshape(5, -1).sum(axis=1), change, atol=0.02)


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

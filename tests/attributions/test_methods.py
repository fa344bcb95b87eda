"""What holds for every method: parametrized over the table, so that a new entry is tested."""

import keras
import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import METHODS, explain

CONTROLS = [name for name, method in METHODS.items() if method.family == "control"]
cases = pytest.mark.parametrize("method", METHODS)
dimensions = pytest.mark.parametrize("dimensions", [1, 2])


@cases
@dimensions
@pytest.mark.parametrize("kind, softmax", [("functional", True), ("sequential", True), ("functional", False)])
def test_maps_have_the_shape_of_the_input_and_leave_the_model_as_it_was(method, dimensions, kind, softmax):
    model, x = small_network(dimensions, kind, softmax), some_inputs(dimensions)
    before, layers = model.get_weights(), [layer.name for layer in model.layers]
    maps = explain(model, x, method=method)
    assert maps.shape == x.shape[:-1] and maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert all(map(np.array_equal, before, model.get_weights()))
    assert layers == [layer.name for layer in model.layers]


@cases
@dimensions
def test_a_sample_is_explained_alike_alone_and_in_a_batch(method, dimensions):
    model, x = small_network(dimensions), some_inputs(dimensions)
    together = explain(model, x, method=method, batch_size=len(x))
    alone = explain(model, x[2:3], method=method)
    in_twos = explain(model, x, method=method, batch_size=2)
    np.testing.assert_allclose(alone[0], together[2], atol=1e-5)
    np.testing.assert_allclose(in_twos, together, atol=1e-5)


@cases
@dimensions
def test_the_same_seed_gives_the_same_map(method, dimensions):
    model, x = small_network(dimensions), some_inputs(dimensions)
    first, again = (explain(model, x, method=method, seed=4) for _ in range(2))
    assert np.array_equal(first, again)
    if METHODS[method].stochastic:
        assert not np.array_equal(first, explain(model, x, method=method, seed=5))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in CONTROLS])
@dimensions
def test_another_target_gives_another_map(method, dimensions):
    model, x = small_network(dimensions), some_inputs(dimensions)
    maps = [explain(model, x, np.full(len(x), target), method) for target in (0, 1)]
    assert not np.allclose(*maps)


@cases
def test_the_default_target_is_the_predicted_class(method):
    model, x = small_network(1), some_inputs(1)
    predicted = model.predict(x, verbose=0).argmax(axis=1)
    assert np.array_equal(explain(model, x, method=method), explain(model, x, predicted, method))


@cases
def test_constant_input_gives_finite_maps(method):
    model = small_network(1)
    assert np.isfinite(explain(model, np.zeros((2, 40, 1)), method=method)).all()


@cases
def test_every_method_is_cited_or_a_control(method):
    bibliography = open("report/refs.bib").read()
    entry = METHODS[method]
    assert f"{{{entry.citation}," in bibliography or method in CONTROLS
    assert entry.function.__doc__


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "gradcam"}, "no method 'gradcam'; there are grad_cam"),
        ({"method": "grad_cam", "steps": 3}, "grad_cam has no option steps"),
        ({"x": np.zeros((2, 39, 1))}, r"shape \(2, 39, 1\)"),
        ({"x": np.zeros((0, 40, 1))}, r"shape \(0, 40, 1\)"),
        ({"x": np.full((1, 40, 1), np.nan)}, "NaN"),
        ({"target": [0, 1]}, "5 integers"),
        ({"target": [0.0] * 5}, "5 integers"),
        ({"target": [3] * 5}, "outside 0 to 2"),
        ({"upsampling": "nearest"}, "'bilinear' or 'cubic_spline'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        explain(small_network(1), **({"x": some_inputs(1)} | arguments))


@pytest.mark.parametrize("model", [keras.Sequential([keras.layers.Dense(2)]), keras.Model()])
def test_a_model_whose_input_is_not_known_is_refused(model):
    with pytest.raises(ValueError, match="has no known input"):
        explain(model, some_inputs(1))


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam"])
def test_what_a_model_does_in_training_only_is_left_out(method):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3)(keras.layers.RandomTranslation(0.4, 0.4)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    first, again = (explain(model, some_inputs(2), method=method) for _ in range(2))
    assert np.array_equal(first, again)

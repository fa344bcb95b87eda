"""What holds for every method: parametrized over the table, so that a new entry is tested."""

import functools
import re

import keras
import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import attributions
from xai_utils.attributions import METHODS, explain, explain_by_all, gradients
from xai_utils.networks.weights import course_model
from xai_utils.run.files import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
CONTROLS = [name for name, method in METHODS.items() if method.family == "controls"]
cases = pytest.mark.parametrize("method", METHODS)
explaining = pytest.mark.parametrize("method", [name for name in METHODS if name not in CONTROLS])
dimensions = pytest.mark.parametrize("dimensions", [1, 2])


# The methods that look through many masks need few of them here.
FEW = {"rise": {"masks": 40}, "lime": {"samples": 60}, "shap": {"samples": 60}}


def explained(model, x, target=None, method="grad_cam", **options):
    return explain(model, x, target, method, **FEW.get(method, {}), **options)


def network(method, dimensions, kind="functional", softmax=True):
    return shared_network(dimensions, kind, softmax, pooled=method == "cam")


# One network for all methods: that each leaves it as it was is tested first.
shared_network = functools.cache(small_network)


@cases
@dimensions
@pytest.mark.parametrize(
    "kind, softmax",
    [
        ("functional", True),
        ("functional", False),
        ("sequential", True),
        ("nested", True),
        (".keras", True),
        (".h5", True),
    ],
)
def test_maps_of_any_classifier_leave_it_as_it_was(method, dimensions, kind, softmax):
    model, x = network(method, dimensions, kind, softmax), some_inputs(dimensions)
    before, layers = model.get_weights(), [layer.name for layer in model.layers]
    output, given = model(x).numpy(), x.copy()
    maps = explained(model, x, method=method)
    assert maps.shape == x.shape[:-1] and maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert all(map(np.array_equal, before, model.get_weights()))
    assert layers == [layer.name for layer in model.layers]
    assert np.array_equal(output, model(x).numpy()) and np.array_equal(given, x)


@cases
@dimensions
def test_a_sample_is_explained_alike_alone_and_in_a_batch(method, dimensions):
    model, x = network(method, dimensions), some_inputs(dimensions)
    together = explained(model, x, method=method, batch_size=len(x) + 3)
    alone = explained(model, x[2:3], method=method)
    in_twos = explained(model, x, method=method, batch_size=2)
    np.testing.assert_allclose(alone[0], together[2], atol=1e-5)
    np.testing.assert_allclose(in_twos, together, atol=1e-5)


@cases
@dimensions
def test_the_same_seed_gives_the_same_map(method, dimensions):
    model, x = network(method, dimensions), some_inputs(dimensions)
    first, again = (explained(model, x, method=method, seed=4) for _ in range(2))
    assert np.array_equal(first, again)
    if METHODS[method].stochastic and dimensions == 1:  # shap tries all subsets of few superpixels
        assert not np.array_equal(first, explained(model, x, method=method, seed=5))


@explaining
@dimensions
def test_another_target_gives_another_map(method, dimensions):
    model, x = network(method, dimensions), some_inputs(dimensions)
    maps = [explained(model, x, np.full(len(x), target), method) for target in (0, 1)]
    assert not np.allclose(*maps)


@cases
def test_the_default_target_is_the_predicted_class(method):
    model, x = network(method, 1), some_inputs(1)
    predicted = model(x).numpy().argmax(axis=1)
    assert np.array_equal(explained(model, x, method=method), explained(model, x, predicted, method))


@cases
@dimensions
def test_degenerate_input_gives_finite_maps(method, dimensions):
    """A constant input, a dead layer, and a class whose probability is zero."""
    model = small_network(dimensions, pooled=method == "cam")
    x = some_inputs(dimensions)
    assert np.isfinite(explained(model, np.ones_like(x[:1]), method=method)).all()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias - np.array([0, 0, 500], bias.dtype)])
    assert np.isfinite(explained(model, x[:1], [2], method)).all()
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([0 * kernel, bias - 1])
    assert np.isfinite(explained(model, x[:1], method=method)).all()


@cases
@pytest.mark.parametrize("name, shape", [("MNIST1D", (40, 1)), ("HMT", (48, 56, 3))])
def test_the_networks_of_the_course_are_explained(method, name, shape):
    if (model := course_model(name)) is None:
        pytest.skip("XAI_COURSE_MODELS is not set")
    x = np.random.default_rng(0).random((2, *shape), np.float32)
    if method == "cam" and name == "MNIST1D":
        with pytest.raises(ValueError, match="no global average pooling"):
            explain(model, x, method="cam")
    else:
        maps = explained(model, x, method=method)
        assert maps.shape == x.shape[:-1] and np.isfinite(maps).all()


@cases
def test_every_method_is_cited_or_a_control(method):
    bibliography = (REPOSITORY / "report/refs.bib").read_text()
    entry = METHODS[method]
    assert f"{{{entry.citation}," in bibliography or method in CONTROLS
    assert entry.function.__doc__


def test_the_method_that_the_readme_adds_works(monkeypatch):
    function, line = re.findall(r"```python\n(@graph.*?|    \"squared.*?)```", README, flags=re.S)
    monkeypatch.setattr(gradients, "squared_gradient", None, raising=False)
    exec(function, vars(gradients))
    monkeypatch.setattr(attributions, "METHODS", METHODS | eval(f"{{{line}}}", vars(attributions)))
    model, x = network("gradient", 1), some_inputs(1)
    maps = explain(model, x, method="squared_gradient")
    np.testing.assert_allclose(maps, explain(model, x, method="gradient") ** 2, rtol=1e-5)


@pytest.mark.parametrize("family", sorted({entry.family for entry in METHODS.values()}))
def test_the_readme_names_every_method_in_its_family(family):
    line = re.search(rf"^\| {family} \| (.*) \|$", README, flags=re.M)[1]
    assert re.findall(r"`(\w+)`", line) == [n for n, m in METHODS.items() if m.family == family]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "gradcam"}, "no method 'gradcam'; there are grad_cam, "),
        ({"method": "grad_cam", "layer": "conv2"}, "no layer 'conv2'; it has conv"),
        ({"method": "grad_cam", "steps": 3}, "grad_cam has no option steps"),
        ({"method": "smooth_grad", "samples": 0}, "samples must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
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


def test_a_model_with_two_inputs_is_refused():
    inputs = [keras.Input((40, 1)), keras.Input((40, 1))]
    x = keras.layers.Conv1D(2, 3)(keras.layers.Add()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    with pytest.raises(ValueError, match="one input"):
        explain(model, some_inputs(1))


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


def test_input_without_positions_is_refused():
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="of signals .* and of images"):
        explain(keras.Model(inputs, keras.layers.Dense(2)(inputs)), np.ones((1, 4)), method="gradient")


@explaining
def test_a_warm_call_builds_nothing(method):
    """Building leaves its traces in the layers, and takes longer than to explain a batch."""
    model, x = small_network(1, pooled=method == "cam"), some_inputs(1)
    layer = model.get_layer("conv")
    explained(model, x[:2], method=method)
    once = len(layer._inbound_nodes)
    explained(model, x, method=method, batch_size=2)
    assert len(layer._inbound_nodes) == once


@pytest.mark.parametrize(
    "shape, message", [((4, 16, 16, 16, 3), "of signals .* and of images"), ((4, 12), "of signals")]
)
def test_inputs_that_are_no_signals_and_no_images_are_refused(shape, message):
    inputs = keras.Input(shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    with pytest.raises(ValueError, match=message):
        explain(model, np.zeros(shape), method="gradient")


@pytest.mark.parametrize("nested", [True, False])
def test_channels_first_are_refused(nested):
    first = keras.layers.Conv2D(2, 3, data_format="channels_first", name="first")
    body = [keras.Sequential([keras.Input((3, 16, 16)), first])] if nested else [first]
    body += [keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((3, 16, 16)), *body])
    with pytest.raises(ValueError, match="first of .* takes the channels first"):
        explain(model, np.zeros((1, 3, 16, 16)), [0], method="gradient")


@pytest.mark.parametrize("weight, is_lost", [(1.0, False), (1e-7, True)])
def test_maps_that_vanish_in_float16_are_refused(weight, is_lost):
    inputs = keras.Input((40, 1))
    x = keras.layers.Conv1D(2, 3, dtype="mixed_float16", kernel_initializer="ones", name="half")(inputs)
    x = keras.layers.Conv1D(2, 3, dtype="mixed_float16", kernel_initializer="ones")(x * weight)
    x = keras.layers.Flatten(dtype="mixed_float16")(x * weight)
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="mixed_float16")(x))
    if is_lost:
        with pytest.raises(ValueError, match="float16 .half., in which gradient of 1 of 1 samples"):
            explain(model, some_inputs(1, 1), [0], "gradient")
    else:
        assert explain(model, some_inputs(1, 1), [0], "gradient").any()
    assert explain(model, some_inputs(1, 1), [0], "constant").any()


@explaining
@pytest.mark.parametrize("end", ["one logit", "one sigmoid", "three sigmoids"])
def test_one_output_and_sigmoids_are_explained(method, end):
    units = 3 if end == "three sigmoids" else 1
    last = keras.layers.Dense(units, activation="sigmoid" if "sigmoid" in end else None)
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Conv1D(4, 3, activation="relu"), keras.layers.GlobalAveragePooling1D()]
    model = keras.Sequential([keras.Input((40, 1)), *layers, last])
    maps = explained(model, some_inputs(1), np.full(5, units - 1), method)
    assert np.isfinite(maps).all() and maps.any()


def test_all_methods_that_a_model_allows_and_why_it_does_not_allow_the_others():
    x = inputs = keras.Input((40, 1))
    x = keras.layers.Flatten()(keras.layers.Conv1D(4, 3, activation="tanh")(x))
    model, given = keras.Model(inputs, keras.layers.Dense(3)(x)), some_inputs(1, 2)
    maps, refused = explain_by_all(model, given, [0, 1], FEW, seed=3)
    assert set(refused) == {"cam", "guided_backprop", "guided_grad_cam"}
    assert "class activation mapping is not defined" in refused["cam"]
    assert list(maps) == [method for method in METHODS if method not in refused]
    rise = explain(model, given, [0, 1], "rise", seed=3, **FEW["rise"])
    assert np.array_equal(maps["rise"], rise)
    with pytest.raises(ValueError, match="takes"):
        explain_by_all(model, given[:, :7])

"""What is built of a model is kept as long as the model lives and is what it was."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small_network, some_inputs
from xai_utils import graphs, models
from xai_utils.attributions import explain
from xai_utils.graphs import graph, kept

X = some_inputs(1)


def networks():
    """Two networks of the same kind with other weights."""
    first, other = small_network(1), small_network(1)
    other.set_weights([weight * 2 for weight in first.get_weights()])
    return first, other


def test_what_is_built_is_built_once_for_each_model_and_setting():
    built = []

    @kept
    def build(model, score):
        built.append(score)
        return object()

    first, other = networks()
    one = build(first, "logit")
    assert build(first, "logit") is one and build(first, "probability") is not one
    assert build(other, "logit") is not one and build(first, "logit") is one
    assert built == ["logit", "probability", "logit"]


def activation(model):
    model.layers[-1].activation = keras.activations.linear


def setting(model):
    model.get_layer("conv").use_bias = False


def trainable_layer(model):
    model.get_layer("conv").trainable = False


def trainable_model(model):
    model.trainable = False


def variables(model):
    model.layers[-1].enable_lora(2)


def another_call(model):
    model.get_layer("conv").call = lambda x: x


CHANGES = [activation, setting, trainable_layer, trainable_model, variables, another_call]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_changed_model_is_built_anew(change, kind):
    model = small_network(1, kind)
    before = models.score_model(model)
    assert models.score_model(model) is before
    change(model)
    after = models.score_model(model)
    assert after is not before and models.score_model(model) is after


def test_a_change_inside_a_nested_model_is_noticed():
    model = small_network(1, "nested")
    before = models.score_model(model)
    [inside] = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    inside.layers[0].activation = keras.activations.tanh
    assert models.score_model(model) is not before


def test_layers_added_and_removed_are_noticed():
    model = small_network(1, "sequential")
    before = models.score_model(model)
    last = model.pop()
    model.add(keras.layers.Dense(2, activation="softmax"))
    assert models.score_model(model) is not before
    assert models.score_model(model).output_shape == (None, 2) and last.units == 3


def test_a_normalization_that_is_adapted_again_is_noticed():
    inputs = keras.Input((40, 1))
    scaled = keras.layers.Normalization()
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(scaled(inputs)))
    model = keras.Model(inputs, outputs)
    scaled.adapt(X)
    before = models.target_scores(model, X, np.zeros(5, int))
    scaled.adapt(5 * X + 3)
    after = models.target_scores(model, X, np.zeros(5, int))
    np.testing.assert_allclose(after, model(X).numpy()[:, 0], rtol=1e-5)
    assert not np.allclose(before, after)


@pytest.mark.parametrize(
    "method", ["grad_cam", "gradient", "guided_backprop", "cam", "ablation_cam", "rise"]
)
def test_other_weights_are_seen_without_building(method):
    model = small_network(1, pooled=True)
    options = {"masks": 20} if method == "rise" else {}
    explain(model, X, [0] * 5, method, **options)
    once = len(model.get_layer("conv")._inbound_nodes)
    model.set_weights([-2 * weight for weight in model.get_weights()])
    found = explain(model, X, [0] * 5, method, **options)
    assert len(model.get_layer("conv")._inbound_nodes) == once
    fresh = small_network(1, pooled=True)
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(found, explain(fresh, X, [0] * 5, method, **options))


def test_using_training_and_saving_a_model_changes_nothing_that_is_kept(tmp_path):
    model = small_network(1)
    before = models.score_model(model)
    model.predict(X, verbose=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, np.zeros(5, int), verbose=0)
    model.save(tmp_path / "model.keras")
    for method in ("grad_cam", "lime"):
        explain(model, X, method=method, **({"samples": 20} if method == "lime" else {}))
    assert models.score_model(model) is before


@pytest.mark.parametrize("kind", ["functional", "sequential", "nested"])
def test_a_dead_model_frees_its_graphs(kind):
    model = small_network(1, kind)
    for method in ("grad_cam", "gradient", "guided_backprop", "tf_explain_integrated_gradients"):
        explain(model, X, method=method)
    scores, alive = weakref.ref(models.score_model(model)), weakref.ref(model)
    count = len(graphs._kept)
    del model
    gc.collect()  # the model,
    gc.collect()  # and what was kept with it
    assert alive() is None and scores() is None and len(graphs._kept) < count


@pytest.mark.parametrize("method", ["grad_cam", "gradient", "cam"])
def test_a_kernel_that_is_computed_is_computed_at_each_call(method):
    """With LoRA a dense layer's kernel is the sum of what was learned before and after."""
    model = small_network(1, pooled=True)
    model.layers[-1].enable_lora(2)
    before = explain(model, X, [0] * 5, method)
    model.layers[-1].lora_kernel_b.assign(np.full((2, 3), 5.0))
    assert not np.allclose(before, explain(model, X, [0] * 5, method))
    found = models.score_model(model, "probability")(X)
    np.testing.assert_allclose(found, model(X), atol=1e-5)


def test_a_list_of_settings_that_is_replaced_is_noticed():
    inputs = keras.Input((40, 1))
    scaled = keras.layers.Rescaling([1.0])(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(scaled)))
    before = explain(model, X, [0] * 5, "gradient")
    model.layers[1].scale = [10.0]
    np.testing.assert_allclose(explain(model, X, [0] * 5, "gradient"), 10 * before, rtol=1e-5)


def test_labels_of_any_whole_numbers_are_taken():
    model = small_network(1)
    expected = explain(model, X, [2] * 5)
    for dtype in ("uint8", "int16", "uint64"):
        np.testing.assert_array_equal(explain(model, X, np.full(5, 2, dtype)), expected)


def test_without_graphs_it_says_so():
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.raises(ValueError, match="Graphs are needed"):
            explain(small_network(1), X)
    finally:
        tf.config.run_functions_eagerly(False)


def test_a_graph_takes_batches_of_any_length_and_is_traced_once():
    traced = []

    @graph
    def scores(model, x, *, factor):
        traced.append(factor)
        return factor * model(x, training=False)

    model = small_network(1)
    for count in (1, 3, 5):
        found = scores(model, X[:count], factor=2)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, 2 * model(X[:count]).numpy(), rtol=1e-5)
    assert traced == [2]
    scores(model, X, factor=3)
    assert traced == [2, 3]


def test_a_graph_is_a_part_of_another():
    @graph
    def inner(model, x):
        assert tf.is_symbolic_tensor(x)
        return x + 1, x

    @graph
    def outer(model, x):
        return sum(inner(model, x))

    np.testing.assert_array_equal(outer(small_network(1), X), 2 * X + 1)

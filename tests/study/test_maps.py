import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain
from xai_utils.attributions.gradients import tf_explain_mean_gradient
from xai_utils.data import Samples
from xai_utils.metrics.faithfulness import multiplied
from xai_utils.study import maps

X, TARGET = some_inputs(1), np.array([0, 1, 2, 0, 1])
SAMPLES = Samples(X, TARGET, np.array(list("abcde")))
OPTIONS = {"rise": {"masks": 8}}


def computed(model, samples=SAMPLES, target=TARGET, method="gradient", options=OPTIONS, **more):
    """How many maps were computed, not found."""
    return maps.compute_maps(model, samples, target, method, options, **more)[1]


def test_the_first_of_each_class_in_their_order():
    y = np.array([1, 0, 1, 1, 0, 2])
    assert maps.firsts(y, 2).tolist() == [0, 1, 2, 4, 5]
    assert maps.firsts(y, 9).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("method", ["gradient", "rise"])
def test_maps_are_those_of_explain_whichever_samples_were_asked_for_first(output, method):
    model = small_network(1)
    every = explain(model, X, TARGET, method, **OPTIONS.get(method, {}))
    some = np.array([3, 1])
    first = maps.maps_of(model, SAMPLES.take(some), TARGET[some], [method], OPTIONS)
    np.testing.assert_allclose(first[method], every[some], atol=1e-6)
    for size in (2, 32):
        found = maps.maps_of(model, SAMPLES, TARGET, [method], OPTIONS, batch_size=size)
        np.testing.assert_allclose(found[method], every, atol=1e-6)


def test_a_map_is_computed_once_wherever_its_sample_stands(output):
    model, backwards = small_network(1), slice(None, None, -1)
    assert computed(model, SAMPLES.take(slice(2)), TARGET[:2]) == 2
    assert computed(model) == 3
    assert computed(model, batch_size=2) == 0
    assert computed(model, SAMPLES.take(backwards), TARGET[backwards]) == 0
    assert computed(model, Samples(X.copy(), TARGET[::-1], np.array(list("vwxyz")))) == 0
    assert computed(small_network(1)) == 0, "the same network built anew"


@pytest.mark.parametrize("changed", ["input", "class", "option", "weights", "layers", "method"])
def test_whatever_a_map_depends_on_computes_it_anew(output, changed):
    model = small_network(1)
    given = {"samples": SAMPLES, "target": TARGET, "method": "smooth_grad", "options": {}}
    assert computed(model, **given) == 5
    if changed == "input":
        given["samples"] = Samples(X + np.float32(1e-6), TARGET, SAMPLES.names)
    elif changed == "class":
        given["target"] = (TARGET + 1) % 3
    elif changed == "option":
        given["options"] = {"smooth_grad": {"samples": 3}}
    elif changed == "weights":
        model.set_weights([np.float32(1.01) * weight for weight in model.get_weights()])
    elif changed == "layers":
        model = small_network(1, softmax=False)
    else:
        given["method"] = "gradient"
    found, count = maps.compute_maps(model, **given)
    assert count == 5
    options = given["options"].get("smooth_grad", {})
    expected = explain(model, given["samples"].x, given["target"], given["method"], **options)
    np.testing.assert_allclose(found[:], expected, atol=1e-6)


@pytest.mark.parametrize(
    "module, before, after, count",
    [
        ("attributions.gradients", "tf.gradients(explained, x)", "tf.gradients(2 * explained, x)", 5),
        ("attributions.gradients", "steps=10", "steps=20", 0),  # of another method
        ("attributions", "astype(np.float32)", "astype(np.float16)", 5),  # in explain
        ("attributions", '"Guided Grad-CAM"', '"Guided"', 0),  # in the table of methods
        ("models", 'keras.ops.cast(logits, "float32")', 'keras.ops.cast(logits, "float16")', 5),
        ("models", "# Keras' own way through the graph", "# The graph's own way", 0),
    ],
)
def test_other_code_of_the_method_computes_its_maps_anew(output, edit, module, before, after, count):
    model = small_network(1)
    assert computed(model) == 5
    edit(module, before, after)
    assert computed(model) == count


def test_an_interrupted_computation_goes_on_after_its_last_batch(output, monkeypatch):
    model, calls = small_network(1), []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return explain(*arguments, **options)

    interrupted.__module__, interrupted.__qualname__ = "xai_utils.attributions", "explain"
    monkeypatch.setattr(maps, "explain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        computed(model, batch_size=2)
    assert computed(model, batch_size=2) == 3
    assert not [*output.glob("**/partial-*")]


def test_slopes_are_kept_in_the_same_way(output):
    model, (x, target) = small_network(2), (some_inputs(2), TARGET)
    samples = Samples(x, target, SAMPLES.names)
    given = model, samples, target, tf_explain_mean_gradient
    found, count = maps.compute_by(*given, steps=4)
    expected = tf_explain_mean_gradient(model, x, target, steps=4)
    np.testing.assert_allclose(found[:], expected, atol=1e-6)
    assert count == 5
    assert maps.compute_by(*given, steps=4)[1] == 0 and maps.compute_by(*given, steps=5)[1] == 5


def test_second_maps_are_those_of_the_input_times_the_map_and_unknown_ones_stay_so(output):
    model = small_network(1)
    own = {"grad_cam": explain(model, X, TARGET, "grad_cam")}
    own["grad_cam"][2, 5] = np.nan
    again = maps.maps_of_multiplied(model, SAMPLES, TARGET, own, {})["grad_cam"]
    known = [0, 1, 3, 4]
    changed = multiplied(X[known], own["grad_cam"][known])
    expected = explain(model, changed, TARGET[known], "grad_cam")
    np.testing.assert_allclose(again[known], expected, atol=1e-6)
    assert np.isnan(again[2]).all() and np.isfinite(again[known]).all()


def test_methods_that_ask_the_model_hundreds_of_times_are_costly():
    cheap, costly = maps.by_cost(["rise", "grad_cam", "random", "score_cam"])
    assert cheap == ["grad_cam", "random"] and costly == ["rise", "score_cam"]

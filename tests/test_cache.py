import keras
import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import cache, metrics
from xai_utils.attributions import explain


def counted(model, *, x, factor=1.0, calls=[]):
    """Stands for an explanation: what it computes, and how often it was asked to."""
    calls.append(1)
    return factor * model(x).numpy()


@pytest.fixture
def calls(output, monkeypatch):
    monkeypatch.setattr(counted, "__module__", "xai_utils.metrics")
    counted.__kwdefaults__["calls"].clear()
    return counted.__kwdefaults__["calls"]


def test_what_was_computed_once_is_read(calls):
    x = some_inputs(1)
    first = cache.remembered(counted, small_network(1), x=x)
    again = cache.remembered(counted, small_network(1), x=x.copy())  # the same, built anew
    assert len(calls) == 1 and np.array_equal(first, again)


def joined(order):
    """Two convolutions, of which the sum of the first with the first or the second is read."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((40, 1))
    made = [keras.layers.Conv1D(2, 3)(inputs) for _ in range(2)]
    both = keras.layers.Flatten()(keras.layers.Concatenate()(made))
    chosen = keras.layers.Flatten()(keras.layers.Add()([made[index] for index in order]))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Concatenate()([both, chosen])))


@pytest.mark.parametrize("changed", ["input", "option", "weights", "layers", "function"])
def test_whatever_it_depends_on_computes_it_again(calls, changed):
    model, x = small_network(1), some_inputs(1)
    first = cache.remembered(counted, model, x=x)
    function, options = counted, {"x": x}
    if changed == "input":
        options["x"] = x + 1e-6
    elif changed == "option":
        options["factor"] = 2.0
    elif changed == "weights":
        model.set_weights([1.01 * weight for weight in model.get_weights()])
    elif changed == "layers":
        model = small_network(1, softmax=False)
    else:

        def function(model, x):
            return 3 * counted(model, x=x)

        function.__module__ = "xai_utils.metrics"

    assert not np.array_equal(first, cache.remembered(function, model, **options))
    assert len(calls) == 2


def test_the_same_layers_and_weights_otherwise_connected_are_another_model(calls):
    x = some_inputs(1)
    first, other, again = (
        cache.remembered(counted, joined(order), x=x) for order in ([0, 0], [0, 1], [0, 1])
    )
    assert len(calls) == 2 and not np.array_equal(first, other) and np.array_equal(other, again)


@pytest.mark.parametrize(
    "changed, computed", [("models.py", 2), ("metrics/drop.py", 2), ("attributions/cam.py", 1)]
)
def test_other_code_computes_it_again(calls, tmp_path, monkeypatch, changed, computed):
    """The code below every model, and that of the function's own package."""
    for name in (*cache.SHARED_CODE, "metrics/drop.py", "attributions/cam.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    cache._code.cache_clear()
    model, x = small_network(1), some_inputs(1)
    cache.remembered(counted, model, x=x)
    (tmp_path / changed).write_text("# another")
    cache._code.cache_clear()
    cache.remembered(counted, model, x=x)
    assert len(calls) == computed
    cache._code.cache_clear()


def test_functions_whose_code_is_not_watched_are_refused(calls):
    counted.__module__ = "xai_utils.reproduction"
    with pytest.raises(ValueError, match="cannot be watched"):
        cache.remembered(counted, small_network(1), x=some_inputs(1))


def test_an_interrupted_computation_leaves_nothing(calls):
    def interrupted(model, x):
        raise KeyboardInterrupt

    interrupted.__module__ = "xai_utils.metrics"
    with pytest.raises(KeyboardInterrupt):
        cache.remembered(interrupted, small_network(1), x=some_inputs(1))
    assert not [*cache.output_root().glob("results/cache/**/*.pkl")]


@pytest.mark.parametrize("function", [explain, metrics.evaluate])
def test_the_code_that_counts_is_there(function):
    assert function.__module__.startswith("xai_utils.")
    assert [*cache.PACKAGE.glob(f"{function.__module__.split('.')[1]}/*.py")]
    assert all((cache.PACKAGE / name).exists() for name in cache.SHARED_CODE)

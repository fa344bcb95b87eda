import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import explanations
from xai_utils.attributions import explain
from xai_utils.metrics.faithfulness import multiplied

X, TARGET = some_inputs(1), np.array([0, 1, 2, 0, 1])


def test_the_first_of_each_class_in_their_order():
    y = np.array([1, 0, 1, 1, 0, 2])
    assert explanations.firsts(y, 2).tolist() == [0, 1, 2, 4, 5]
    assert explanations.firsts(y, 9).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("method", ["gradient", "rise"])
def test_some_maps_are_those_of_all_at_their_places(output, method):
    options = {"rise": {"masks": 8}}
    some = np.array([1, 3])
    maps = explanations.maps_of_some(small_network(1), X, TARGET, some, [method], options)
    every = explain(small_network(1), X, TARGET, method, **options.get(method, {}))
    np.testing.assert_allclose(maps[method], every[some], atol=1e-6)


def test_second_maps_are_those_of_the_input_times_the_map_and_unknown_ones_stay_so(output):
    model = small_network(1)
    maps = {"grad_cam": explain(model, X, TARGET, "grad_cam")}
    maps["grad_cam"][2, 5] = np.nan
    again = explanations.maps_of_multiplied(model, X, TARGET, maps, {})["grad_cam"]
    expected = explain(model, multiplied(X[:1], maps["grad_cam"][:1]), TARGET[:1], "grad_cam")
    np.testing.assert_allclose(again[:1], expected, atol=1e-6)
    assert np.isnan(again[2]).all() and np.isfinite(again[[0, 1, 3, 4]]).all()


def test_methods_that_ask_the_model_hundreds_of_times_are_costly():
    cheap, costly = explanations.by_cost(["rise", "grad_cam", "random", "score_cam"])
    assert cheap == ["grad_cam", "random"] and costly == ["rise", "score_cam"]

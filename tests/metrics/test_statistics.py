import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from xai_utils.metrics import statistics


def test_agreement_is_the_median_rank_correlation_of_the_samples():
    first, second = np.random.default_rng(0).random((2, 5, 6, 4))
    second = np.round(second, 1)  # with ties
    table = statistics.rank_agreement({"a": first, "b": second, "-a": -first, "a³": first**3})
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(first, second)]
    assert table.loc["a", "b"] == pytest.approx(np.median(expected), abs=1e-6)
    assert table.loc["a", "-a"] == pytest.approx(-1) and table.loc["a", "a³"] == pytest.approx(1)
    assert np.allclose(table, table.T)


def test_constant_maps_do_not_count():
    first, second = np.random.default_rng(0).random((2, 3, 10))
    expected = spearmanr(first[2], second[2]).statistic
    first[0], second[1] = 0, 4
    table = statistics.rank_agreement({"a": first, "b": second, "zero": np.zeros((3, 10))})
    assert table.loc["a", "b"] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(table.loc["a", "zero"])


def test_the_pairs_that_agree_most_and_least():
    names = ["a", "b", "c"]
    table = pd.DataFrame([[1, 0.5, -0.2], [0.5, 1, 0.9], [-0.2, 0.9, 1]], names, names)
    assert statistics.extremes(table) == [["b", "c", 0.9], ["a", "c", -0.2]]

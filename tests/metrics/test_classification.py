import numpy as np
import pytest

from xai_utils.metrics import classification

Y = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]]
)


def test_each_class_by_hand():
    """Predictions 0 0 1 1 0 2: of class 0 two of three are found, of the three called 0 two are."""
    rows = classification.per_class(Y, PROBABILITIES, ["a", "b", "c"])
    assert rows.recall.tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert rows.precision.tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert rows.support.tolist() == [3, 2, 1]
    # Class 0: of the 3 × 3 pairs, those with 0.2 lose to 0.6, those with 0.5 lose to 0.6.
    assert rows.auc[0] == pytest.approx(7 / 9)


def test_confusions_are_counted_and_sorted():
    assert classification.most_confused(Y, PROBABILITIES.argmax(axis=1), 5) == [(0, 1, 1), (1, 0, 1)]
    assert classification.most_confused(Y, Y, 5) == []


def test_prediction_statistics_count_every_sample_of_the_class():
    assert classification.prediction_statistics(Y, PROBABILITIES.argmax(axis=1), 0) == {0: 2, 1: 1}

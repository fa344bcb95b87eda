import numpy as np
import pytest

from xai_utils.study import classification

Y = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.5, 0.3, 0.2],
        [0.2, 0.7, 0.1],
        [0.1, 0.8, 0.1],
        [0.6, 0.3, 0.1],
        [0.1, 0.2, 0.7],
    ]
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


def test_wilson_interval_of_nine_in_ten():
    """(9 + z²/2 ± z √(9·1/10 + z²/4)) / (10 + z²) with z = 1.95996."""
    low, high = classification.wilson_interval(np.arange(10) > 0)
    assert (low, high) == pytest.approx((0.59585, 0.98212), abs=1e-5)


def test_wilson_interval_of_a_faultless_classifier_ends_at_one():
    low, high = classification.wilson_interval(np.ones(16, bool))
    assert high == 1 and low == pytest.approx(16 / (16 + 1.95996**2), abs=1e-5)


def test_change_over_folds_by_hand():
    """Differences 0.1, 0.2, 0.3: variance 0.01, times 1/3 + 1/2; Student's t of two degrees is 4.30265."""
    mean, low, high = classification.change_over_folds([0.6, 0.8, 0.8], [0.5, 0.6, 0.5])
    assert mean == pytest.approx(0.2)
    reach = 4.30265 * (0.01 * 5 / 6) ** 0.5
    assert (low, high) == pytest.approx((0.2 - reach, 0.2 + reach), abs=1e-5)


def test_folds_that_all_gain_the_same_leave_no_doubt():
    assert classification.change_over_folds([0.75, 0.5], [0.5, 0.25]) == (0.25, 0.25, 0.25)


def test_calibration_by_hand():
    """Two bins: 0.55 and 0.57 with one right, 0.95 and 1.0 with both right."""
    table = classification.calibration([0.55, 0.57, 0.95, 1.0], [True, False, True, True])
    assert table["count"].tolist() == [2, 2]
    assert table.confidence.tolist() == pytest.approx([0.56, 0.975])
    assert table.accuracy.tolist() == [0.5, 1]
    error = classification.expected_calibration_error(table)
    assert error == pytest.approx((0.06 + 0.025) / 2)

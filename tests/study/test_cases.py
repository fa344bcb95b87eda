"""Which samples are shown, counted by hand on a few."""

import numpy as np
import pytest

from xai_utils.study import cases


def answers(*rows, classes=3):
    """Probabilities from ``(predicted, confidence)``; the rest is shared by the other classes."""
    table = np.array([np.full(classes, (1 - sure) / (classes - 1)) for _, sure in rows])
    for row, (predicted, sure) in zip(table, rows):
        row[predicted] = sure
    return table


# The true class, the predicted one and its confidence. Errors: two of class 1, one each of 0 and 2.
SIGNALS = [
    (0, 0, 0.6), (0, 0, 0.9), (0, 1, 0.8),
    (1, 1, 0.7), (1, 2, 0.95), (1, 0, 0.55), (1, 1, 0.65),
    (2, 2, 0.99), (2, 0, 0.7),
]  # fmt: skip
Y = np.array([true for true, *_ in SIGNALS])
PROBABILITIES = answers(*(row[1:] for row in SIGNALS))


def test_the_surest_right_signals_of_the_hardest_classes_and_the_surest_errors():
    right, wrong = cases.signals_shown(Y, PROBABILITIES, count=2)
    assert right == [3, 1], "class 1 first, then the first of those with one error"
    assert wrong == [4, 2]
    assert cases.signals_shown(Y, PROBABILITIES) == ([3, 1, 7], [4, 2, 8])


def test_a_class_without_a_right_signal_shows_none_and_a_network_without_errors_no_error():
    y = np.array([0, 0, 1, 1])
    right, wrong = cases.signals_shown(y, answers((1, 0.9), (1, 0.8), (1, 0.6), (1, 0.7)), count=3)
    assert right == [3] and wrong == [0, 1]
    right, wrong = cases.signals_shown(y, answers((0, 0.9), (0, 0.8), (1, 0.6), (1, 0.7)), count=3)
    assert right == [0, 3] and wrong == []


def test_of_equally_sure_signals_the_first_is_shown():
    y = np.array([1, 1, 0, 0])
    same = answers((1, 0.75), (1, 0.75), (1, 0.75), (1, 0.75))
    assert cases.signals_shown(y, same, count=1) == ([], [2])
    assert cases.signals_shown(y, same, count=2) == ([0], [2, 3])


def test_shown_signals_are_plain_numbers():
    """They become keys and JSON."""
    assert all(type(i) is int for found in cases.signals_shown(Y, PROBABILITIES) for i in found)
    assert all(type(i) is int for found in cases.tiles_shown(Y, PROBABILITIES) for i in found)


def test_tiles_of_median_confidence_and_the_surest_of_each_confusion():
    """Of four right tiles the median is the upper of the two in the middle; 0 for 2 is most frequent."""
    rows = [
        (0, 0, 0.9), (0, 0, 0.5), (0, 0, 0.7),
        (2, 0, 0.6), (2, 0, 0.8), (2, 0, 0.4),
        (1, 1, 0.9), (1, 1, 0.6), (1, 1, 0.8), (1, 1, 0.7),
        (1, 0, 0.5), (1, 0, 0.45), (0, 1, 0.99),
    ]  # fmt: skip
    y = np.array([true for true, *_ in rows])
    right, wrong = cases.tiles_shown(y, answers(*(row[1:] for row in rows)))
    assert right == [2, 8], "class 2 has no right tile"
    assert wrong == [4, 10, 12]


def test_no_more_confusions_are_shown_than_are_asked_for():
    """Seven confusions of two tiles each; the most frequent one, of three, comes first."""
    pairs = [(true, (true + step) % 4) for true in range(4) for step in (1, 2)][:7]
    rows = [(pair, sure) for pair in pairs for sure in (0.6, 0.8)] + [(pairs[-1], 0.7)]
    y = np.array([true for (true, _), _ in rows])
    probabilities = answers(*((predicted, sure) for (_, predicted), sure in rows), classes=4)
    right, wrong = cases.tiles_shown(y, probabilities)
    assert right == [] and len(wrong) == cases.CONFUSIONS == 5
    assert wrong[0] == 13 and all(rows[i][1] == 0.8 for i in wrong)


# Where the template lies in four signals of eight points: the first two points of each.
INTERVALS = np.tile(np.arange(8) < 2, (4, 1))


def pointing_at(*places):
    """A map a signal, whose two highest points are those."""
    maps = np.zeros((len(places), 8))
    for row, points in zip(maps, places):
        row[list(points)] = [2, 1]
    return maps


MAPS = {
    "one": pointing_at((0, 1), (5, 0), (1, 0), (6, 7)),
    "other": pointing_at((1, 0), (3, 4), (2, 3), (7, 6)),
}


def test_shares_inside_by_hand():
    inside, shares = cases.shares_inside(MAPS, INTERVALS, np.arange(4))
    assert inside.one.tolist() == [1, 0.5, 1, 0] and inside.other.tolist() == [1, 0, 0, 0]
    assert shares == {"both": 0.25, "only_one": 0.5, "only_other": 0, "neither": 0.25}


def test_only_rightly_classified_signals_count():
    correct = np.array([1, 2])
    inside, shares = cases.shares_inside(MAPS, INTERVALS, correct)
    assert inside.index.tolist() == [1, 2] and inside.one.tolist() == [0.5, 1]
    assert shares == {"both": 0, "only_one": 1, "only_other": 0, "neither": 0}
    mirrored = {"one": MAPS["other"], "other": MAPS["one"]}
    assert cases.shares_inside(mirrored, INTERVALS, correct)[1]["only_other"] == 1


def test_the_signals_studied_are_the_extremes_of_their_kind():
    """Signal 0 would be the extreme of every kind, but was not classified rightly."""
    template = np.arange(12.0)  # rises
    rng = np.random.default_rng(0)
    signals = -np.arange(20.0) + rng.normal(scale=0.01, size=(5, 20))  # fall: unlike the template
    signals[[0, 3], 10:15] = 5 * np.arange(5.0)  # but for these, which rise at another place
    intervals = np.tile(np.arange(20) < 5, (5, 1))
    correct = np.array([1, 2, 3, 4])
    maps = {"grad_cam": np.zeros((5, 20)), "integrated_gradients": np.zeros((5, 20))}
    inside_of = {  # how many of the five highest points lie inside
        "grad_cam": [5, 4, 5, 2, 0],
        "integrated_gradients": [0, 3, 1, 2, 3],
    }
    for name, counts in inside_of.items():
        for row, count in zip(maps[name], counts):
            row[5 - count : 10 - count] = 1
    inside, _ = cases.shares_inside(maps, intervals, correct)
    assert inside.grad_cam.tolist() == pytest.approx([0.8, 1, 0.4, 0])
    chosen, resemblance, place = cases.signals_studied(
        signals, intervals, np.tile(template, (5, 1)), correct, inside
    )
    assert chosen == {
        "Both right": 1, "Grad-CAM ahead": 2, "Integrated Gradients ahead": 4, "Looks like two": 3,
    }  # fmt: skip
    assert resemblance == pytest.approx(1, abs=1e-6)
    assert np.flatnonzero(place).tolist() == [10, 11, 12, 13, 14]

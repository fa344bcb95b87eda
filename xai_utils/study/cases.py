"""Which samples are shown: chosen by rule, so that nobody can pick the ones that suit."""

import numpy as np
import pandas as pd

from xai_utils.data.mnist1d import other_place
from xai_utils.metrics.localization import bounding_box
from xai_utils.study.classification import most_confused

CONFUSIONS = 5  # the most frequent ones


def signals_shown(y, probabilities, count=3):
    """The places of signals to show: ``(right, wrong)``.

    The correct predictions of highest confidence, one a class, in the ``count`` classes with the most
    errors; and the ``count`` wrong predictions of highest confidence.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = predicted == y
    errors = np.bincount(y[~correct], minlength=probabilities.shape[1])
    surest = np.argsort(-confidence, kind="stable")
    hardest = np.argsort(-errors, kind="stable")[:count]
    of_class = [[i for i in surest if correct[i] and y[i] == label][:1] for label in hardest]
    wrong = [int(i) for i in surest if not correct[i]][:count]
    return [int(i) for found in of_class for i in found], wrong


def tiles_shown(y, probabilities):
    """The places of tiles to show: ``(right, wrong)``.

    Of each class, the correctly classified tile whose confidence is the median; of each of the most
    frequent confusions, the tile of highest confidence.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = predicted == y
    right, wrong = [], []
    for label in np.unique(y[correct]):
        members = np.flatnonzero(correct & (y == label))
        order = np.argsort(confidence[members], kind="stable")
        right.append(int(members[order[len(order) // 2]]))
    for true, mistaken, _ in most_confused(y, predicted, CONFUSIONS):
        members = np.flatnonzero((y == true) & (predicted == mistaken))
        wrong.append(int(members[confidence[members].argmax()]))
    return right, wrong


def shares_inside(maps, intervals, correct):
    """How the maps of two methods point at the template in the signals at ``correct``.

    Returns the shares of their highest points that lie inside, a row a signal and a column a method;
    and in what share of the signals both, one or neither are right, that is at least half inside.
    """
    inside = {name: bounding_box(own, intervals)[correct] for name, own in maps.items()}
    inside = pd.DataFrame(inside, index=correct)
    first, second = (inside[name] >= 0.5 for name in inside)
    kinds = {"both": first & second, f"only_{inside.columns[0]}": first & ~second}
    kinds |= {f"only_{inside.columns[1]}": ~first & second, "neither": ~first & ~second}
    return inside, {name: float(kind.mean()) for name, kind in kinds.items()}


def signals_studied(signals, intervals, templates, correct, inside):
    """Four signals of those at ``correct``: where the smaller share inside is largest; where the
    difference is largest in favour of either method; where another place looks most like the template.

    ``templates`` are those of the explained classes. Returns ``{case: place}``, and of the last one how
    much the other place resembles the template, a correlation, and where it lies, bool.
    """
    parts = zip(signals[correct], intervals[correct], templates[correct])
    other = dict(zip(correct, (other_place(*part) for part in parts)))
    twice = pd.Series({place: resemblance for place, (_, resemblance) in other.items()})
    difference = inside.iloc[:, 0] - inside.iloc[:, 1]
    cases = {
        "Both right": inside.min(axis=1).idxmax(),
        "Grad-CAM ahead": difference.idxmax(),
        "Integrated Gradients ahead": difference.idxmin(),
        "Looks like two": twice.idxmax(),
    }
    return cases, twice.max(), other[twice.idxmax()][0]

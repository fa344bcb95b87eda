"""How well a classifier does, on each class and over all, and how far its confidence can be trusted."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from scipy.stats import t as student_t
from sklearn.metrics import classification_report, roc_auc_score


def per_class(y, probabilities, classes):
    """Recall (which is the accuracy on the class), precision, F1, AUC and support of each class.

    ``y`` are true labels ``(n,)``, ``probabilities`` ``(n, classes)``; AUC is one against the
    rest. One row a class, in order.
    """
    predicted = probabilities.argmax(axis=1)
    labels = range(len(classes))
    report = classification_report(y, predicted, labels=labels, output_dict=True, zero_division=0)
    rows = pd.DataFrame([report[str(label)] for label in labels])
    rows.insert(0, "class", classes)
    rows["auc"] = [roc_auc_score(y == label, probabilities[:, label]) for label in labels]
    rows["support"] = rows["support"].astype(int)
    return rows.rename(columns={"f1-score": "f1"})


def most_confused(y, predicted, count):
    """The most frequent errors: ``(true, predicted, number)``, most frequent first."""
    pairs, numbers = np.unique(np.stack([y, predicted])[:, y != predicted], axis=1, return_counts=True)
    order = np.argsort(-numbers, kind="stable")[:count]
    return [(int(pairs[0, i]), int(pairs[1, i]), int(numbers[i])) for i in order]


def prediction_statistics(y, predicted, label):
    """How often each class is predicted where ``label`` is true: ``{predicted: number}``."""
    values, numbers = np.unique(predicted[y == label], return_counts=True)
    return {int(value): int(number) for value, number in zip(values, numbers)}


def wilson_interval(correct):
    """The 95 % interval of an accuracy, ``(low, high)``, from bools one a sample (Wilson, 1927)."""
    interval = binomtest(int(np.sum(correct)), len(correct)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def change_over_folds(after, before):
    """How much better one training is than another over the k folds of a cross-validation: the mean
    difference and its 95 % interval, ``(mean, low, high)``.

    ``after`` and ``before`` are scores, one a fold. Folds share most of what is trained on, so that their
    differences are no independent draws: the variance of the mean is taken for 1/k plus the number of
    samples tested to that trained on, 1/(k − 1), times that of a difference (Nadeau and Bengio, 2003).
    """
    differences = np.subtract(after, before)
    folds, mean = len(differences), differences.mean()
    error = np.sqrt((1 / folds + 1 / (folds - 1)) * differences.var(ddof=1))
    reach = student_t.ppf(0.975, folds - 1) * error
    return float(mean), float(mean - reach), float(mean + reach)


def calibration(confidence, correct, bins=10):
    """How often predictions of each confidence are right: one row for each bin with any.

    Bins of equal width from 0 to 1. Columns: ``confidence`` (mean), ``accuracy``, ``count``.
    """
    places = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    frame = pd.DataFrame({"bin": places, "confidence": confidence, "correct": correct})
    rows = frame.groupby("bin").agg(
        confidence=("confidence", "mean"), accuracy=("correct", "mean"), count=("correct", "size")
    )
    return rows.reset_index(drop=True)


def expected_calibration_error(table):
    """The mean distance of accuracy from confidence over the bins, weighted (Guo 2017, eq. 3)."""
    gaps = (table.accuracy - table.confidence).abs()
    return float(np.average(gaps, weights=table["count"]))

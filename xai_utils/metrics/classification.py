"""How well a classifier does on each class, by scikit-learn."""

import numpy as np
import pandas as pd
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
    pairs, numbers = np.unique(
        np.stack([y, predicted])[:, y != predicted], axis=1, return_counts=True
    )
    order = np.argsort(-numbers, kind="stable")[:count]
    return [(int(pairs[0, i]), int(pairs[1, i]), int(numbers[i])) for i in order]


def prediction_statistics(y, predicted, label):
    """How often each class is predicted where ``label`` is true: ``{predicted: number}``."""
    values, numbers = np.unique(predicted[y == label], return_counts=True)
    return {int(value): int(number) for value, number in zip(values, numbers)}

"""The published numbers beside those that the same weights give here."""

import pandas as pd

from xai_utils.results import REPOSITORY

PUBLISHED = REPOSITORY / "data" / "published_results.csv"
DELIVERABLE = "000_fb1b6fc00a7a775b"


def compare(dataset, reproduced, source=DELIVERABLE):
    """Rows of ``reproduction.csv`` for every published number of ``dataset`` found again here.

    ``reproduced`` maps ``(method, metric, item)`` to a number; ``method`` is empty for
    classification.
    """
    published = pd.read_csv(PUBLISHED, dtype={"item": str}, keep_default_na=False)
    published = published[(published.source == source) & (published.dataset == dataset)]
    keys = list(zip(published.method, published.metric, published.item))
    rows = published.rename(columns={"value": "published"})
    rows["published"] = rows["published"].astype(float)
    rows["reproduced"] = [reproduced.get(key) for key in keys]
    rows = rows.dropna(subset="reproduced")
    return rows.assign(difference=rows.reproduced - rows.published)


def classification(per_class, accuracy):
    """The classification numbers in the form that :func:`compare` takes."""
    numbers = {("", "accuracy", "all"): accuracy}
    for label, row in per_class.iterrows():
        numbers |= {("", metric, str(label)): row[metric] for metric in ("precision", "recall", "f1")}
        numbers["", "class_accuracy", str(label)] = row["recall"]
    return numbers


def agrees_as_printed(rows):
    """Whether each reproduced number rounds to the published one, at the digits printed there.

    The published file drops trailing zeros, so the digits of a table are those of its longest
    number.
    """
    digits = rows.published.map(lambda value: len(str(value).partition(".")[2]))
    printed = digits.groupby([rows.source, rows.dataset, rows.metric]).transform("max")
    return rows.difference.abs() <= 0.5 * 10.0**-printed + 1e-9

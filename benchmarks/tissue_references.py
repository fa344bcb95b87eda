"""What a linear head on the features of an ImageNet network says of the tiles of HMT.

``XAI_PRETRAINED=PATH python benchmarks/tissue_references.py --hmt-dir PATH`` fits a logistic regression on
the features of MobileNetV2, of tiles enlarged to 224 pixels, for the course's split and for the folds in
which the VGG-7 is cross-validated. The rows go to ``data/hmt_references.csv``, beside those of the recipe
that the VGG-7 was trained with before.
"""

import argparse

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GroupKFold

from xai_utils.data import hmt, unit_range
from xai_utils.models import batches
from xai_utils.networks import linear_head
from xai_utils.networks.long_trainings import FOLDS, GROUPS, REFERENCES
from xai_utils.networks.pretrained import pretrained
from xai_utils.run.files import write

NETWORK = "mobilenet_v2"
RECIPE = "linear_head"


def features_of(tiles):
    body = linear_head.body_of(pretrained(NETWORK))
    return np.concatenate(
        [
            body.predict(unit_range(hmt.resize(tiles[part], hmt.COURSE_SIZE)), verbose=0)
            for part in batches(len(tiles), 100)
        ]
    )


def splits(data, every):
    """The course's split, then the folds of each grouping: name, fold, kept and held out."""
    places = np.arange(len(every))
    yield "official", 0, places[: len(data.train)], places[len(data.train) :]
    for grouping, groups_of in GROUPS.items():
        folds = GroupKFold(FOLDS).split(every.y, groups=groups_of(every.names))
        for fold, (kept, held_out) in enumerate(folds):
            yield grouping.removeprefix("by_"), fold, kept, held_out


def main():
    parser = argparse.ArgumentParser(description="A linear head on pretrained features, scored on HMT.")
    parser.add_argument("--hmt-dir", help="the tiles")
    data = hmt.load(parser.parse_args().hmt_dir)
    every = data.train.join(data.test)
    features, rows = features_of(every.x).astype(np.float64), []
    for grouping, fold, kept, held_out in splits(data, every):
        head = LogisticRegression(max_iter=10_000).fit(features[kept], every.y[kept])
        predicted, y = head.predict(features[held_out]), every.y[held_out]
        f1 = f1_score(y, predicted, labels=np.unique(y), average="macro")
        rows.append([RECIPE, grouping, fold, round(accuracy_score(y, predicted), 4), round(f1, 4)])
        print(*rows[-1], flush=True)
    table = pd.read_csv(REFERENCES)
    found = pd.DataFrame(rows, columns=table.columns)
    table = pd.concat([table[table.recipe != RECIPE], found])
    write(REFERENCES, table.to_csv(index=False))


if __name__ == "__main__":
    main()

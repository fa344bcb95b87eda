"""Recipes for the VGG-7, each tried on slides that it was not trained on.

``python benchmarks/tissue_recipes.py [NAME …] --hmt-dir PATH`` trains every candidate, or those named, on
the slides of three of the five folds and scores it on each of the two others: mean F1 over the classes that
a fold shows. The rows go to ``data/hmt_candidates.csv``. What a pretrained network teaches needs
``XAI_PRETRAINED``.
"""

import argparse
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
from skimage.color import hed2rgb, rgb2hed
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from tissue_references import features_of

from xai_utils.data import Samples, hmt, unit_range
from xai_utils.models import predict
from xai_utils.networks import recipes, training
from xai_utils.networks.long_trainings import CANDIDATES as TABLE
from xai_utils.networks.long_trainings import FOLDS
from xai_utils.run.files import write

PAIRS = ((0, 1), (2, 3))  # of folds, held out together
COLUMNS = ["candidate", "epochs", "fold", "held_out_with", "macro_f1", "training_accuracy"]


def in_grey(tiles, rng):
    """Without any colour."""
    grey = recipes.augment_tiles(tiles, rng).mean(axis=-1, keepdims=True)
    return np.repeat(grey, 3, axis=-1)


def with_stains_varied(tiles, rng):
    """Each stain times 0.75 to 1.25, and up to 0.05 more or less (Tellez et al., 2018)."""
    stains = rgb2hed(np.clip(recipes.augment_tiles(tiles, rng), 0, 1))
    scale = rng.uniform(0.75, 1.25, (len(tiles), 1, 1, 3))
    shift = rng.uniform(-0.05, 0.05, (len(tiles), 1, 1, 3))
    return hed2rgb(stains * scale + shift).astype(np.float32)


def averaged_adamw(steps):
    """AdamW, whose weights in the end are the moving average of those on the way."""
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    return keras.optimizers.AdamW(schedule, use_ema=True, ema_momentum=0.995)


def taught(tiles):
    """Tiles whose classes a linear head on pretrained features softens (Hinton et al., 2015): half the class,
    half what the head, fitted on other slides of these, expects."""
    head = LogisticRegression(max_iter=10_000)
    expected = cross_val_predict(
        head,
        features_of(tiles.x).astype(np.float64),
        tiles.y,
        groups=hmt.slides(tiles.names),
        cv=GroupKFold(3),
        method="predict_proba",
    )
    return Samples(tiles.x, (np.eye(8)[tiles.y] + expected) / 2, tiles.names)


def over_symmetries(model, x):
    """The mean of what a network says of the eight symmetries of square tiles."""
    turned = [np.rot90(x, turns, axes=(1, 2)) for turns in range(4)]
    return np.mean([predict(model, view) for own in turned for view in (own, own[:, ::-1])], axis=0)


AS_IT_IS, TAUGHT = "as it is", "taught by MobileNetV2"
SHORT = replace(recipes.VGG7, epochs=10)
CANDIDATES = {
    AS_IT_IS: SHORT,
    "classes as often as they are": replace(SHORT, balance=0.0),
    "classes equally often": replace(SHORT, balance=1.0),
    "whole tiles only": replace(SHORT, crop=None),
    "stains varied": replace(SHORT, augment=with_stains_varied),
    "grey": replace(SHORT, augment=in_grey),
    "weights averaged": replace(SHORT, optimizer=averaged_adamw),
    TAUGHT: SHORT,
    "twice the epochs": replace(SHORT, epochs=20),
    "four times the epochs": replace(SHORT, epochs=40),
}


def rows_of(name, recipe, every):
    """What a candidate scores on every fold of the pairs."""
    folds = [fold for _, fold in GroupKFold(FOLDS).split(every.y, groups=hmt.slides(every.names))]
    for pair in PAIRS:
        kept = every.take(
            np.setdiff1d(np.arange(len(every)), np.concatenate([folds[fold] for fold in pair]))
        )
        model, history = training.train_vgg7(taught(kept) if name == TAUGHT else kept, recipe, seed=0)
        asked = {name: predict}
        if name == AS_IT_IS:
            asked["averaged over eight symmetries"] = over_symmetries
        for fold, other in (pair, pair[::-1]):
            y, x = every.y[folds[fold]], unit_range(every.x[folds[fold]])
            for said, probabilities in asked.items():
                predicted = probabilities(model, x).argmax(axis=1)
                score = f1_score(y, predicted, labels=np.unique(y), average="macro")
                learned = history["accuracy"][-1]
                yield [said, recipe.epochs, fold, other, round(score, 4), learned]


def main():
    parser = argparse.ArgumentParser(description="Try recipes on slides that are held out.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(CANDIDATES)}")
    parser.add_argument("--hmt-dir", help="the tiles")
    options = parser.parse_args()
    if unknown := set(options.names) - CANDIDATES.keys():
        parser.error(f"there is no candidate {', '.join(sorted(unknown))}")
    data = hmt.load(options.hmt_dir)
    every = data.train.join(data.test)
    for name in options.names or CANDIDATES:
        found = pd.DataFrame(list(rows_of(name, CANDIDATES[name], every)), columns=COLUMNS)
        table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=COLUMNS)
        table = (
            pd.concat([table[~table.candidate.isin(found.candidate)], found]) if len(table) else found
        )
        write(TABLE, table.to_csv(index=False))
        print(found.groupby("candidate").macro_f1.mean().round(3).to_dict(), flush=True)


if __name__ == "__main__":
    main()

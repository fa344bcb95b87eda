"""The trainings that take hours. Their results are shipped, so that nobody has to repeat them.

``python -m xai_utils.experiments vgg7`` trains the VGG-7 from several seeds and ships the one with
the best validation score; ``grouped`` cross-validates the same recipe, shortened, by parent image
and by slide; ``shallow_cnn`` compares the recipes of the 1-D CNN. What an interrupted run has
finished stays under ``results/training``, and the same command goes on there.
"""

import argparse
import json
import shutil
from dataclasses import replace

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GroupKFold

from xai_utils import training
from xai_utils.data import hmt, mnist1d
from xai_utils.models import WEIGHTS, predict, shipped_weights
from xai_utils.results import output_root, write

SIGNAL_RECIPES = {"course": training.COURSE, "strong": training.STRONG}
SIGNAL_SEEDS, TISSUE_SEEDS = range(5), range(3)
GROUPED_RECIPE = replace(training.VGG7, epochs=30)
GROUPS = {"by_parent": hmt.parent_images, "by_slide": hmt.slides}
FOLDS = 5


def compare_recipes(folder):
    """Train the 1-D CNN with every recipe and seed; write down how it did."""
    data = mnist1d.load()

    def train(recipe, seed):
        model, history = training.train_shallow_cnn(data.train, SIGNAL_RECIPES[recipe], seed=seed)
        return model, _facts(model, data, data.test.x, history, seed)

    results = {
        recipe: [
            _once(folder / f"{recipe}_{seed}.weights.h5", lambda: train(recipe, seed))
            for seed in SIGNAL_SEEDS
        ]
        for recipe in SIGNAL_RECIPES
    }
    write(WEIGHTS / "shallow_cnn_seeds.json", json.dumps(results, indent=1) + "\n")


def train_tissue(data, folder):
    """Train the VGG-7 from every seed; ship the weights with the best validation accuracy."""
    tiles = training.unit_range(data.test.x)

    def train(seed):
        model, history = training.train_vgg7(
            data.train, training.VGG7, seed=seed, checkpoint=folder / f"seed_{seed}.keras"
        )
        return model, _facts(model, data, tiles, history, seed)

    paths = [folder / f"seed_{seed}.weights.h5" for seed in TISSUE_SEEDS]
    results = [_once(path, lambda: train(seed)) for path, seed in zip(paths, TISSUE_SEEDS)]
    scores = [facts["validation_accuracy"] for facts in results]
    best = int(np.argmax(scores))
    seeds = [
        {key: facts[key] for key in ("seed", "validation_accuracy", "test_accuracy")}
        for facts in results
    ]
    shipped = shipped_weights(data.source)
    shutil.copy(paths[best], shipped)
    made = json.dumps(results[best] | {"seeds": seeds}, indent=1)
    write(training.provenance_path(shipped), made + "\n")


def cross_validate(data, folder):
    """Train on four fifths of the parent images, then of the slides; score the tiles of the rest."""
    every = data.train.join(data.test)

    def train(held_out, path):
        checkpoint = path.with_name(path.name.replace(".weights.h5", ".keras"))
        model, history = training.train_vgg7(
            every, GROUPED_RECIPE, seed=0, held_out=held_out, checkpoint=checkpoint
        )
        predicted = predict(model, training.unit_range(every.x[held_out])).argmax(axis=1)
        present = np.unique(every.y[held_out])
        return model, {
            "history": history,
            "tiles": len(held_out),
            "classes": len(present),
            "accuracy": accuracy_score(every.y[held_out], predicted),
            "macro_f1": f1_score(every.y[held_out], predicted, labels=present, average="macro"),
        }

    results = {}
    for name, group_of in GROUPS.items():
        groups = group_of(every.names)
        for fold, (_, held_out) in enumerate(GroupKFold(FOLDS).split(every.y, groups=groups)):
            path = folder / f"{name}_{fold}.weights.h5"
            results.setdefault(name, []).append(_once(path, lambda: train(held_out, path)))
    write(WEIGHTS / "vgg7_hmt_grouped.json", json.dumps(results, indent=1) + "\n")


def _once(path, train):
    """The provenance of the weights at ``path``, trained first if they are not there."""
    if not path.exists():
        model, facts = train()
        training.save(model, path, **facts)
    return json.loads(training.provenance_path(path).read_text())


def _facts(model, data, x, history, seed):
    predicted = predict(model, x).argmax(axis=1)
    return {
        "seed": seed,
        "data": data.source,
        "data_sha256": data.train.checksum(),
        "validation_accuracy": history["val_accuracy"][-1],
        "test_accuracy": accuracy_score(data.test.y, predicted),
        "history": history,
    }


def main():
    parser = argparse.ArgumentParser(description="Repeat the long trainings; see the module.")
    parser.add_argument("experiment", choices=["shallow_cnn", "vgg7", "grouped"])
    parser.add_argument("--hmt-dir", help="the tiles, or 'synthetic'")
    options = parser.parse_args()
    folder = output_root() / "results" / "training"
    if options.experiment == "shallow_cnn":
        compare_recipes(folder / "shallow_cnn")
        return
    data = hmt.load(options.hmt_dir)
    if options.experiment == "vgg7":
        train_tissue(data, folder / f"vgg7_{data.source}")
    else:
        cross_validate(data, folder / "grouped")


if __name__ == "__main__":
    main()

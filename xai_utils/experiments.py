"""The trainings that take hours: every seed, every recipe, and grouped cross-validation.

Their results are shipped in ``data/weights``, so that nobody has to repeat them. To repeat one,
``python -m xai_utils.experiments recipes|seeds|grouped``. What an interrupted run has finished
stays under ``results/training``, and the same command goes on there.
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
SEEDS = {"shallow_cnn": 5, "vgg7_hmt": 3, "vgg7_synthetic": 1}
GROUPED_RECIPE = replace(training.VGG7, epochs=16)
GROUPS = {"by_parent": hmt.parent_images, "by_slide": hmt.slides}
FOLDS = 5


def compare_recipes():
    """Train the 1-D CNN with every recipe and seed: ``{recipe: [facts of a seed, …]}``."""
    data = mnist1d.load()

    def train(recipe, seed):
        model, history = training.train_shallow_cnn(data.train, SIGNAL_RECIPES[recipe], seed=seed)
        return model, _facts(model, data, data.test.x, history, seed)

    return {
        recipe: [
            _once(_work(f"shallow_cnn_{recipe}_{seed}"), lambda: train(recipe, seed))
            for seed in range(SEEDS["shallow_cnn"])
        ]
        for recipe in SIGNAL_RECIPES
    }


def train_seeds(data):
    """Train the VGG-7 from every seed: the weight file of the best, and the facts of all.

    The best is the seed with the highest accuracy on the held-out parent images.
    """
    name, tiles = _name(data), training.unit_range(data.test.x)

    def train(seed, path):
        model, history = training.train_vgg7(
            data.train, training.VGG7, seed=seed, checkpoint=path.with_suffix(".keras")
        )
        facts = {"convolutions": training.convolution_dtype()}
        return model, facts | _facts(model, data, tiles, history, seed)

    paths = [_work(f"{name}_{seed}") for seed in range(SEEDS[name])]
    seeds = [_once(path, lambda: train(seed, path)) for seed, path in enumerate(paths)]
    best = int(np.argmax([facts["validation_accuracy"] for facts in seeds]))
    return paths[best], seeds


def cross_validate(data):
    """Train on four fifths of the parent images, then of the slides, and score the tiles of the rest.

    Returns ``{grouping: [facts of a fold, …]}``. The F1 is the mean over the classes that a fold
    shows.
    """
    every = data.train.join(data.test)

    def train(held_out, path):
        model, history = training.train_vgg7(
            every,
            GROUPED_RECIPE,
            seed=0,
            held_out=held_out,
            checkpoint=path.with_suffix(".keras"),
        )
        predicted = predict(model, training.unit_range(every.x[held_out])).argmax(axis=1)
        present = np.unique(every.y[held_out])
        return model, {
            "epochs": GROUPED_RECIPE.epochs,
            "tiles": len(held_out),
            "classes": len(present),
            "accuracy": accuracy_score(every.y[held_out], predicted),
            "macro_f1": f1_score(every.y[held_out], predicted, labels=present, average="macro"),
            "history": history,
        }

    results = {}
    for grouping, groups_of in GROUPS.items():
        folds = GroupKFold(FOLDS).split(every.y, groups=groups_of(every.names))
        for fold, (_, held_out) in enumerate(folds):
            path = _work(f"{_name(data)}_{grouping}_{fold}")
            results.setdefault(grouping, []).append(_once(path, lambda: train(held_out, path)))
    return results


def shipped(name):
    """The recorded results of a long training: ``recipes``, ``seeds`` or ``grouped``."""
    return json.loads((WEIGHTS / f"{name}.json").read_text())


def _name(data):
    return shipped_weights(data.source).name.removesuffix(".weights.h5")


def _work(name):
    """Where a training under way leaves its weights."""
    return output_root() / "results" / "training" / f"{name}.weights.h5"


def _once(path, train):
    """What is recorded beside the weights at ``path``, which are trained if they are not there."""
    if not path.exists():
        model, facts = train()
        training.save(model, path, **facts)
    return json.loads(training.provenance_path(path).read_text())


def _facts(model, data, x, history, seed):
    return {
        "seed": seed,
        "epochs": len(history["loss"]),
        "data": data.source,
        "data_sha256": data.train.checksum(),
        "validation_accuracy": history["val_accuracy"][-1],
        "test_accuracy": accuracy_score(data.test.y, predict(model, x).argmax(axis=1)),
        "history": history,
    }


def main():
    parser = argparse.ArgumentParser(description="Repeat a long training and ship its results.")
    parser.add_argument("experiment", choices=["recipes", "seeds", "grouped"])
    parser.add_argument("--hmt-dir", help="the tiles, or 'synthetic'")
    options = parser.parse_args()
    if options.experiment == "recipes":
        results, name = compare_recipes(), "shallow_cnn_recipes"
    else:
        data = hmt.load(options.hmt_dir)
        name = f"{_name(data)}_{options.experiment}"
        if options.experiment == "grouped":
            results = cross_validate(data)
        else:
            best, results = train_seeds(data)
            shutil.copy(best, shipped_weights(data.source))
            shutil.copy(
                training.provenance_path(best),
                training.provenance_path(shipped_weights(data.source)),
            )
    write(WEIGHTS / f"{name}.json", json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

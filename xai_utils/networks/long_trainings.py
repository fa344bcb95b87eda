"""The trainings of the study, each kept under all that it depends on.

A training is known by its recipe, seed, data, code and versions, and is found again by these: what
was trained once is not trained again, and another recipe never finds the result of the first. One
that was interrupted goes on after its last epoch, where it takes long. The results of those that
take hours are shipped in ``data/weights``; to repeat them,
``python -m xai_utils.networks.long_trainings recipes|seeds|grouped``.
"""

import argparse
import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GroupKFold

from xai_utils.data import hmt, mnist1d, unit_range
from xai_utils.models import predict
from xai_utils.networks import recipes, training
from xai_utils.networks.weights import WEIGHTS, provenance_path, save, shipped_weights
from xai_utils.run.files import write
from xai_utils.run.store import TRAININGS, described, digest

SIGNAL_RECIPES = {"course": recipes.COURSE, "strong": recipes.STRONG}
SEEDS = {"shallow_cnn": 5, "vgg7_hmt": 3, "vgg7_synthetic": 1}
GROUPED_RECIPE = replace(recipes.VGG7, epochs=16)
GROUPS = {"by_parent": hmt.parent_images, "by_slide": hmt.slides}
FOLDS = 5


def train_signals(data, recipe, seed):
    """The 1-D CNN trained on MNIST-1D: the path of its weights, and the facts recorded with them."""

    def train(path):
        model, history = training.train_shallow_cnn(data.train, recipe, seed=seed)
        return model, _facts(model, data, data.test.x, history, seed)

    functions = training.train_shallow_cnn, train_signals
    return _once("shallow_cnn", functions, recipe, seed, data.train, train)


def compare_recipes():
    """Train the 1-D CNN with every recipe and seed: ``{recipe: [facts of a seed, …]}``."""
    data, seeds = mnist1d.load(), range(SEEDS["shallow_cnn"])
    return {
        name: [train_signals(data, recipe, seed)[1] for seed in seeds]
        for name, recipe in SIGNAL_RECIPES.items()
    }


def train_seeds(data):
    """Train the VGG-7 from every seed: the weight file of the best, and the facts of all.

    The best is the seed with the highest accuracy on the held-out parent images.
    """
    name, tiles = _name(data), unit_range(data.test.x)

    def train(seed, path):
        model, history = training.train_vgg7(
            data.train, recipes.VGG7, seed=seed, checkpoint=path.with_suffix(".keras")
        )
        return model, _facts(model, data, tiles, history, seed)

    functions = training.train_vgg7, train_seeds
    found = [
        _once(name, functions, recipes.VGG7, seed, data.train, partial(train, seed))
        for seed in range(SEEDS[name])
    ]
    paths, seeds = zip(*found)
    best = int(np.argmax([facts["validation_accuracy"] for facts in seeds]))
    return paths[best], list(seeds)


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
        predicted = predict(model, unit_range(every.x[held_out])).argmax(axis=1)
        present = np.unique(every.y[held_out])
        return model, {
            "epochs": GROUPED_RECIPE.epochs,
            "tiles": len(held_out),
            "classes": len(present),
            "accuracy": accuracy_score(every.y[held_out], predicted),
            "macro_f1": f1_score(every.y[held_out], predicted, labels=present, average="macro"),
            "history": history,
        }

    functions, results = (training.train_vgg7, cross_validate), {}
    for grouping, groups_of in GROUPS.items():
        folds = GroupKFold(FOLDS).split(every.y, groups=groups_of(every.names))
        for fold, (_, held_out) in enumerate(folds):
            _, facts = _once(
                f"{_name(data)}_{grouping}_{fold}", functions, GROUPED_RECIPE, 0, every,
                partial(train, held_out), held_out=digest(held_out),
            )  # fmt: skip
            results.setdefault(grouping, []).append(facts)
    return results


def shipped(name):
    """The recorded results of a long training: ``recipes``, ``seeds`` or ``grouped``."""
    return json.loads((WEIGHTS / f"{name}.json").read_text())


def _name(data):
    return shipped_weights(data.source).name.removesuffix(".weights.h5")


def _once(name, functions, recipe, seed, samples, train, **more):
    """The weights that ``train(path)`` gives and what is recorded beside them; trained if missing.

    ``functions`` are those whose code counts: the training, and what calls it and measures the result.
    """
    trains, measures = functions
    code = dict.fromkeys([trains, recipe.optimizer, recipe.augment], ())
    code[measures] = ("_once", "training", "recipes", "SEEDS", "GROUPED_RECIPE")
    about, folder = described(
        TRAININGS, name, code,
        epochs=recipe.epochs, crop=recipe.crop, seed=seed, data=samples.checksum(),
        convolutions=training.convolution_dtype(), **more,
    )  # fmt: skip
    path = folder / f"{name}.weights.h5"
    if not path.exists():
        write(folder / "about.json", json.dumps(about, indent=1))
        model, facts = train(path)
        save(model, path, **facts, convolutions=about["convolutions"])
    return path, json.loads(provenance_path(path).read_text())


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
            shutil.copy(provenance_path(best), provenance_path(shipped_weights(data.source)))
    write(WEIGHTS / f"{name}.json", json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

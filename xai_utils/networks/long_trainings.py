"""The trainings of the study, each kept under all that it depends on.

A training is known by its recipe, seed, data, code and versions, and is found again by these: what
was trained once is not trained again, and another recipe never finds the result of the first. One
that was interrupted goes on after its last epoch, where it takes long. The results of those that
take hours are shipped in ``data/weights``; to repeat them,
``python -m xai_utils.networks.long_trainings recipes|seeds|grouped|blackened``.
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
from xai_utils.networks.weights import (
    WEIGHTS,
    WeightsError,
    provenance_path,
    save,
    shipped_weights,
)
from xai_utils.run.files import REPOSITORY, write
from xai_utils.run.store import TRAININGS, described, digest

SIGNAL_RECIPES = {"course": recipes.COURSE, "strong": recipes.STRONG}
SEEDS = {
    "shallow_cnn": 5, "vgg7_hmt": 3, "vgg7_synthetic": 3, "vgg7_hmt_short": 1, "vgg7_hmt_blackened": 1,
}  # fmt: skip
GROUPED_RECIPE = replace(recipes.VGG7, epochs=60)
# On the split of the data: without, and with tiles of which a part is black.
BLACKENED = {
    "vgg7_hmt_short": GROUPED_RECIPE,
    "vgg7_hmt_blackened": replace(GROUPED_RECIPE, augment=recipes.augment_blackened),
}
GROUPS = {"by_parent": hmt.parent_images, "by_slide": hmt.slides}
FOLDS = 5
# What others score on these folds: the VGG-7 as it was trained before, and a pretrained network.
REFERENCES = REPOSITORY / "data" / "hmt_references.csv"
# Recipes that were tried on slides held out: benchmarks/tissue_recipes.py.
CANDIDATES = REPOSITORY / "data" / "hmt_candidates.csv"


def train_signals(data, recipe, seed):
    """The 1-D CNN trained on MNIST-1D: the path of its weights, and the facts recorded with them."""

    def train(path):
        model, history = training.train_shallow_cnn(data.train, recipe, seed=seed)
        return model, _facts(model, data, data.test.x, history, seed)

    functions = training.train_shallow_cnn, train_signals
    return _once("shallow_cnn", functions, recipe, seed, data.train, train)


def train_every_signal_seed(recipe=recipes.STRONG):
    """The 1-D CNN trained from every seed, as :func:`train_signals` gives it."""
    data = mnist1d.load()
    return [train_signals(data, recipe, seed) for seed in range(SEEDS["shallow_cnn"])]


def compare_recipes():
    """Train the 1-D CNN with every recipe and seed: ``{recipe: [facts of a seed, …]}``."""
    return {
        name: [facts for _, facts in train_every_signal_seed(recipe)]
        for name, recipe in SIGNAL_RECIPES.items()
    }


def train_every_seed(data):
    """The VGG-7 trained from every seed: of each the path of its weights, and the facts recorded."""
    name = name_of(data.source)
    return [_train_tissue(data, name, recipes.VGG7, seed) for seed in range(SEEDS[name])]


def train_blackened(data):
    """The VGG-7 trained by each of :data:`BLACKENED`: ``{name: (path, facts)}``, as above."""
    return {name: _train_tissue(data, name, recipe, seed=0) for name, recipe in BLACKENED.items()}


def _train_tissue(data, name, recipe, seed):
    held_out = training.hold_out_images(data.train)
    kept = np.setdiff1d(np.arange(len(data.train)), held_out)

    def train(path):
        model, history = training.train_vgg7(
            data.train.take(kept),
            recipe,
            seed=seed,
            held_out=data.train.take(held_out),
            checkpoint=path.with_suffix(".keras"),
        )
        return model, _facts(model, data, unit_range(data.test.x), history, seed)

    functions = training.train_vgg7, _train_tissue
    return _once(name, functions, recipe, seed, data.train, train)


def best(seeds):
    """The one of several trainings, pairs of a path and facts, that does best on what was held out."""
    return max(seeds, key=lambda pair: pair[1]["validation_accuracy"])


def cross_validate(data):
    """Train on four fifths of the parent images, then of the slides, and score the tiles of the rest.

    Returns ``{grouping: [facts of a fold, …]}``. The F1 is the mean over the classes that a fold
    shows.
    """
    every = data.train.join(data.test)

    def train(kept, held_out, path):
        checkpoint = path.with_suffix(".keras")
        model, _ = training.train_vgg7(every.take(kept), GROUPED_RECIPE, seed=0, checkpoint=checkpoint)
        predicted = predict(model, unit_range(every.x[held_out])).argmax(axis=1)
        present = np.unique(every.y[held_out])
        return model, {
            "tiles": len(held_out),
            "classes": len(present),
            "accuracy": accuracy_score(every.y[held_out], predicted),
            "macro_f1": f1_score(every.y[held_out], predicted, labels=present, average="macro"),
        }

    functions, results = (training.train_vgg7, cross_validate), {}
    for grouping, groups_of in GROUPS.items():
        folds = GroupKFold(FOLDS).split(every.y, groups=groups_of(every.names))
        for fold, (kept, held_out) in enumerate(folds):
            _, facts = _once(
                f"{name_of(data.source)}_{grouping}_{fold}", functions, GROUPED_RECIPE, 0, every,
                partial(train, kept, held_out), held_out=digest(held_out),
            )  # fmt: skip
            results.setdefault(grouping, []).append(facts)
    return results


def shipped(name):
    """The recorded results of a long training: ``shallow_cnn_recipes`` or ``vgg7_hmt_grouped``."""
    return json.loads((WEIGHTS / f"{name}.json").read_text())


def shipped_seeds(name):
    """What is shipped of every seed of a network: of each the path of its weights, and the facts.

    Raises :class:`WeightsError` where a file is missing.
    """
    paths = [shipped_weights(name, seed) for seed in range(SEEDS[name])]
    for file in (file for path in paths for file in (path, provenance_path(path))):
        if not file.exists():
            raise WeightsError(f"{file} is missing: restore it, or train every seed again")
    return [(path, json.loads(provenance_path(path).read_text())) for path in paths]


def name_of(source):
    """What the VGG-7 trained on tiles of that source is called in the table of seeds."""
    return "vgg7_synthetic" if source == "synthetic" else "vgg7_hmt"


def _once(name, functions, recipe, seed, samples, train, **more):
    """The weights that ``train(path)`` gives and what is recorded beside them; trained if missing.

    ``functions`` are those whose code counts: the training, and what calls it and measures the result.
    """
    trains, measures = functions
    code = dict.fromkeys([trains, recipe.optimizer, recipe.augment], ())
    code[measures] = ("_once", "training", "recipes", "SEEDS", "GROUPED_RECIPE")
    how = {"epochs": recipe.epochs, "crop": recipe.crop, "balance": recipe.balance}
    how["convolutions"] = training.convolution_dtype()
    about, folder = described(TRAININGS, name, code, seed=seed, data=samples.checksum(), **how, **more)
    path = folder / f"{name}.weights.h5"
    if not path.exists():
        write(folder / "about.json", json.dumps(about, indent=1))
        model, facts = train(path)
        how |= {"optimizer": recipe.optimizer.__name__, "augment": recipe.augment.__name__}
        save(model, path, **facts, **how)
    return path, json.loads(provenance_path(path).read_text())


def _facts(model, data, x, history, seed):
    return {
        "seed": seed,
        "data": data.source,
        "data_sha256": data.train.checksum(),
        "validation_accuracy": history["val_accuracy"][-1],
        "test_accuracy": accuracy_score(data.test.y, predict(model, x).argmax(axis=1)),
        "history": history,
    }


def main():
    parser = argparse.ArgumentParser(description="Repeat a long training and ship its results.")
    parser.add_argument("experiment", choices=["recipes", "seeds", "grouped", "blackened"])
    parser.add_argument("--hmt-dir", help="the tiles, or 'synthetic'")
    options = parser.parse_args()
    if options.experiment == "recipes":
        _ship("shallow_cnn_recipes", compare_recipes())
        _ship_seeds("shallow_cnn", train_every_signal_seed())
        return
    data = hmt.load(options.hmt_dir)
    if options.experiment == "grouped":
        _ship(f"{name_of(data.source)}_grouped", cross_validate(data))
    elif options.experiment == "blackened":
        for name, trained in train_blackened(data).items():
            _ship_seeds(name, [trained])
    else:
        _ship_seeds(name_of(data.source), train_every_seed(data))


def _ship(name, results):
    write(WEIGHTS / f"{name}.json", json.dumps(results, indent=1) + "\n")


def _ship_seeds(name, seeds):
    for seed, (path, _) in enumerate(seeds):
        shutil.copy(path, shipped_weights(name, seed))
        shutil.copy(provenance_path(path), provenance_path(shipped_weights(name, seed)))


if __name__ == "__main__":
    from xai_utils.networks import long_trainings  # whose functions are then found by their module

    long_trainings.main()

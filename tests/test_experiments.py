"""The long trainings, made short: what is chosen, what is kept, what is held apart."""

import dataclasses

import numpy as np
import pytest

from xai_utils import experiments, models, training
from xai_utils.data import Dataset, Samples, hmt, synthetic_tissue

FACTS = {"validation_accuracy", "test_accuracy", "seed", "epochs", "history", "data_sha256"}


@pytest.fixture(scope="module")
def tissue():
    """160 tiles for training and 8 for testing, from 40 images of ten slides."""
    x, y, _ = synthetic_tissue.generate(21, seed=0)
    names = [f"{i}_CRC-Prim-HE-{i % 10 + 1:02}_{i % 40:03}.tif_Row_1_Col_1.tif" for i in range(len(y))]
    every = Samples(x, y, np.array(names))
    is_test = np.arange(len(y)) % 21 == 0
    classes = synthetic_tissue.CLASSES
    return Dataset(every.take(~is_test), every.take(is_test), classes, "synthetic")


@pytest.fixture
def short(monkeypatch, output):
    recipe = dataclasses.replace(training.VGG7, epochs=1, crop=16)
    monkeypatch.setattr(training, "VGG7", recipe)
    monkeypatch.setattr(experiments, "GROUPED_RECIPE", recipe)
    monkeypatch.setitem(experiments.SEEDS, "vgg7_synthetic", 2)
    monkeypatch.setattr(experiments, "FOLDS", 2)


def test_the_seed_with_the_best_validation_score_is_chosen(tissue, short, monkeypatch):
    held_out = iter([0.5, 0.75])

    def train(samples, recipe, *, seed, checkpoint):
        history = {"loss": [1.0], "val_accuracy": [next(held_out)]}
        return models.vgg7(), history

    monkeypatch.setattr(training, "train_vgg7", train)
    path, seeds = experiments.train_seeds(tissue)
    assert path.name == "vgg7_synthetic_1.weights.h5"
    assert [facts["validation_accuracy"] for facts in seeds] == [0.5, 0.75]
    assert all(FACTS <= facts.keys() for facts in seeds)


def test_what_is_trained_is_not_trained_again(tissue, short, monkeypatch):
    monkeypatch.setitem(experiments.SEEDS, "vgg7_synthetic", 1)
    first = experiments.train_seeds(tissue)
    monkeypatch.setattr(training, "train_vgg7", None)
    assert experiments.train_seeds(tissue) == first


def test_no_group_is_on_both_sides_of_a_fold(tissue, short, monkeypatch):
    folds = []

    def train(samples, recipe, *, seed, held_out, checkpoint):
        folds.append((samples, held_out))
        return models.vgg7(), {"loss": [1.0]}

    monkeypatch.setattr(training, "train_vgg7", train)
    results = experiments.cross_validate(tissue)
    assert {name: len(rows) for name, rows in results.items()} == {"by_parent": 2, "by_slide": 2}
    for (samples, held_out), groups_of in zip(folds, [hmt.parent_images] * 2 + [hmt.slides] * 2):
        groups = groups_of(samples.names)
        kept = np.setdiff1d(np.arange(len(samples)), held_out)
        assert len(samples) == 168 and not {*groups[kept]} & {*groups[held_out]}
    for start in (0, 2):
        scored = np.concatenate([held_out for _, held_out in folds[start : start + 2]])
        assert sorted(scored) == list(range(168)), "every tile is scored once"


def test_the_f1_of_a_fold_is_the_mean_over_the_classes_that_it_shows(tissue, short, monkeypatch):
    """A network that always says class 0, on folds of slides that show every class alike."""

    def train(samples, recipe, *, seed, held_out, checkpoint):
        model = models.vgg7()
        weights = [0 * weight for weight in model.get_weights()]
        weights[-1][0] = 1
        model.set_weights(weights)
        return model, {"loss": [1.0]}

    monkeypatch.setattr(training, "train_vgg7", train)
    for row in experiments.cross_validate(tissue)["by_slide"]:
        share = row["accuracy"]
        assert row["macro_f1"] == pytest.approx(2 * share / (1 + share) / row["classes"])


@pytest.mark.parametrize("name", ["vgg7_hmt", "vgg7_synthetic"])
def test_the_shipped_weights_are_those_of_the_best_seed(name):
    seeds = experiments.shipped(f"{name}_seeds")
    assert len(seeds) == experiments.SEEDS[name]
    best = max(seeds, key=lambda facts: facts["validation_accuracy"])
    assert experiments.shipped(name)["seed"] == best["seed"]
    assert {facts["data_sha256"] for facts in seeds} == {best["data_sha256"]}


def test_the_shipped_recipes_have_five_seeds_each():
    recipes = experiments.shipped("shallow_cnn_recipes")
    assert {name: len(seeds) for name, seeds in recipes.items()} == {"course": 5, "strong": 5}


def test_the_shipped_folds_score_every_tile_once():
    grouped = experiments.shipped("vgg7_hmt_grouped")
    tiles = {name: [fold["tiles"] for fold in folds] for name, folds in grouped.items()}
    assert tiles.keys() == experiments.GROUPS.keys()
    assert all(len(counts) == 5 and sum(counts) == 5000 for counts in tiles.values())

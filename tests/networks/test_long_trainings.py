"""The long trainings, made short: what is chosen, what is kept, what is held apart."""

import dataclasses
import runpy

import numpy as np
import pytest

from xai_utils.data import Dataset, Samples, hmt, mnist1d, synthetic_tissue
from xai_utils.networks import long_trainings, recipes, training, weights
from xai_utils.networks.architectures import shallow_cnn, vgg7
from xai_utils.networks.weights import load_weights
from xai_utils.run import store

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
    recipe = dataclasses.replace(recipes.VGG7, epochs=1, crop=8)
    monkeypatch.setattr(recipes, "VGG7", recipe)
    monkeypatch.setattr(long_trainings, "GROUPED_RECIPE", recipe)
    monkeypatch.setitem(long_trainings.SEEDS, "vgg7_synthetic", 2)
    monkeypatch.setattr(long_trainings, "FOLDS", 2)


def replace_training(monkeypatch, name, train):
    """Train with ``train`` in the place of a function of the package, whose code counts as before."""
    train.__module__, train.__qualname__ = training.__name__, name
    monkeypatch.setattr(training, name, train)


def never(*_, **__):
    pytest.fail("it was trained again")


def test_the_seed_with_the_best_validation_score_is_chosen(tissue, short, monkeypatch):
    scores = iter([0.5, 0.75])

    def train(samples, recipe, *, seed, held_out, checkpoint):
        history = {"loss": [1.0], "val_accuracy": [next(scores)]}
        return vgg7(), history

    replace_training(monkeypatch, "train_vgg7", train)
    seeds = long_trainings.train_every_seed(tissue)
    path, facts = long_trainings.best(seeds)
    assert path.name == "vgg7_synthetic.weights.h5" and facts["seed"] == 1
    assert [facts["validation_accuracy"] for _, facts in seeds] == [0.5, 0.75]
    assert all(facts.keys() >= FACTS for _, facts in seeds)


def test_no_parent_image_is_both_trained_on_and_held_out(tissue, short, monkeypatch):
    parts = []

    def train(samples, recipe, *, seed, held_out, checkpoint):
        parts.append((samples, held_out))
        return vgg7(), {"loss": [1.0], "val_accuracy": [1.0]}

    replace_training(monkeypatch, "train_vgg7", train)
    long_trainings.train_every_seed(tissue)
    for kept, held_out in parts:
        assert len(kept) + len(held_out) == len(tissue.train)
        assert not {*hmt.parent_images(kept.names)} & {*hmt.parent_images(held_out.names)}


def test_what_is_trained_is_not_trained_again(tissue, short, monkeypatch):
    monkeypatch.setitem(long_trainings.SEEDS, "vgg7_synthetic", 1)
    first = long_trainings.train_every_seed(tissue)
    replace_training(monkeypatch, "train_vgg7", never)
    assert long_trainings.train_every_seed(tissue) == first


@pytest.mark.parametrize("experiment", ["recipes", "seeds", "grouped", "blackened"])
def test_the_command_ships_what_was_trained(
    experiment, tissue, short, trainings, monkeypatch, tmp_path
):
    """Run as a script, as people do: functions of a script have no module of their own."""
    shipped = tmp_path / "weights"
    monkeypatch.setattr(weights, "WEIGHTS", shipped)
    monkeypatch.setattr(long_trainings, "WEIGHTS", shipped)
    shipped.mkdir()
    monkeypatch.setattr(hmt, "load", lambda asked: tissue)

    def train(samples, recipe, *, seed, held_out=None, checkpoint):
        return vgg7(), {"loss": [1.0], "val_accuracy": [0.5]}

    replace_training(monkeypatch, "train_vgg7", train)
    monkeypatch.setattr("sys.argv", ["long_trainings", experiment])
    runpy.run_path(long_trainings.__file__, run_name="__main__")
    names = {"recipes": "shallow_cnn", "seeds": "vgg7_synthetic"}
    name = names.get(experiment)
    expected = {
        f"{name}_{seed}.{suffix}"
        for seed in range(long_trainings.SEEDS.get(name, 0))
        for suffix in ("json", "weights.h5")
    }
    expected |= {
        "recipes": {"shallow_cnn_recipes.json"},
        "grouped": {"vgg7_synthetic_grouped.json"},
        "blackened": {
            f"vgg7_hmt_{how}_0.{suffix}"
            for how in ("short", "blackened")
            for suffix in ("json", "weights.h5")
        },
    }.get(experiment, set())
    assert {file.name for file in shipped.iterdir()} == expected


@pytest.fixture(scope="module")
def signals():
    data = mnist1d.load()
    few, tested = data.train.take(slice(0, 64)), data.test.take(slice(0, 16))
    return dataclasses.replace(data, train=few, test=tested)


@pytest.fixture
def trainings(monkeypatch, output):
    """What the 1-D CNN was trained with, a row a training; it gets other weights every time."""
    made = []

    def train(samples, recipe, *, seed):
        made.append((samples, recipe, seed))
        return shallow_cnn(), {"loss": recipe.epochs * [1.0], "val_accuracy": [0.5]}

    replace_training(monkeypatch, "train_shallow_cnn", train)
    return made


RECIPE = dataclasses.replace(recipes.STRONG, epochs=2)


def changed(recipe=RECIPE, **how):
    return dataclasses.replace(recipe, **how)


def test_a_training_lies_in_the_store_and_is_found_again(signals, trainings, output):
    path, facts = long_trainings.train_signals(signals, RECIPE, 0)
    place = path.relative_to(output).as_posix()
    assert place.startswith("results/store/trainings/shallow_cnn-")
    assert place.endswith("/shallow_cnn.weights.h5")
    assert facts.keys() >= FACTS and (facts["seed"], facts["epochs"]) == (0, 2)
    before = path.read_bytes()
    assert long_trainings.train_signals(signals, changed(), 0) == (path, facts)
    assert len(trainings) == 1 and path.read_bytes() == before


@pytest.mark.parametrize(
    "recipe, seed",
    [
        (changed(epochs=3), 0),
        (changed(optimizer=recipes.sgd), 0),
        (changed(augment=recipes.as_they_are), 0),
        (changed(crop=16), 0),
        (changed(balance=0.5), 0),
        (RECIPE, 1),
    ],
    ids=["epochs", "optimizer", "augmentation", "crop", "balance", "seed"],
)
def test_another_recipe_or_seed_is_trained_anew(signals, trainings, recipe, seed):
    first = long_trainings.train_signals(signals, RECIPE, 0)
    other = long_trainings.train_signals(signals, recipe, seed)
    assert [row[1:] for row in trainings] == [(RECIPE, 0), (recipe, seed)]
    assert (other[1]["epochs"], other[1]["seed"]) == (recipe.epochs, seed)
    assert other[0] != first[0] and other[0].read_bytes() != first[0].read_bytes()
    assert long_trainings.train_signals(signals, RECIPE, 0) == first, "the first one is still there"
    assert len(trainings) == 2


@pytest.mark.parametrize("what", ["signals", "labels"])
def test_other_data_are_trained_anew(signals, trainings, what):
    train = signals.train
    if what == "signals":
        other = dataclasses.replace(train, x=train.x + np.float32(1e-6))
    else:
        other = dataclasses.replace(train, y=np.roll(train.y, 1))
    long_trainings.train_signals(signals, RECIPE, 0)
    long_trainings.train_signals(dataclasses.replace(signals, train=other), RECIPE, 0)
    assert len(trainings) == 2 and trainings[1][0] is other


@pytest.mark.parametrize(
    "module, before, after, times",
    [
        ("training", "BATCH_SIZE = 32", "BATCH_SIZE = 16", 2),
        ("training", "len(order) // 10", "len(order) // 5", 2),
        ("recipes", "CosineDecay(3e-3", "CosineDecay(1e-3", 2),  # the optimizer
        ("recipes", "rng.normal(0, 0.05", "rng.normal(0, 0.1", 2),  # the augmentation
        ("architectures", "Conv1D(25, 5", "Conv1D(25, 7", 2),
        ("training", "# NumPy's float32 sum", "# The sum in float32", 1),
        ("training", "min(256, len(kept))", "min(512, len(kept))", 1),  # of the VGG-7 only
        ("recipes", "optimizers.SGD(0.01)", "optimizers.SGD(0.1)", 1),  # of another recipe
    ],
)
def test_other_code_of_the_training_trains_anew(signals, trainings, edit, module, before, after, times):
    long_trainings.train_signals(signals, RECIPE, 0)
    edit(f"networks.{module}", before, after)
    long_trainings.train_signals(signals, RECIPE, 0)
    assert len(trainings) == times


def test_other_versions_and_another_precision_train_anew(signals, trainings, monkeypatch):
    long_trainings.train_signals(signals, RECIPE, 0)
    monkeypatch.setattr(store, "versions", lambda: {"keras": "0.1"})
    long_trainings.train_signals(signals, RECIPE, 0)
    assert len(trainings) == 2
    other = {"float32", "mixed_bfloat16"} - {training.convolution_dtype()}
    monkeypatch.setattr(training, "convolution_dtype", other.pop)
    long_trainings.train_signals(signals, RECIPE, 0)
    assert len(trainings) == 3


def test_a_training_that_fails_leaves_nothing_to_be_found(signals, trainings, monkeypatch):
    works = training.train_shallow_cnn

    def fails(samples, recipe, *, seed):
        raise KeyboardInterrupt

    replace_training(monkeypatch, "train_shallow_cnn", fails)
    with pytest.raises(KeyboardInterrupt):
        long_trainings.train_signals(signals, RECIPE, 0)
    monkeypatch.setattr(training, "train_shallow_cnn", works)
    long_trainings.train_signals(signals, RECIPE, 0)
    assert len(trainings) == 1


def test_the_weights_found_are_those_of_the_scores_beside_them(signals, output):
    """A real training, whose accuracy on the test signals is counted again here."""
    path, facts = long_trainings.train_signals(signals, changed(epochs=1), 0)
    predicted = load_weights(shallow_cnn(), path).predict(signals.test.x, verbose=0).argmax(axis=1)
    assert facts["test_accuracy"] == np.mean(predicted == signals.test.y)


def test_no_group_is_on_both_sides_of_a_fold(tissue, short, monkeypatch):
    folds = []

    def train(samples, recipe, *, seed, checkpoint):
        folds.append(samples)
        return vgg7(), {"loss": [1.0]}

    replace_training(monkeypatch, "train_vgg7", train)
    results = long_trainings.cross_validate(tissue)
    assert {name: len(rows) for name, rows in results.items()} == {"by_parent": 2, "by_slide": 2}
    every = tissue.train.join(tissue.test)
    for kept, groups_of in zip(folds, [hmt.parent_images] * 2 + [hmt.slides] * 2):
        held_out = np.setdiff1d(every.names, kept.names)
        assert held_out.size and not {*groups_of(kept.names)} & {*groups_of(held_out)}
    for start in (0, 2):
        scored = [np.setdiff1d(every.names, kept.names) for kept in folds[start : start + 2]]
        assert sorted(np.concatenate(scored)) == sorted(every.names), "every tile is scored once"


def test_the_f1_of_a_fold_is_the_mean_over_the_classes_that_it_shows(tissue, short, monkeypatch):
    """A network that always says class 0, on folds of slides that show every class alike."""

    def train(samples, recipe, *, seed, checkpoint):
        model = vgg7()
        weights = [0 * weight for weight in model.get_weights()]
        weights[-1][0] = 1
        model.set_weights(weights)
        return model, {"loss": [1.0]}

    replace_training(monkeypatch, "train_vgg7", train)
    for row in long_trainings.cross_validate(tissue)["by_slide"]:
        share = row["accuracy"]
        assert row["macro_f1"] == pytest.approx(2 * share / (1 + share) / row["classes"])


@pytest.mark.parametrize("name", long_trainings.SEEDS)
def test_every_seed_is_shipped_with_how_it_was_made(name):
    seeds = long_trainings.shipped_seeds(name)
    assert [facts["seed"] for _, facts in seeds] == list(range(long_trainings.SEEDS[name]))
    own = {"shallow_cnn": recipes.STRONG, **long_trainings.BLACKENED}
    recipe = own.get(name, recipes.VGG7)
    for path, facts in seeds:
        load_weights(shallow_cnn() if name == "shallow_cnn" else vgg7(), path)
        assert facts.keys() >= FACTS | {"convolutions", "python", "tensorflow", "keras"}
        assert (facts["epochs"], facts["balance"]) == (recipe.epochs, recipe.balance)
        assert (facts["crop"], len(facts["history"]["loss"])) == (recipe.crop, recipe.epochs)
        assert (facts["optimizer"], facts["augment"]) == ("adamw", recipe.augment.__name__)
    assert len({facts["data_sha256"] for _, facts in seeds}) == 1
    assert len({path.read_bytes() for path, _ in seeds}) == len(seeds)


def test_the_shipped_signal_networks_score_what_is_recorded():
    test = mnist1d.load().test
    for path, facts in long_trainings.shipped_seeds("shallow_cnn"):
        predicted = load_weights(shallow_cnn(), path).predict(test.x, verbose=0).argmax(axis=1)
        assert np.mean(predicted == test.y) == pytest.approx(facts["test_accuracy"], abs=0.0011)


def test_the_shipped_recipes_have_five_seeds_each():
    shipped = long_trainings.shipped("shallow_cnn_recipes")
    assert {name: len(seeds) for name, seeds in shipped.items()} == {"course": 5, "strong": 5}
    own = [facts["test_accuracy"] for _, facts in long_trainings.shipped_seeds("shallow_cnn")]
    assert [facts["test_accuracy"] for facts in shipped["strong"]] == own


def test_the_shipped_folds_score_every_tile_once():
    grouped = long_trainings.shipped("vgg7_hmt_grouped")
    tiles = {name: [fold["tiles"] for fold in folds] for name, folds in grouped.items()}
    assert tiles.keys() == long_trainings.GROUPS.keys()
    assert all(len(counts) == 5 and sum(counts) == 5000 for counts in tiles.values())


def test_a_seed_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(long_trainings.SEEDS, "shallow_cnn", 6)
    with pytest.raises(weights.WeightsError, match=r"shallow_cnn_5\S+ is missing: restore it"):
        long_trainings.shipped_seeds("shallow_cnn")

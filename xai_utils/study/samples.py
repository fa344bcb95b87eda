"""The samples of the study: each set with the network that classifies it and the class explained.

``profile`` says how many there are (``samples`` in ``profiles/``), which options the methods have, and
how the networks are trained.
"""

import dataclasses
import functools
import json
import os
from dataclasses import dataclass, field

import keras
import numpy as np

from xai_utils.data import (
    DataError,
    Dataset,
    Samples,
    hmt,
    mnist1d,
    mosaics,
    synthetic_tissue,
    unit_range,
)
from xai_utils.metrics import sanity
from xai_utils.metrics.faithfulness import blurred
from xai_utils.networks import long_trainings, recipes
from xai_utils.networks.architectures import shallow_cnn, vgg7
from xai_utils.networks.weights import course_model, course_path, load_weights
from xai_utils.run.files import file_sha256, profile_section, results, whole, write
from xai_utils.run.store import DATA, described, digest
from xai_utils.study.cases import signals_shown, tiles_shown
from xai_utils.study.maps import firsts, predictions

BATCH = {"mnist1d": 250, "hmt": 32, "pictures": 12}
EMPTY = "08_EMPTY"  # the class of synthetic tissue whose mask is everything
NOISE = 0.02  # the share of an input's range that a prediction should not notice


@dataclass(frozen=True)
class SampleSet:
    """Samples ``(n, …)``, the network that classifies them, and the class ``(n,)`` to explain of each.

    ``options`` are those of the methods, ``fills`` what takes the place of removed points, ``truth``
    where the class stands, bool ``(n, *space)``; ``views`` are the same samples under other
    conditions, ``{condition: (function that gives the network, Samples)}``.
    """

    dataset: str
    model: keras.Model
    samples: Samples
    target: np.ndarray
    options: dict
    fills: dict = field(default_factory=dict)
    truth: np.ndarray | None = None
    views: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.samples)

    @property
    def batch_size(self):
        return BATCH[self.dataset]

    def take(self, places):
        """The same of the samples at ``places``."""
        return dataclasses.replace(
            self,
            samples=self.samples.take(places),
            target=self.target[places],
            truth=None if self.truth is None else self.truth[places],
            views={name: (network, seen.take(places)) for name, (network, seen) in self.views.items()},
        )

    def view(self, name):
        """The samples under one of the conditions. Its network is what it is until another is asked for."""
        network, samples = self.views[name]
        return dataclasses.replace(self, model=network(), samples=samples, views={})


def count(profile, name):
    """How many samples a profile asks for."""
    return profile_section(profile, "samples")[name]


@functools.cache
def signal_data():
    """MNIST-1D, drawn once."""
    return _kept("signals", {mnist1d.load: ()}, mnist1d.load)


@functools.cache
def tissue(profile):
    """The tiles of the run: those that it was started with, or the user's where there is no run.

    Raises DataError where ``XAI_HMT_DIR`` now leads to other tiles than the run has.
    """
    found = results(profile) / "hmt.json"
    run = json.loads(found.read_text()) if found.exists() else None
    asked = os.environ.get("XAI_HMT_DIR") or (run and run["path"])
    data = _tiles_of(asked)
    if run and run["test_sha256"] != data.test.checksum():
        raise DataError(
            f"The run {profile!r} was made with other tiles ({run['source']}) than those of "
            f"{asked} ({data.source}): set XAI_HMT_DIR to {run['path']}, or repeat the run with "
            f"./run_all.sh --profile {profile}"
        )
    return data


def _tiles_of(asked):
    """The tiles as arrays, decoded once."""
    path, source = hmt.find(asked)
    code = {hmt.load: (), synthetic_tissue.load: ()}
    about = {"source": source, "files": digest(hmt.state(path))}
    return _kept("tiles", code, lambda: dataclasses.replace(hmt.load(path), source=source), **about)


def _kept(name, code, make, **about):
    """A data set that is made once: to make it takes longer than many a job computes."""
    about, folder = described(DATA, name, code, **about)
    file = folder / f"{name}.npz"
    if not file.exists():
        data = make()
        write(folder / "about.json", json.dumps(about, indent=1))
        arrays = {
            f"{part} {field}": getattr(getattr(data, part), field)
            for part in ("train", "test")
            for field in ("x", "y", "names")
        }
        with whole(file) as partial:
            np.savez(partial, classes=data.classes, source=data.source, **arrays)
    with np.load(file) as kept:
        train, test = (
            Samples(*(kept[f"{part} {field}"] for field in ("x", "y", "names")))
            for part in ("train", "test")
        )
        return Dataset(train, test, tuple(kept["classes"].tolist()), kept["source"].item())


def retrain(profile):
    """Whether a profile trains the networks again, and explains what was just trained."""
    return profile_section(profile, "networks")["retrain"]


def signal_training(profile):
    """The facts of a training of the 1-D CNN, as long as the profile says, to be looked at."""
    epochs = profile_section(profile, "networks")["signal_epochs"]
    recipe = dataclasses.replace(recipes.STRONG, epochs=epochs)
    return long_trainings.train_signals(signal_data(), recipe, seed=0)[1]


def signal_seeds(profile):
    """The 1-D CNN of every seed: of each the path of its weights, and the facts recorded with them."""
    if retrain(profile):
        return long_trainings.train_every_signal_seed()
    return long_trainings.shipped_seeds("shallow_cnn")


def tissue_seeds(profile):
    """The same of the VGG-7 of the tiles in use."""
    data = tissue(profile)
    if retrain(profile):
        return long_trainings.train_every_seed(data)
    return long_trainings.shipped_seeds(long_trainings.name_of(data.source))


@functools.cache
def signal_network(profile):
    """The 1-D CNN of the seed that does best on held-out signals: the model, the path of its weights,
    and the facts recorded with them."""
    path, facts = long_trainings.best(signal_seeds(profile))
    return load_weights(shallow_cnn(), path), path, facts


@functools.cache
def tissue_network(profile):
    """The same of the VGG-7, on tiles of held-out parent images."""
    path, facts = long_trainings.best(tissue_seeds(profile))
    return load_weights(vgg7(), path), path, facts


@functools.cache
def synthetic_network():
    """The VGG-7 of synthetic tissue."""
    path, _ = long_trainings.best(long_trainings.shipped_seeds("vgg7_synthetic"))
    return load_weights(vgg7(), path)


def options_of(profile, dataset):
    """The options of the methods on a data set, where they are not the default."""
    return profile_section(profile, "options").get(dataset, {})


@functools.cache
def signals(profile):
    """All test signals, explained for the predicted class."""
    data, (model, *_) = signal_data(), signal_network(profile)
    target = predictions(model, data.test, BATCH["mnist1d"]).argmax(axis=1)
    fills = {"black": 0.0, "mean": data.train.x.mean(axis=0), "blur": blurred}
    return SampleSet("mnist1d", model, data.test, target, options_of(profile, "mnist1d"), fills)


@functools.cache
def tiles(profile):
    """The first test tiles of each class, in the standard profile all, for the predicted class."""
    data, (model, *_) = tissue(profile), tissue_network(profile)
    samples = test_tiles(profile)
    samples = samples.take(firsts(samples.y, count(profile, "tiles")))
    target = predictions(model, samples).argmax(axis=1)
    fills = {"black": 0.0, "mean": data.train.x.mean(axis=0) / 255, "blur": blurred}
    return SampleSet("hmt", model, samples, target, options_of(profile, "hmt"), fills)


def answers(own):
    """What the network says of the samples, ``(n, classes)``."""
    return predictions(own.model, own.samples, own.batch_size)


def test_tiles(profile):
    """All test tiles as the networks take them."""
    test = tissue(profile).test
    return Samples(unit_range(test.x), test.y, test.names)


def large_test_tiles(profile):
    """All test tiles as the course enlarged them."""
    test = tissue(profile).test
    return Samples(unit_range(hmt.resize(test.x, hmt.COURSE_SIZE)), test.y, test.names)


def _first(every, number):
    return every.take(firsts(every.samples.y, number))


def signals_few(profile):
    """The signals that the costly methods explain: the first of each class, and those shown."""
    every = signals(profile)
    right, wrong = signals_shown(every.samples.y, answers(every))
    few = firsts(every.samples.y, count(profile, "signals_few"))
    return every.take(np.union1d(few, [*right, *wrong]).astype(int))


def tiles_few(profile):
    """The same of the tiles."""
    every = tiles(profile)
    right, wrong = tiles_shown(every.samples.y, answers(every))
    few = firsts(every.samples.y, count(profile, "tiles_few"))
    return every.take(np.union1d(few, [*right, *wrong]).astype(int))


def signals_audited(profile):
    """The first signals of each class."""
    return _first(signals(profile), count(profile, "signals_audited"))


def signals_again(profile):
    """Those of the audited signals that are explained again, times their map."""
    return _first(signals_audited(profile), count(profile, "signals_again"))


def tiles_audited(profile):
    """The first tiles of each class."""
    return _first(tiles(profile), count(profile, "tiles_audited"))


def tiles_again(profile):
    """Those of the audited tiles that are explained again, times their map."""
    return _first(tiles_audited(profile), count(profile, "tiles_again"))


def tiles_steps(profile):
    """The tiles on which the published comparison is taken apart."""
    return _first(tiles(profile), count(profile, "course_steps"))


def signals_located(profile):
    """Rightly classified signals, and where the template of their class lies."""
    chosen = _first(signals(profile), count(profile, "signals_located"))
    places = firsts(signals(profile).samples.y, count(profile, "signals_located"))
    chosen = dataclasses.replace(chosen, truth=mnist1d.template_intervals()[places])
    return chosen.take(chosen.target == chosen.samples.y)


@functools.cache
def _cells(profile):
    """The middles of the test tiles, and how surely and rightly each is classified."""
    data, (model, *_) = tissue(profile), tissue_network(profile)
    middles = unit_range(hmt.middle(data.test.x, count(profile, "mosaic_cell")))
    cells = Samples(middles, data.test.y, data.test.names)
    probabilities = predictions(model, cells)
    correct = probabilities.argmax(axis=1) == cells.y
    return cells, {"confidence": probabilities.max(axis=1), "correct": correct}


def mosaic(profile):
    """Mosaics of four tiles, in each of which one is explained; the truth is its quarter."""
    cells, sure = _cells(profile)
    samples, truth = mosaics.grid(cells, **sure, count=count(profile, "mosaics"))
    model, *_ = tissue_network(profile)
    return SampleSet("hmt", model, samples, samples.y, options_of(profile, "hmt"), truth=truth)


def mosaic_twice(profile):
    """Mosaics in which the explained class stands twice; the truth is ``(n, 2, *space)``."""
    cells, sure = _cells(profile)
    wanted = count(profile, "mosaics_twice")
    samples, truth = mosaics.grid(cells, **sure, count=wanted, twice=True)
    model, *_ = tissue_network(profile)
    return SampleSet("hmt", model, samples, samples.y, options_of(profile, "hmt"), truth=truth)


def mosaic_images(profile, own):
    """``{mosaic: label}``, the same label where explained tiles share a parent image; None for synthetic
    tissue, whose tiles have none."""
    if tissue(profile).source == "synthetic":
        return None
    shown = mosaics.explained_tiles(own.samples.names, own.truth)
    images = hmt.parent_images(shown.ravel()).reshape(shown.shape)
    return dict(zip(own.samples.names, mosaics.linked(images)))


def synthetic(profile):
    """Rightly classified synthetic tissue, and the mask of the texture that makes its class."""
    drawn, masks = _tiles_of("synthetic").test, synthetic_tissue.test_masks()
    model = synthetic_network()
    places = firsts(drawn.y, count(profile, "synthetic"))
    places = places[drawn.y[places] != synthetic_tissue.CLASSES.index(EMPTY)]
    samples = Samples(unit_range(drawn.x[places]), drawn.y[places], drawn.names[places])
    options = options_of(profile, "hmt")
    every = SampleSet("hmt", model, samples, samples.y, options, truth=masks[places])
    return every.take(predictions(model, samples).argmax(axis=1) == samples.y)


def _with_views(own, draws):
    """The set with the networks that have forgotten, and with noise on its inputs.

    Where all layers have forgotten, their weights are drawn so many times: ``cascading …``, then
    ``cascading … #2`` and on. One copy of the network forgets, each time other layers: its graphs are
    built once.
    """
    copy = sanity.randomized(own.model, [])

    def forgetful(layers, seed=0):
        copy.set_weights(sanity.randomized(own.model, layers, seed).get_weights())
        return copy

    rules = sanity.randomizations(own.model)
    views = {
        name: (functools.partial(forgetful, layers), own.samples) for name, layers in rules.items()
    }
    name, layers = max(rules.items(), key=lambda rule: len(rule[1]))
    for seed in range(1, draws):
        views[f"{name} #{seed + 1}"] = functools.partial(forgetful, layers, seed), own.samples
    x = sanity.with_noise(own.samples.x, NOISE)
    views["noise"] = (lambda: own.model), Samples(x, own.samples.y, own.samples.names)
    return dataclasses.replace(own, views=views)


@functools.cache
def signals_sanity(profile):
    """The first signals of each class, under networks that have forgotten and under noise."""
    own = _first(signals(profile), count(profile, "signals_sanity"))
    return _with_views(own, count(profile, "sanity_draws"))


@functools.cache
def tiles_sanity(profile):
    """The middles of the first tiles of the classes, the same way."""
    data, (model, *_), number = tissue(profile), tissue_network(profile), count(profile, "tiles_sanity")
    some = data.test.take(firsts(data.test.y, -(-number // len(data.classes)))[:number])
    x = unit_range(hmt.middle(some.x, count(profile, "sanity_size")))
    samples = Samples(x, some.y, some.names)
    target = predictions(model, samples).argmax(axis=1)
    own = SampleSet("hmt", model, samples, target, options_of(profile, "hmt"))
    return _with_views(own, count(profile, "sanity_draws"))


def _with_seeds(own, seeds, build):
    """The samples that the networks of all seeds classify alike, as the network of each seed sees them."""
    networks = {facts["seed"]: load_weights(build(), path) for path, facts in seeds}
    answers = [predictions(network, own.samples, own.batch_size) for network in networks.values()]
    alike = np.all(np.stack(answers).argmax(axis=2) == own.target, axis=0)
    views = {
        f"seed {seed}": (lambda network=network: network, own.samples)
        for seed, network in networks.items()
    }
    return dataclasses.replace(own, views=views).take(np.flatnonzero(alike))


@functools.cache
def signals_seeds(profile):
    """The first signals of each class, under the network of every seed."""
    every = _with_seeds(signals(profile), signal_seeds(profile), shallow_cnn)
    return _first(every, count(profile, "signals_seeds"))


@functools.cache
def tiles_seeds(profile):
    """The same of the tiles."""
    every = _with_seeds(tiles(profile), tissue_seeds(profile), vgg7)
    return _first(every, count(profile, "tiles_seeds"))


def course_signals(profile):
    """The test signals and the course's 1-D CNN; None where its weights are not here."""
    model, data = course_model("MNIST1D"), signal_data()
    if model is None:
        return None
    target = predictions(model, data.test, BATCH["mnist1d"]).argmax(axis=1)
    fills = {"black": 0.0, "mean": data.train.x.mean(axis=0)}
    return SampleSet("mnist1d", model, data.test, target, {}, fills)


@functools.cache
def course_tiles(profile):
    """The test tiles as the course enlarged them, and its VGG-7; None without weights or tiles."""
    data = tissue(profile)
    model = course_model("HMT") if data.source != "synthetic" else None
    if model is None:
        return None
    samples = large_test_tiles(profile)
    samples = samples.take(firsts(samples.y, count(profile, "course_tiles")))
    target = predictions(model, samples).argmax(axis=1)
    mean = data.train.x.mean(axis=0)[np.newaxis].round().astype(np.uint8)
    fills = {"black": 0.0, "mean": unit_range(hmt.resize(mean, hmt.COURSE_SIZE))[0]}
    # Twenty passes of Integrated Gradients at most, where the study takes the comparison apart.
    options = {"integrated_gradients": {"limit": 20}}
    return SampleSet("hmt", model, samples, target, options, fills)


def course_steps(profile):
    """The first of these tiles: those on which the comparison is taken apart."""
    every = course_tiles(profile)
    return None if every is None else _first(every, count(profile, "course_steps"))


def signal_recipes(profile):
    """What every seed of every recipe of the 1-D CNN gave, and whether they were trained in this run."""
    if retrain(profile):
        return long_trainings.compare_recipes(), "trained in this run"
    return long_trainings.shipped("shallow_cnn_recipes"), "recorded"


def tissue_folds(profile):
    """What every fold of the VGG-7 gave; None for synthetic tissue, which has no slides."""
    data = tissue(profile)
    if data.source == "synthetic":
        return None
    if retrain(profile):
        return long_trainings.cross_validate(data)
    return long_trainings.shipped("vgg7_hmt_grouped")


def blackened_networks(profile):
    """The VGG-7 of HMT trained without, then with black: ``{name: (path of its weights, facts)}``."""
    if retrain(profile):
        return long_trainings.train_blackened(tissue(profile))
    return {name: long_trainings.shipped_seeds(name)[0] for name in long_trainings.BLACKENED}


def weights(profile):
    """The checksums of the weights in use, ``{network: sha256}``."""
    own = {"shallow_cnn": signal_network(profile)[1], "vgg7": tissue_network(profile)[1]}
    return {name: file_sha256(path) for name, path in own.items()}


def course_weights():
    """The same of the course's, where they are here."""
    paths = {name: course_path(name) for name in ("MNIST1D", "HMT")}
    return {f"course {name}": file_sha256(path) for name, path in paths.items() if path}

import shutil
import tempfile

import keras
import numpy as np
import pytest
from keras import layers

from tests.campaign.reliability import Trials
from xai_utils.run import sources

trials = Trials()
ALONE = ("campaign/test_same.py", "campaign/test_struck.py")


def small_network(dimensions, kind="functional", softmax=True, pooled=False):
    """A network of one convolution with random weights, for signals (40, 1) or images (16, 16, 3).

    ``kind`` is functional, sequential, nested (a model in a model), or .h5 or .keras: saved and
    loaded. With ``pooled`` it ends in global average pooling, as class activation mapping needs.
    """
    keras.utils.set_random_seed(3)
    shape = (40, 1) if dimensions == 1 else (16, 16, 3)
    convolution = layers.Conv1D if dimensions == 1 else layers.Conv2D
    pooling = layers.GlobalAveragePooling1D if dimensions == 1 else layers.GlobalAveragePooling2D
    body = [convolution(4, 3, padding="same", activation="relu", name="conv")]
    head = [
        pooling() if pooled else layers.Flatten(),
        layers.Dense(3, activation="softmax" if softmax else None),
    ]
    if kind == "nested":
        body = [keras.Sequential([keras.Input(shape), *body])]
    if kind in ("sequential", ".h5"):
        model = keras.Sequential([keras.Input(shape), *body, *head])
    else:
        outputs = inputs = keras.Input(shape)
        for layer in [*body, *head]:
            outputs = layer(outputs)
        model = keras.Model(inputs, outputs)
    if kind in (".h5", ".keras"):
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model{kind}")
            model = keras.models.load_model(f"{folder}/model{kind}")
    return model


def some_inputs(dimensions, count=5):
    shape = (count, 40, 1) if dimensions == 1 else (count, 16, 16, 3)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = (
        shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )
    if not chromium:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def output(tmp_path, monkeypatch):
    """A folder that results are written to in place of the repository."""
    monkeypatch.setenv("XAI_OUTPUT", str(tmp_path))
    return tmp_path


@pytest.fixture
def edit(monkeypatch):
    """A function that changes a module's code as it is remembered, as if its file had been edited
    before it was imported; what the module does stays as it is."""

    def change(module, before, after):
        name = f"xai_utils.{module}"
        source = sources.imported()[name]
        assert before in source
        monkeypatch.setitem(sources._imported, name, source.replace(before, after))
        sources._hash_of_imported.cache_clear()

    yield change
    sources._hash_of_imported.cache_clear()


def pytest_addoption(parser):
    parser.addoption(
        "--require-standard-run",
        action="store_true",
        help="fail, not skip, where the standard profile was not run with real tiles and weights",
    )


def pytest_collection_modifyitems(config, items):
    """The campaign is run when it is asked for, by its marker. Files with slow tests come first: the others fill
    up the time of what would be done last, by one process."""
    campaign = {item: item.get_closest_marker("campaign") for item in items}
    for item, marker in campaign.items():
        if marker is not None:
            item.user_properties.append(("campaign", marker.args[0]))
    if "campaign" not in config.option.markexpr:
        items[:] = [item for item in items if campaign[item] is None]
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The tests of a file share a process, but for whole rebuilds of the campaign: those share nothing, and take
    an hour."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return nodeid if file.endswith(ALONE) else file

    return Scheduling(config, log) if config.option.dist == "loadfile" else None


def pytest_configure(config):
    """A campaign leaves its results in the documentation, as they come."""
    trials.page_is_wanted = config.option.markexpr == "campaign" and not hasattr(config, "workerinput")


def pytest_runtest_logreport(report):
    trials.add(report)

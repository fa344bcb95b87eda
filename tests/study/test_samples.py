"""The samples of the study: whose tiles they are, and that sets are parts of each other."""

import json

import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import graphs
from xai_utils.attributions import explain
from xai_utils.data import DataError, Dataset, Samples, hmt, mnist1d, synthetic_tissue
from xai_utils.metrics import sanity
from xai_utils.models import fingerprint
from xai_utils.study import samples


def few_tiles(value=0):
    x = np.full((4, 150, 150, 3), value, np.uint8)
    part = Samples(x, np.array([0, 1, 0, 1]), np.array(list("abcd")))
    return Dataset(part, part, synthetic_tissue.CLASSES, "synthetic")


@pytest.fixture
def run(output):
    """A run of the quick profile on some other tiles."""
    samples.tissue.cache_clear()
    about = {"path": "/tiles", "source": "local", "test_sha256": few_tiles(1).test.checksum()}
    (output / "results/quick").mkdir(parents=True)
    (output / "results/quick/hmt.json").write_text(json.dumps(about))
    yield output
    samples.tissue.cache_clear()


def test_tiles_of_another_source_than_the_runs_are_refused(run, monkeypatch):
    monkeypatch.setattr(samples, "_tiles_of", lambda asked: few_tiles(0))
    monkeypatch.setenv("XAI_HMT_DIR", "synthetic")
    with pytest.raises(
        DataError, match=r"other tiles \(local\) .*synthetic.*: set XAI_HMT_DIR to /tiles"
    ):
        samples.tissue("quick")


def test_without_being_asked_the_tiles_are_those_of_the_run(run, monkeypatch):
    asked = []
    monkeypatch.setattr(samples, "_tiles_of", lambda path: asked.append(path) or few_tiles(1))
    monkeypatch.delenv("XAI_HMT_DIR", raising=False)
    assert len(samples.tissue("quick").test) == 4 and asked == ["/tiles"]
    samples.tissue.cache_clear()
    monkeypatch.setenv("XAI_HMT_DIR", "/elsewhere")  # the same tiles, moved
    samples.tissue("quick")
    assert asked == ["/tiles", "/elsewhere"]


def test_tiles_are_decoded_once_until_a_file_changes(output, monkeypatch):
    folder = output / "tiles" / "01_TUMOR"
    folder.mkdir(parents=True)
    (folder / "a.tif").write_text("first")
    decoded = []
    monkeypatch.setattr(hmt, "find", lambda asked: (str(output / "tiles"), "local"))
    monkeypatch.setattr(hmt, "load", lambda path: decoded.append(path) or few_tiles(7))
    monkeypatch.setattr(samples, "described", _without_code(samples.described))
    for _ in range(2):
        data = samples._tiles_of("anything")
        assert data.source == "local" and data.train.checksum() == few_tiles(7).train.checksum()
    assert len(decoded) == 1
    (folder / "a.tif").write_text("other")
    samples._tiles_of("anything")
    assert len(decoded) == 2


def test_signals_are_drawn_once_and_are_the_official_ones(output, monkeypatch):
    drawn, load = [], mnist1d.load
    monkeypatch.setattr(mnist1d, "load", lambda: drawn.append(1) or load())
    monkeypatch.setattr(samples, "described", _without_code(samples.described))
    for _ in range(2):
        samples.signal_data.cache_clear()
        found = samples.signal_data()
    samples.signal_data.cache_clear()
    expected = load()
    assert len(drawn) == 1
    assert (found.classes, found.source) == (expected.classes, expected.source)
    for part in ("train", "test"):
        own, other = getattr(found, part), getattr(expected, part)
        assert own.checksum() == other.checksum() and np.array_equal(own.names, other.names)


def _without_code(described):
    return lambda kind, name, functions, **facts: described(kind, name, {}, **facts)


def test_a_set_is_taken_with_all_that_belongs_to_it():
    x = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    own = Samples(x, np.array([0, 1, 2]), np.array(list("abc")))
    network = small_network(1)
    views = {"noise": (lambda: network, Samples(x + 1, own.y, own.names))}
    every = samples.SampleSet(
        "mnist1d", small_network(1), own, own.y, {}, truth=np.eye(3, 4, dtype=bool), views=views
    )
    some = every.take(np.array([2, 0]))
    assert some.samples.names.tolist() == ["c", "a"] and some.target.tolist() == [2, 0]
    assert some.truth.argmax(axis=1).tolist() == [2, 0]
    seen = some.view("noise")
    assert seen.model is network and np.array_equal(seen.samples.x, x[[2, 0]] + 1)


def test_each_view_has_the_network_that_forgot_those_layers_and_is_traced_once():
    x, model = some_inputs(1, 2), small_network(1)
    own = Samples(x, np.array([0, 1]), np.array(list("ab")))
    every = samples._with_views(samples.SampleSet("mnist1d", model, own, own.y, {}), draws=3)
    rules, traced = sanity.randomizations(model), set()
    again = [f"{max(rules, key=lambda rule: len(rules[rule]))} #{draw}" for draw in (2, 3)]
    assert every.views.keys() == rules.keys() | {"noise", *again}
    drawn = {fingerprint(every.view(name).model) for name in (again[0][:-3], *again)}
    assert len(drawn) == 3
    for name, layers in rules.items():
        seen, alone = every.view(name), sanity.randomized(model, layers)
        assert fingerprint(seen.model) == fingerprint(alone) != fingerprint(model)
        maps = [explain(network, x, own.y, "grad_cam") for network in (seen.model, alone)]
        np.testing.assert_array_equal(*maps)
        traced.add(id(graphs._kept[seen.model][1]))
    assert len(traced) == 1
    assert every.view("noise").model is model


def test_a_sample_is_known_by_its_content_wherever_it_stands():
    x = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    own = Samples(x, np.zeros(3, int), np.array(list("abc")))
    moved = Samples(x[[2, 1]], np.ones(2, int), np.array(["x", "y"]))
    assert moved.keys.tolist() == own.keys[[2, 1]].tolist() == own.take([2, 1]).keys.tolist()
    assert len({*own.keys, *Samples(x.reshape(3, 2, 2), own.y, own.names).keys}) == 6
    assert len({*own.keys, *Samples(x.astype(float), own.y, own.names).keys}) == 6

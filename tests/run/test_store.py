"""The store: what is computed once, what is computed anew, and that nothing is lost or half-written."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from xai_utils.attributions import controls
from xai_utils.run import sources, store
from xai_utils.run.store import MAPS, SCORES, digest, fill, shelf

CODE = {controls.center: ()}
KEYS = np.array([f"key {place}" for place in range(10)])
VALUES = {MAPS: np.arange(60, dtype=np.float32).reshape(10, 2, 3), SCORES: np.arange(10) / 7}


class Counted:
    """Stands for what takes long: gives the values at places, and counts them."""

    def __init__(self, values):
        self.values, self.asked = values, []

    def __call__(self, places):
        self.asked += list(places)
        return self.values[places]


@pytest.fixture(params=[MAPS, SCORES])
def place(request, output):
    """An empty shelf of either kind."""
    store._shelves.clear()
    return shelf(request.param, "some", CODE)


def test_what_is_asked_twice_is_computed_once(place):
    compute = Counted(VALUES[place.about["kind"]])
    assert fill(place, KEYS, compute, 4) == 10
    assert fill(place, KEYS, compute, 4) == 0
    assert compute.asked == list(range(10))
    np.testing.assert_array_equal(place.read(KEYS), compute.values)


def test_any_other_subset_computes_only_what_is_new(place):
    """In another order, in batches of another size, by another process."""
    compute = Counted(VALUES[place.about["kind"]])
    fill(place, KEYS[2:6], lambda places: compute(places + 2), 3)
    store._shelves.clear()
    other = shelf(place.about["kind"], "some", CODE)
    assert fill(other, KEYS, compute, 4) == 6
    assert sorted(compute.asked) == list(range(10))
    shuffled = np.array([7, 2, 9, 2, 0])
    np.testing.assert_array_equal(other.read(KEYS[shuffled]), compute.values[shuffled])


def test_undefined_scores_are_kept_as_they_are(output):
    place = shelf(SCORES, "some", CODE)
    place.put(KEYS[:3], np.array([0.1, np.nan, np.inf]))
    np.testing.assert_array_equal(place.read(KEYS[:3]), [0.1, np.nan, np.inf])


def test_a_value_that_is_not_there_is_an_error(place):
    with pytest.raises(KeyError):
        place.read(KEYS[:1])


def test_an_interrupted_computation_keeps_its_batches_and_leaves_no_half_file(place):
    compute = Counted(VALUES[place.about["kind"]])

    def interrupted(places):
        if 6 in places:
            raise KeyboardInterrupt
        return compute(places)

    with pytest.raises(KeyboardInterrupt):
        fill(place, KEYS, interrupted, 3)
    assert not list(store.root().rglob("partial-*"))
    fill(place, KEYS, compute, 3)
    assert compute.asked == list(range(10))


KILLED = """
    import sys, time
    import numpy as np
    from xai_utils.data import mosaics
    from xai_utils.run.store import MAPS, fill, shelf

    def compute(places):
        print(places[0], flush=True)
        time.sleep(0.2)
        return np.zeros((len(places), 50))

    keys = np.array([f"key {place}" for place in range(40)])
    fill(shelf(MAPS, "some", {mosaics.grid: ()}), keys, compute, 4)
"""


def test_a_killed_job_computes_at_most_one_batch_again(output):
    def start():
        script = [sys.executable, "-c", textwrap.dedent(KILLED)]
        return subprocess.Popen(script, stdout=subprocess.PIPE, text=True, env=dict(os.environ))

    job = start()
    begun = [int(job.stdout.readline()) for _ in range(4)]
    time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.wait()
    begun += [int(line) for line in start().communicate()[0].splitlines()]
    assert set(begun) == set(range(0, 40, 4))
    assert len(begun) - len(set(begun)) <= 1, "batches that were computed twice"


def _write(kind):
    place = shelf(kind, "some", CODE)
    fill(place, KEYS, Counted(VALUES[kind]), 2)


def test_many_may_write_the_same_at_once(place):
    kind = place.about["kind"]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_write, [kind] * 8)
    np.testing.assert_array_equal(place.read(KEYS), VALUES[kind])
    assert not list(store.root().rglob("partial-*"))
    assert len(list(place.folder.glob("*[tz]"))) == 5  # batches of two, however many wrote them


@pytest.mark.parametrize("changed", ["options", "network", "versions", "code"])
def test_whatever_they_share_is_part_of_the_shelf(output, monkeypatch, changed):
    facts = {"options": {"seed": 0}, "network": "a"}
    first = shelf(MAPS, "some", CODE, **facts).folder
    assert shelf(MAPS, "some", CODE, **facts).folder == first
    if changed == "versions":
        monkeypatch.setattr(store, "versions", lambda: {"numpy": "0"})
    elif changed == "code":
        monkeypatch.setattr(store, "code_of", lambda *_: "other")
    else:
        facts[changed] = "b"
    assert shelf(MAPS, "some", CODE, **facts).folder != first


def test_a_changed_lock_is_another_environment(monkeypatch, tmp_path):
    """A package of another version than before: everything is computed anew."""
    from xai_utils.run import provenance

    provenance.versions.cache_clear()
    before = provenance.versions()
    assert {"python", "tensorflow", "numpy"} <= before.keys()
    real = provenance.importlib.metadata.version
    bumped = {"numpy": "99.0"}
    monkeypatch.setattr(provenance.importlib.metadata, "version", lambda n: bumped.get(n) or real(n))
    provenance.versions.cache_clear()
    assert provenance.versions() == before | bumped
    monkeypatch.undo()
    provenance.versions.cache_clear()


def test_hashes_tell_arrays_apart_by_content_shape_and_type():
    zeros = np.zeros(4, np.float32)
    different = [
        zeros,
        zeros + 1,
        zeros.reshape(2, 2),
        zeros.astype(np.float64),
        np.zeros(5, np.float32),
    ]
    assert len({digest(array) for array in different}) == 5
    assert digest(zeros[::2]) == digest(np.zeros(2, np.float32))
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
    assert digest("a", "b") != digest("ab")


def test_the_list_says_what_is_current_and_free_keeps_that(output, monkeypatch):
    for name in ("kept", "stale", "older"):
        shelf(MAPS, name, CODE, about=name).put(KEYS, VALUES[MAPS])
    monkeypatch.setattr(store, "versions", lambda: {"numpy": "0"})
    shelf(MAPS, "other versions", CODE).put(KEYS, VALUES[MAPS])
    monkeypatch.undo()
    monkeypatch.setenv("XAI_OUTPUT", str(output))
    for name in ("stale", "older"):
        [about] = (store.root() / MAPS).glob(f"{name}-*/about.json")
        about.write_text(about.read_text().replace(sources.code_of(controls.center), "old code"))
    dead, young = (store.root() / MAPS / "kept-x" / f"partial-{n}" for n in ("dead", "young"))
    dead.parent.mkdir()
    dead.write_text("")
    young.write_text("")
    os.utime(dead, (0, 0))
    table = store.shelves().set_index("name")
    assert table.current.to_dict() == {
        "kept": True,
        "older": False,
        "other versions": False,
        "stale": False,
    }
    assert (table.megabytes > 0).all() and (table.files == 1).all()
    assert sorted(store.free().name) == ["older", "other versions", "stale"]
    assert store.shelves().name.tolist() == ["kept"]
    assert young.exists() and not dead.exists()

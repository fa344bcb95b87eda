"""Profiles, files that a run keeps, and arguments that are wrong, damaged or edited by hand."""

import io
import json
import os
import pickle
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.campaign import hostile
from tests.campaign.test_given_networks import Touches
from tests.conftest import small_network, some_inputs
from xai_utils.attributions import METHODS, explain
from xai_utils.data import Samples
from xai_utils.metrics import evaluate
from xai_utils.run import join, part, profile, store
from xai_utils.run.errors import advice
from xai_utils.run.files import REPOSITORY
from xai_utils.study import plan

pytestmark = pytest.mark.campaign(
    "Bad input refused in one line, with nothing executed and nothing half-written"
)


def refused(error, function, *arguments, **options):
    started = time.time()
    with pytest.raises(error) as raised:
        function(*arguments, **options)
    assert time.time() - started < hostile.QUICKLY
    said = advice(raised.value) or str(raised.value)
    assert said and "\n" not in said
    return said


PROFILE = yaml.safe_load((REPOSITORY / "profiles/quick.yaml").read_text())


def profile_of(monkeypatch, tmp_path, text):
    """Let this be the profile ``given``."""
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles", dirs_exist_ok=True)
    (tmp_path / "profiles/given.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.setattr(profile, "PROFILES", tmp_path / "profiles")
    monkeypatch.setattr("xai_utils.run.files.REPOSITORY", tmp_path)


TEXTS = {
    "a tag that calls": "!!python/object/apply:os.system ['touch CANARY']",
    "a tag that imports": "networks: !!python/module:os\n",
    "a tag that makes": "samples: !!python/object/new:subprocess.Popen [[touch, CANARY]]",
    "a tag of ours": "!profile {}",
    "nothing": "",
    "a text": "quick",
    "a list": "[1, 2]",
    "a number": "3",
    "tabs": "\tnetworks:\n",
    "no end": "networks: {",
    "two colons": "a: b: c",
    "laughs": "a: &a [x, x]\n"
    + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijklm", "bcdefghijklmn")),
    "deep": "[" * 1000,
    "no UTF-8": b"\xff\xfe\x00",
    "a zero": "networks: \0",
    "twice a document": "---\n{}\n---\n{}\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_profile_that_is_none_is_refused(text, canary, monkeypatch, tmp_path):
    text = text.replace("CANARY", str(canary)) if isinstance(text, str) else text
    profile_of(monkeypatch, tmp_path, text)
    refused(profile.ProfileError, profile.check_profile, "given")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda own: st.lists(own, max_size=3) | st.dictionaries(st.text(max_size=5), own, max_size=3),
    max_leaves=8,
)


@hostile.GENERATED
@given(
    section=st.sampled_from([*PROFILE, "other"]),
    entry=st.sampled_from(["signals", "retrain", "hmt", "x"]),
    value=VALUES,
)
def test_any_value_in_a_profile_is_refused_or_of_its_kind(section, entry, value):
    changed = PROFILE | {section: {**PROFILE.get(section, {}), entry: value}}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        profile_of(patched, Path(folder), yaml.safe_dump(changed))
        try:
            profile.check_profile("given")
            plan.check_options("given")
        except profile.ProfileError as error:
            assert "\n" not in advice(error)
        else:
            known = PROFILE.get(section, {}).get(entry)
            assert value == {} or type(value) is type(known)


CHANGES = [
    ("samples", "signals", 0), ("samples", "signals", -1), ("samples", "signals", 1.5), ("samples", "signals", "many"),
    ("samples", "signals", None), ("samples", "signals", True), ("samples", "signals", [1]), ("samples", "signal", 1),
    ("networks", "retrain", "yes please"), ("networks", "retrain", 1), ("networks", "signal_epochs", {}),
    ("networks", "extra", 1), ("02_mnist1d_classify", "NO_SUCH", 1), ("02_mnist1d_classify", "PROFILE", 1),
    ("05_hmt_explain", "EXPLORED_PER_CLASS", "x"), ("99_nothing", "A", 1), ("../../etc", "A", 1), (7, "A", 1),
]  # fmt: skip


@pytest.mark.parametrize("section, entry, value", CHANGES, ids=str)
def test_an_entry_that_cannot_be_is_refused_and_named(section, entry, value, monkeypatch, tmp_path):
    given = json.loads(json.dumps(PROFILE))
    given.setdefault(section, {})[entry] = value
    profile_of(monkeypatch, tmp_path, yaml.safe_dump(given))
    said = refused(profile.ProfileError, profile.check_profile, "given")
    assert str(section) in said or entry in said


@pytest.mark.parametrize("section", ["samples", "networks"])
@pytest.mark.parametrize("value", [None, [], "x", {}])
def test_a_section_that_lacks_its_entries_is_refused(section, value, monkeypatch, tmp_path):
    profile_of(monkeypatch, tmp_path, yaml.safe_dump(PROFILE | {section: value}))
    assert section in refused(profile.ProfileError, profile.check_profile, "given")


@pytest.mark.parametrize(
    "options",
    [
        {"hmmt": {}}, {"hmt": {"grad_camm": {}}}, {"hmt": {"rise": {"mask": 1}}}, {"hmt": {"rise": {"model": 1}}},
        {"hmt": {"rise": {"masks": [1]}}}, {"mnist1d": {"lime": {"x": 1}}}, {"pictures": {"shap": {"samples": None}}},
    ],
    ids=str,
)  # fmt: skip
def test_options_of_no_method_are_refused(options, monkeypatch, tmp_path):
    profile_of(monkeypatch, tmp_path, yaml.safe_dump(PROFILE | {"options": options}))
    refused(profile.ProfileError, plan.check_options, "given")


@pytest.mark.parametrize(
    "name",
    ["fast", "../quick", "quick/../quick", "/etc/passwd", "quick.yaml", "", "-", "quick\n", "$(id)"],
)
def test_a_profile_of_no_name_is_refused_by_the_command(name, tmp_path):
    done = subprocess.run(
        [REPOSITORY / "run_all.sh", f"--profile={name}"], env={"PATH": "/usr/bin:/bin", "XAI_OUTPUT": str(tmp_path / "out")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("error: there is no profile ")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "place", ["file", "file/below", "loop", "loop/below", "x" * 300, "sealed/below", "/proc/below"]
)
def test_an_output_that_cannot_be_written_is_refused_by_the_command(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "sealed").mkdir(mode=0o500)
    if place.startswith("sealed") and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    given = {"PATH": "/usr/bin:/bin", "XAI_OUTPUT": str(tmp_path / place)}
    done = subprocess.run([REPOSITORY / "run_all.sh"], env=given, capture_output=True, text=True)
    assert (
        done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    ), done.stderr
    assert (tmp_path / "file").read_text() == "mine"


@pytest.fixture(params=[store.MAPS, store.SCORES])
def shelf(request, output):
    """A shelf with a batch on it, and the keys of that."""
    about, folder = store.described(request.param, "asked", {explain: ("METHODS",)})
    made, keys = store.Shelf(about, folder), np.array(["a", "b", "c"])
    made.put(keys, np.array([1.0, 2.0, 3.0]))
    return made, keys, folder


def the_file(folder):
    return next(path for path in folder.iterdir() if path.name != "about.json")


def rewritten(file, keys, values):
    """The file with other keys and values, as someone would change it by hand."""
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            np.savez(file, keys=keys, values=values, made=arrays["made"])
    else:
        made = pq.read_schema(file).metadata
        pq.write_table(pa.table({"keys": keys, "values": values}).replace_schema_metadata(made), file)


def pickled_within(canary):
    """An archive of arrays, some of which are pickles."""
    content, hostile_ones = io.BytesIO(), np.array([Touches(canary)])
    np.savez(content, keys=hostile_ones, values=hostile_ones, made="{}")
    return content.getvalue()


DAMAGES = {
    "emptied": lambda file, canary: file.write_bytes(b""),
    "cut in the middle": lambda file, canary: file.write_bytes(
        file.read_bytes()[: file.stat().st_size // 2]
    ),
    "cut at its end": lambda file, canary: file.write_bytes(file.read_bytes()[:-20]),
    "zeros": lambda file, canary: file.write_bytes(bytes(file.stat().st_size)),
    "text": lambda file, canary: file.write_text("x"),
    "another value": lambda file, canary: rewritten(file, ["a", "b", "c"], [1.0, 2.0, 3.5]),
    "values in another order": lambda file, canary: rewritten(file, ["a", "b", "c"], [2.0, 1.0, 3.0]),
    "a value more": lambda file, canary: rewritten(file, ["a", "b", "c", "d"], [1.0, 2.0, 3.0, 4.0]),
    "a pickle": lambda file, canary: file.write_bytes(pickle.dumps(Touches(canary))),
    "a pickle within": lambda file, canary: file.write_bytes(pickled_within(canary)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_or_edited_file_of_the_store_is_refused(damage, shelf, canary):
    made, keys, folder = shelf
    assert made.read(keys).tolist() == [1.0, 2.0, 3.0]
    file = the_file(folder)
    damage(file, canary)
    assert file.name in refused(store.StoreError, made.read, keys)
    file.unlink()
    made.put(keys, np.array([1.0, 2.0, 3.0]))
    assert made.read(keys).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("keys", [["b", "a", "c"], ["a", "b", "x"]])
def test_keys_that_were_edited_are_refused(keys, shelf):
    made, _, folder = shelf
    rewritten(the_file(folder), keys, [1.0, 2.0, 3.0])
    refused(store.StoreError, made.missing, np.array(["a", "b"]))


@pytest.fixture
def a_part(output, monkeypatch):
    """The folder of a part as its notebook wrote it."""
    monkeypatch.setenv("XAI_HEADLESS", "1")
    run = part.Run("quick", "01_first")
    run.values("data", a=0.25, text="as it is")
    run.scores(pd.DataFrame([["x"] * 8 + [0.5]], columns=list(part.SCORE_COLUMNS)))
    run.finish()
    join.join("quick", ["01_first"])
    return output / "results/quick/parts"


FILES = [".json", "_scores.csv", "_reproduction.csv", "_samples.npz"]
EDITS = {
    "emptied": lambda file: file.write_bytes(b""),
    "removed": lambda file: file.unlink(),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-2]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\n\n1"),
    "other": lambda file: file.write_text("[]"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_part_that_was_damaged_is_refused(edit, name, a_part):
    edit(a_part / f"01_first{name}")
    assert "delete" in refused(join.PartsError, join.join, "quick", ["01_first"])


@pytest.mark.parametrize(
    "before, after",
    [("0.25", "0.95"), ("as it is", "as I like"), ('"by_hand": false', '"by_hand": true')],
)
def test_a_number_or_sentence_that_was_typed_into_a_part_is_refused(before, after, a_part):
    file = a_part / "01_first.json"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    refused(join.PartsError, join.join, "quick", ["01_first"])


X = some_inputs(1)
INPUTS = {
    "texts": np.full((5, 40, 1), "x"),
    "objects": np.full((5, 40, 1), None),
    "complex": X.astype(complex),
    "not a number": np.where(np.arange(40)[:, None] == 3, np.nan, X),
    "infinite": np.where(np.arange(40)[:, None] == 3, np.inf, X),
    "a sample alone": X[0],
    "an axis more": X[..., None],
    "channels more": np.repeat(X, 3, axis=-1),
}


@pytest.mark.parametrize("x", INPUTS.values(), ids=INPUTS)
def test_inputs_that_cannot_be_explained_are_refused(x):
    refused((ValueError, TypeError), explain, small_network(1), x)


TARGETS = [
    [3] * 5,
    [-1] * 5,
    [0.5] * 5,
    [0] * 4,
    [[0]] * 5,
    "class",
    ["a"] * 5,
    [None] * 5,
    np.nan,
    [True] * 6,
]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_targets_that_are_no_classes_are_refused(target):
    refused((ValueError, TypeError), explain, small_network(1), X, target)


OPTIONS = [
    {"method": "grad_camm"}, {"method": None}, {"method": ["grad_cam"]}, {"score": "loss"}, {"layer": "nowhere"},
    {"steps": 3}, {"batch_size": 0}, {"batch_size": -1}, {"batch_size": 1.5}, {"batch_size": "many"},
    {"method": "lime", "parts": 0}, {"method": "rise", "masks": 0}, {"method": "integrated_gradients", "steps": 0},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_that_cannot_be_are_refused(options):
    refused((ValueError, TypeError), explain, small_network(1), X, **{"method": "grad_cam", **options})


@pytest.mark.parametrize(
    "model",
    [None, "network", keras.layers.Dense(3), np.zeros(3), METHODS],
    ids=["nothing", "a text", "a layer", "an array", "a table"],
)
def test_what_is_no_model_is_refused(model):
    refused((ValueError, TypeError, AttributeError), explain, model, X)


@pytest.mark.parametrize(
    "asked",
    [
        {"metrics": ["no_such"]}, {"fractions": [0]}, {"fractions": [1.5]}, {"fractions": [-0.1]}, {"rules": ["no_such"]},
        {"maps": {"random": np.zeros((4, 40))}}, {"maps": {"random": np.zeros((5, 39))}},
    ],
    ids=str,
)  # fmt: skip
def test_scores_that_cannot_be_are_refused(asked):
    samples = Samples(X, np.zeros(5, int), np.array(list("abcde")))
    given = {
        "metrics": ["drop_rate"],
        "fills": {"black": 0.0},
        "fractions": [0.3],
        "rules": ["exact"],
    } | asked
    maps = given.pop(
        "maps", {"random": np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)}
    )
    refused(
        (ValueError, TypeError, KeyError), evaluate, small_network(1), samples, samples.y, maps, **given
    )

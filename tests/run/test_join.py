"""The parts of a run, joined: everything once, and nothing that was computed with something else."""

import json
import sys

import pandas as pd
import pytest

from xai_utils.run import join, part

NAMES = ["01_first", "02_second"]
SCORES = pd.DataFrame([["mnist1d", "ours", "random", "drop_rate", 0.3, "black", "exact", "a", 0.5]],
                      columns=list(part.SCORE_COLUMNS))  # fmt: skip


@pytest.fixture(autouse=True)
def headless(monkeypatch, output):
    """As the pipeline runs notebooks."""
    monkeypatch.setenv("XAI_HEADLESS", "1")


def a_run(notebook="01_first", **values):
    run = part.Run("quick", notebook)
    run.values("data", **values)
    return run


def test_the_parts_are_joined(output):
    first, second = a_run(a=1), a_run("02_second", b=[1, 2])
    first.scores(SCORES)
    first.provenance(seed=0)
    second.table("sizes", pd.DataFrame({"n": [1, 2]}))
    for run in (first, second):
        run.finish()
    join.join("quick", NAMES)
    folder = output / "results/quick"
    assert json.loads((folder / "values.json").read_text()) == {"data.a": 1, "data.b": [1, 2]}
    assert pd.read_csv(folder / "scores.csv").value.tolist() == [0.5]
    assert list(pd.read_csv(folder / "reproduction.csv").columns) == list(part.REPRODUCTION_COLUMNS)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["provenance"]["01_first"]["seed"] == 0
    assert facts["versions"]["tensorflow"].startswith("2.")
    assert json.loads((folder / "tables.json").read_text())["sizes"]["data"] == [[1], [2]]
    assert not list(output.glob("**/partial-*"))


def test_two_notebooks_must_not_record_the_same_value():
    for notebook in ("01_first", "02_second"):
        a_run(notebook, a=1).finish()
    with pytest.raises(ValueError, match="data.a"):
        join.join("quick", NAMES)


def finish_two(monkeypatch, *facts, **functions):
    """Two parts, each with facts of its own, or with what a function gives at its time."""
    for place, notebook in enumerate(("01_first", "02_second")):
        for name, results in functions.items():
            monkeypatch.setattr(part, name, lambda result=results[place]: result)
        run = a_run(notebook, **{notebook: 1})
        run.provenance(**(facts[place] if facts else {}))
        run.finish()


def refusal():
    with pytest.raises(join.PartsError) as caught:
        join.join("quick", NAMES)
    said = str(caught.value)
    assert "\n" not in said and "01_first" in said and "02_second" in said
    assert "./run_all.sh --profile quick" in said, "it says what to do"
    return said


@pytest.mark.parametrize("what", ["data", "weights"])
def test_parts_of_other_data_or_weights_are_refused(output, monkeypatch, what):
    """Of one name only: what one part does not know, it does not contradict."""
    finish_two(monkeypatch, {what: {"hmt": "a", "x": "1"}}, {what: {"hmt": "b", "y": "2"}})
    said = refusal()
    assert what in said and "(hmt)" in said
    assert not (output / "results/quick/values.json").exists()


def test_parts_of_other_versions_are_refused(monkeypatch):
    versions = {"python": "3.12.1", "numpy": "2.3.0"}
    finish_two(monkeypatch, versions=[versions, versions | {"numpy": "2.3.1"}])
    assert "versions (numpy)" in refusal()


def test_parts_of_other_code_are_refused(monkeypatch):
    """A module that only one of them imported is no contradiction."""
    first = {"xai_utils.models": "x = 1", "xai_utils.study.maps": ""}
    finish_two(monkeypatch, imported=[first, {"xai_utils.models": "x = 2", "xai_utils.data": ""}])
    assert "code (xai_utils.models)" in refusal()


def test_any_two_of_many_parts_are_compared(monkeypatch):
    finish_two(monkeypatch, {"data": {"mnist1d": "a"}}, {"data": {"hmt": "b"}})
    run = a_run("03_third")
    run.provenance(data={"hmt": "c"})
    run.finish()
    with pytest.raises(join.PartsError, match="02_second and 03_third"):
        join.join("quick", [*NAMES, "03_third"])


def test_parts_of_other_commits_and_processors_fit_together(output, monkeypatch):
    """Another notebook may have been edited since, and jobs may run anywhere."""
    same = {"data": {"hmt": "a"}, "weights": {"vgg7": "b"}}
    finish_two(
        monkeypatch,
        same | {"data": {"hmt": "a", "mnist1d": "c"}, "seed": 1},
        same | {"seed": 2},
        commit=["abc", "def-dirty"],
        processor=["fast", "slow"],
        imported=[{"xai_utils.models": "x", "xai_utils.data": "y"}, {"xai_utils.models": "x"}],
    )
    join.join("quick", NAMES)
    facts = json.loads((output / "results/quick/run.json").read_text())
    assert facts["commits"] == {"01_first": "abc", "02_second": "def-dirty"}
    assert "abc" in facts["commit"] and "def-dirty" in facts["commit"]
    assert facts["processors"] == ["fast", "slow"]
    assert facts["code"].keys() == {"xai_utils.models", "xai_utils.data"}
    assert [facts["provenance"][name]["seed"] for name in ("01_first", "02_second")] == [1, 2]


def test_only_the_parts_that_were_asked_for_are_joined(output):
    """What a notebook of another name left, or one that was run by hand, is not."""
    a_run(a=1).finish()
    a_run("07_renamed_since", a=2).finish()
    join.join("quick", NAMES[:1])
    assert json.loads((output / "results/quick/values.json").read_text()) == {"data.a": 1}


def test_the_command_ends_with_a_line_and_no_traceback(monkeypatch):
    finish_two(monkeypatch, {"data": {"hmt": "a"}}, {"data": {"hmt": "b"}})
    monkeypatch.setattr(sys, "argv", ["join", "quick", *NAMES])
    with pytest.raises(SystemExit, match="^error: 01_first and 02_second"):
        join.main()

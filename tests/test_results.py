import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xai_utils import plots, results
from xai_utils.data import Samples

SCORES = pd.DataFrame([["mnist1d", "ours", "random", "drop_rate", 0.3, "black", "exact", "a", 0.5]],
                      columns=list(results.SCORE_COLUMNS))  # fmt: skip


def a_run(notebook="01_first", **values):
    run = results.Run("quick", notebook)
    run.values("data", **values)
    return run


def test_a_part_appears_only_when_the_notebook_finishes(output):
    run = a_run(size=np.int64(3))
    assert not list(output.glob("results/**/*.json"))
    run.finish()
    part = json.loads((output / "results/quick/parts/01_first.json").read_text())
    assert part["values"] == {"data.size": 3}
    assert not list(output.glob("**/partial-*"))


def test_nested_values_become_flat(output):
    run = a_run(best={"tile": "x", "drop": {"a": 1.0}}, order=["b", "a"])
    assert run.part["values"] == {"data.best.tile": "x", "data.best.drop.a": 1.0, "data.order": ["b", "a"]}


def test_a_value_that_is_not_a_number_fails_the_notebook(output):
    with pytest.raises(ValueError, match="[Oo]ut of range"):
        a_run(mean=float("nan")).finish()


def test_a_score_stands_once(output):
    """The audit scores a part of what was scored before; that it says so again adds no row."""
    run = a_run()
    other = SCORES.assign(item="b")
    for scores in (SCORES, pd.concat([SCORES, other])):
        run.scores(scores)
    run.finish()
    kept = pd.read_csv(output / "results/quick/parts/01_first_scores.csv")
    assert kept.item.tolist() == ["a", "b"]


def test_collect_joins_the_parts(output):
    first, second = a_run(a=1), a_run("02_second", b=[1, 2])
    first.scores(SCORES)
    first.provenance(seed=0)
    second.table("sizes", pd.DataFrame({"n": [1, 2]}))
    for run in (first, second):
        run.finish()
    results.collect("quick")
    folder = output / "results/quick"
    assert json.loads((folder / "values.json").read_text()) == {"data.a": 1, "data.b": [1, 2]}
    assert pd.read_csv(folder / "scores.csv").value.tolist() == [0.5]
    assert list(pd.read_csv(folder / "reproduction.csv").columns) == list(results.REPRODUCTION_COLUMNS)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["provenance"]["01_first"] == {"seed": 0}
    assert facts["versions"]["tensorflow"].startswith("2.")
    assert json.loads((folder / "tables.json").read_text())["sizes"]["data"] == [[1], [2]]


def test_two_notebooks_must_not_record_the_same_value(output):
    for notebook in ("01_first", "02_second"):
        a_run(notebook, a=1).finish()
    with pytest.raises(ValueError, match="data.a"):
        results.collect("quick")


def test_figures_are_saved_for_print_and_screen_alike_each_time(output):
    run = a_run()
    contents = []
    for _ in range(2):
        history = {curve: [1, 0.5] for curve in ("loss", "accuracy", "val_loss", "val_accuracy")}
        run.figure("curves", plots.training_curves({"recipe": history}))
        contents.append([(run.figures / f"curves{s}").read_bytes() for s in (".pdf", ".svg")])
    assert contents[0] == contents[1]


def test_figures_and_tables_remember_the_cell_that_made_them(output, monkeypatch):
    monkeypatch.setattr(results, "get_ipython", lambda: SimpleNamespace(execution_count=7))
    run = a_run()
    run.table("sizes", pd.DataFrame({"n": [1]}))
    run.figure("curves", plots.training_curves({}))
    run.finish()
    results.collect("quick")
    made_in = json.loads((output / "results/quick/made_in.json").read_text())
    assert made_in == {"sizes": ["01_first", 7], "curves": ["01_first", 7]}


def test_a_figure_has_its_numbers_beside_it(output):
    history = {"loss": [2.0], "val_loss": [3.0], "accuracy": [0.1], "val_accuracy": [0.2]}
    a_run().figure("curves", plots.training_curves({"course": history}))
    table = pd.read_csv(output / "figures/quick/01_first/curves.csv")
    assert table.y.tolist() == [2.0, 3.0, 0.1, 0.2]


def test_samples_are_handed_on_whole(output):
    samples = Samples(np.zeros((2, 4, 1)), np.array([0, 1]), np.array(["a", "b"]))
    maps = {"grad_cam": np.array([[1.0] * 4, [np.nan] * 4])}
    run = a_run()
    run.samples("mnist1d", samples, ["0", "1"], np.eye(2), maps)
    assert not list(output.glob("**/*.npz"))
    run.finish()
    with np.load(output / "results/quick/parts/01_first_samples.npz") as kept:
        assert str(kept["dataset"]) == "mnist1d"
        assert kept["names"].tolist() == ["a", "b"] and kept["classes"].tolist() == ["0", "1"]
        np.testing.assert_array_equal(kept["map grad_cam"], maps["grad_cam"])

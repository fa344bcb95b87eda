import hashlib
import json
from types import SimpleNamespace

import keras
import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xai_utils.data import Samples
from xai_utils.metrics.faithfulness import blurred
from xai_utils.models import predict
from xai_utils.run import part
from xai_utils.run.join import join
from xai_utils.study import plots

SCORES = pd.DataFrame([["mnist1d", "ours", "random", "drop_rate", 0.3, "black", "exact", "a", 0.5]],
                      columns=list(part.SCORE_COLUMNS))  # fmt: skip


@pytest.fixture(autouse=True)
def headless(monkeypatch):
    """As the pipeline runs notebooks."""
    monkeypatch.setenv("XAI_HEADLESS", "1")


@pytest.fixture
def by_hand(headless, monkeypatch):
    monkeypatch.delenv("XAI_HEADLESS")


def a_run(notebook="01_first", **values):
    run = part.Run("quick", notebook)
    run.values("data", **values)
    return run


def test_a_part_appears_only_when_the_notebook_finishes(output):
    run = a_run(size=np.int64(3))
    assert not list(output.glob("results/**/*.json"))
    run.finish()
    written = json.loads((output / "results/quick/parts/01_first.json").read_text())
    assert written["values"] == {"data.size": 3}
    assert not list(output.glob("**/partial-*"))


def test_nested_values_become_flat(output):
    run = a_run(best={"tile": "x", "drop": {"a": 1.0}}, order=["b", "a"])
    assert run.part["values"] == {
        "data.best.tile": "x",
        "data.best.drop.a": 1.0,
        "data.order": ["b", "a"],
    }


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


def some_curves():
    history = {curve: [1, 0.5] for curve in ("loss", "accuracy", "val_loss", "val_accuracy")}
    return plots.training_curves({"recipe": history})


def some_maps():
    random = np.random.default_rng(0)
    maps = {"Grad-CAM": random.random((1, 8, 8))}
    return plots.tile_maps(random.random((1, 8, 8, 3)), ["first"], maps)


@pytest.mark.parametrize(
    "draw, suffixes", [(some_curves, {".pdf", ".svg", ".csv"}), (some_maps, {".pdf", ".webp", ".npz"})]
)
def test_a_figure_is_saved_for_print_for_the_screen_and_as_numbers_alike_each_time(
    draw, suffixes, output
):
    run, contents = a_run(), []
    for figure in (draw(), draw()):
        run.figure("drawn", figure)
        contents.append(files_in(run.figures))
    assert contents[0] == contents[1]
    assert {path.name for path in contents[0]} == {f"drawn{suffix}" for suffix in suffixes}


def test_maps_have_the_resolution_of_a_screen_and_are_not_kept_without_loss(output):
    run, figure = a_run(), some_maps()
    run.figure("maps", figure)
    with Image.open(run.figures / "maps.webp") as saved:
        assert saved.format == "WEBP"
        assert saved.size == tuple((figure.get_size_inches() * 200).astype(int))
    assert b"VP8L" not in (run.figures / "maps.webp").read_bytes(), "VP8L is without loss"


def test_no_file_of_an_earlier_figure_of_the_name_stays(output):
    run = a_run()
    for draw, suffixes in ((some_maps, {".webp", ".npz"}), (some_curves, {".svg", ".csv"})) * 2:
        run.figure("drawn", draw())
        assert {path.suffix for path in run.figures.iterdir()} == {".pdf"} | suffixes


def test_figures_and_tables_remember_the_cell_that_made_them(output, monkeypatch):
    monkeypatch.setattr(part, "get_ipython", lambda: SimpleNamespace(execution_count=7))
    run = a_run()
    run.table("sizes", pd.DataFrame({"n": [1]}))
    run.figure("curves", plots.training_curves({}))
    run.finish()
    join("quick", ["01_first"])
    made_in = json.loads((output / "results/quick/made_in.json").read_text())
    assert made_in == {"sizes": ["01_first", 7], "curves": ["01_first", 7]}


def test_a_figure_has_its_numbers_beside_it(output):
    history = {"loss": [2.0], "val_loss": [3.0], "accuracy": [0.1], "val_accuracy": [0.2]}
    a_run().figure("curves", plots.training_curves({"course": history}))
    table = pd.read_csv(output / "figures/quick/01_first/curves.csv")
    assert table.y.tolist() == [2.0, 3.0, 0.1, 0.2]


def test_maps_have_their_numbers_beside_them_and_points_theirs(output):
    values = np.random.default_rng(0).random((1, 8, 8))
    figure = plots.tile_maps(np.zeros((1, 8, 8, 3)), ["first"], {"Grad-CAM": values})
    figure.axes[0].plot([1, 2], [3, 4])
    run = a_run()
    run.figure("maps", figure)
    with np.load(run.figures / "maps.npz") as kept:
        assert kept.files == ["panel 2, Grad-CAM, first"]
        np.testing.assert_array_equal(kept["panel 2, Grad-CAM, first"], values[0].astype(np.float32))
        assert kept["panel 2, Grad-CAM, first"].dtype == np.float32
    table = pd.read_csv(run.figures / "maps.csv")
    assert table.x.tolist() == [1, 2] and table.y.tolist() == [3, 4] and set(table.panel) == {1}


def test_pictures_have_no_numbers_beside_them(output):
    run = a_run()
    run.figure("tiles", plots.tiles(np.zeros((1, 8, 8, 3)), ["first"]))
    assert {path.suffix for path in run.figures.iterdir()} == {".pdf", ".webp"}


def test_samples_are_handed_on_whole(output):
    samples = Samples(np.zeros((2, 4, 1)), np.array([0, 1]), np.array(["a", "b"]))
    maps = {"grad_cam": (np.array([1]), np.array([[1.0] * 4]))}
    run = a_run()
    run.samples("mnist1d", samples, ["0", "1"], np.eye(2), maps)
    assert not list(output.glob("**/*.npz"))
    run.finish()
    with np.load(output / "results/quick/parts/01_first_samples.npz") as kept:
        assert str(kept["dataset"]) == "mnist1d"
        assert kept["names"].tolist() == ["a", "b"] and kept["classes"].tolist() == ["0", "1"]
        np.testing.assert_array_equal(kept["map grad_cam"], maps["grad_cam"][1])
        assert kept["places grad_cam"].tolist() == [1] and "network" not in kept


def test_the_network_is_handed_on_with_its_weights_and_fills(output):
    samples = Samples(np.zeros((2, 4, 1)), np.array([0, 1]), np.array(["a", "b"]))
    network = keras.Sequential([keras.Input((4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    run = a_run()
    fills = {"black": 0.0, "mean": np.ones((4, 1)), "blur": blurred}
    run.samples("mnist1d", samples, ["0", "1"], np.eye(2), {}, network, fills)
    run.finish()
    with np.load(output / "results/quick/parts/01_first_samples.npz") as kept:
        again = keras.models.model_from_json(str(kept["network"]))
        again.set_weights([kept["weights 0"], kept["weights 1"]])
        x = np.random.default_rng(0).random((3, 4, 1))
        np.testing.assert_array_equal(predict(again, x), predict(network, x))
        assert kept["fill black"] == 0 and str(kept["fill blur"]) == "blurred"
        np.testing.assert_array_equal(kept["fill mean"], fills["mean"])


def files_in(folder):
    """What lies in a folder, ``{path: content}``."""
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def a_run_with_a_figure(loss, **values):
    run = a_run(**values)
    history = {"loss": [loss], "val_loss": [3.0], "accuracy": [0.1], "val_accuracy": [0.2]}
    run.figure("curves", plots.training_curves({"course": history}))
    return run


@pytest.fixture
def official(headless, output):
    """What the pipeline made of this notebook before, and every file of it."""
    a_run_with_a_figure(2.0, size=3).finish()
    return files_in(output)


def test_a_run_by_hand_is_kept_apart_and_says_so_in_a_line(official, output, by_hand, capsys):
    run = a_run_with_a_figure(9.0, size=4)
    assert capsys.readouterr().out == ""
    run.finish()
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "results/by_hand/quick" in said and "official" in said
    made = {path.as_posix() for path in files_in(output).keys() - official.keys()}
    parts, figures = "results/by_hand/quick/parts", "figures/by_hand/quick/01_first"
    assert {path.rpartition("/")[0] for path in made} == {parts, figures}
    assert {f"{parts}/01_first.json", f"{figures}/curves.svg", f"{figures}/curves.csv"} <= made
    assert official.items() <= files_in(output).items(), "what the pipeline made is as it was"
    kept = json.loads((output / parts / "01_first.json").read_text())
    assert kept["values"] == {"data.size": 4} and kept["provenance"]["by_hand"]


def test_a_run_of_the_pipeline_is_official_and_says_nothing(output, capsys):
    a_run_with_a_figure(2.0).finish()
    assert capsys.readouterr().out == "" and not list(output.glob("*/by_hand"))
    made = json.loads((output / "results/quick/parts/01_first.json").read_text())["provenance"]
    assert made["by_hand"] is False


def test_a_run_by_hand_becomes_official_by_that_word_only(official, output, by_hand, capsys):
    """Its figures take the place of all that were there, and its part says how it was made."""
    stale = output / "figures/quick/01_first/gone.svg"
    stale.touch()
    run = a_run_with_a_figure(9.0, size=4)
    with pytest.raises(ValueError, match="'offical'.*'official'"):
        run.finish("offical")
    assert official.items() <= files_in(output).items() and stale.exists()
    assert not (output / "results/by_hand").exists()
    run.finish("official")
    made = json.loads((output / "results/quick/parts/01_first.json").read_text())
    assert made["values"] == {"data.size": 4} and made["provenance"]["by_hand"]
    table = pd.read_csv(output / "figures/quick/01_first/curves.csv")
    assert table.y.tolist() == [9.0, 3.0, 0.1, 0.2] and not stale.exists()
    assert capsys.readouterr().out == "", "there is nothing to be said of it"
    join("quick", ["01_first"])
    assert json.loads((output / "results/quick/values.json").read_text()) == {"data.size": 4}


def test_the_word_changes_nothing_for_the_pipeline(official, output):
    a_run_with_a_figure(2.0, size=5).finish("official")
    figures = {path: content for path, content in official.items() if path.parts[0] == "figures"}
    assert figures.items() <= files_in(output).items() and not list(output.glob("*/by_hand"))


def test_a_part_says_with_what_it_was_computed(output, monkeypatch):
    """The versions, the code as it was imported, the parameters of the notebook, the checksums."""
    shell = SimpleNamespace(execution_count=1, user_ns={"PROFILE": "quick"})
    monkeypatch.setattr(part, "get_ipython", lambda: shell)
    monkeypatch.setattr(part, "imported", lambda: {"xai_utils.models": "x = 1"})
    (output / "notebooks").mkdir()
    cell = nbformat.v4.new_code_cell('PROFILE = "standard"', metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("OTHER = 1")])
    nbformat.write(notebook, output / "notebooks/01_first.ipynb")
    monkeypatch.setattr(part, "REPOSITORY", output)
    run = a_run()
    run.provenance(data={"hmt": "abc"}, weights={"vgg7": "def"}, seed=np.int64(4))
    run.finish()
    made = json.loads((output / "results/quick/parts/01_first.json").read_text())["provenance"]
    assert made["parameters"] == {"PROFILE": "quick"}
    assert made["versions"]["numpy"] == np.__version__ and made["seed"] == 4
    assert (made["data"], made["weights"]) == ({"hmt": "abc"}, {"vgg7": "def"})
    assert made["code"] == {"xai_utils.models": hashlib.sha256(b"x = 1").hexdigest()[:16]}
    assert made["commit"] and made["processor"]

"""The form of the notebooks, and that each runs by itself."""

import ast
import json
import re

import keras
import nbformat
import numpy as np
import papermill
import pytest
from PIL import Image

from xai_utils.run.files import REPOSITORY
from xai_utils.run.profile import check_profile, parameters_of
from xai_utils.study.plan import check_options

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
OF_THE_STUDY = [path for path in NOTEBOOKS if path.stem != "00_your_own_model"]
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
PROFILES = sorted((REPOSITORY / "profiles").glob("*.yaml"))


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_they_are_numbered():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(15)]


@notebooks
def test_notebooks_are_committed_without_outputs(path):
    for cell in code_cells(path):
        assert cell.outputs == [] and cell.execution_count is None


@notebooks
def test_one_cell_holds_the_parameters_and_they_are_literals(path):
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for statement in ast.parse(tagged[0].source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


@notebooks
def test_cells_are_short_and_define_no_class(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 15
        assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(cell.source)))


@pytest.mark.parametrize("path", OF_THE_STUDY, ids=lambda path: path.stem)
def test_it_records_under_its_own_name_and_finishes(path):
    source = "\n".join(cell.source for cell in code_cells(path))
    assert f'run = Run(PROFILE, "{path.stem}")' in source
    assert source.rstrip().endswith("run.finish()")


@notebooks
def test_a_text_follows_every_figure(path):
    cells = nbformat.read(path, 4).cells
    for cell, after in zip(cells, cells[1:]):
        if cell.cell_type == "code" and "run.figure(" in cell.source and "def " not in cell.source:
            says = re.search(r"Markdown\(|^say\(|^tell_steps\(", after.source)
            assert after.cell_type == "markdown" or says


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_profiles_set_only_what_there_is(profile):
    check_profile(profile.stem)
    check_options(profile.stem)
    for path in OF_THE_STUDY:
        assert "PROFILE" in parameters_of(path)


@notebooks
def test_a_notebook_has_at_most_three_functions_of_its_own_and_none_of_another(path):
    def functions(book):
        trees = (ast.parse(cell.source) for cell in code_cells(book))
        return {n.name for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}

    assert len(functions(path)) <= 3
    others = set().union(*(functions(other) for other in NOTEBOOKS if other != path))
    assert not functions(path) & others


@pytest.mark.slow
def test_the_notebook_for_a_model_of_ones_own_takes_a_file_and_a_folder(tmp_path):
    """A network with one sigmoid and no ReLU, which CAM and guided backpropagation cannot explain."""
    keras.utils.set_random_seed(0)
    body = [keras.layers.Conv2D(4, 5, strides=2, activation="tanh"), keras.layers.Flatten()]
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), *body, keras.layers.Dense(1, activation="sigmoid")]
    )
    model.save(tmp_path / "model.keras")
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.jpg"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(
            tmp_path / "pictures" / name
        )
    given = {"MODEL": str(tmp_path / "model.keras"), "IMAGES": str(tmp_path / "pictures"), "COUNT": 2}
    done = papermill.execute_notebook(
        NOTEBOOKS[0], tmp_path / "done.ipynb", given, kernel_name="python3"
    )
    said = json.dumps([cell.get("outputs", []) for cell in done.cells])
    assert "**CAM**: " in said and "has no ReLU" in said and "Score-CAM" in said and "control" in said


@pytest.mark.slow
def test_the_notebook_for_a_model_of_ones_own_runs_as_it_stands(tmp_path):
    done = papermill.execute_notebook(NOTEBOOKS[0], tmp_path / "done.ipynb", kernel_name="python3")
    said = json.dumps([cell.get("outputs", []) for cell in done.cells])
    assert "Every method explains this model." in said

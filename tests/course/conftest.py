"""The assignment, made once for all tests of a run: in a folder of its own, of synthetic tissue."""

import shutil
import sys

import matplotlib
import pytest

from course import __main__ as commands
from tests.course import notebook

TASKS = ("task_1", "task_2", "task_3", "task_4")


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    """A copy of the folder ``course``, from which the student's edition was made."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("source", "nbgrader_config.py"):
        original = commands.HERE / name
        copy = shutil.copytree if original.is_dir() else shutil.copy
        copy(original, folder / name)
    commands.release(folder, "synthetic")
    return folder


@pytest.fixture(scope="session")
def solved(course):
    """Of each task its cells, what the model solution leaves behind, and what fails in it:
    ``{task: (cells, namespace, failed)}``."""
    matplotlib.use("Agg")
    source = course / "source" / commands.NAME
    sys.path.insert(0, str(source))
    found = {}
    for task in TASKS:
        cells, namespace = notebook.cells_of(source / f"{task}.ipynb"), {}
        found[task] = cells, namespace, notebook.run(cells, namespace)
    return found

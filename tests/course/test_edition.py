"""The student's edition: no solution in it, and it runs where there is neither nbgrader nor this project."""

import ast
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

from course.__main__ import NAME
from tests.course import notebook
from tests.course.conftest import TASKS

pytestmark = pytest.mark.slow  # all cells of four notebooks are run

INTENDED = (
    r"NotImplementedError: Write your answer here"
    r"|AssertionError: \w+ is not there yet: write the answers above, then run the cells above\."
)
TELLING = 9  # letters; a line that is shorter, as "try:", tells nothing, nor does an import


def text_of(file, kinds=("code", "markdown")):
    if file.suffix == ".py":
        return file.read_text()
    return "\n".join(cell.source for cell in nbformat.read(file, 4).cells if cell.cell_type in kinds)


def lines_of(text):
    lines = map(str.strip, text.splitlines())
    return {
        line for line in lines if len(line) >= TELLING and not line.startswith(("from ", "import "))
    }


@pytest.mark.parametrize("task", TASKS)
def test_no_line_of_a_solution_a_hidden_test_or_a_mark_scheme_stands_in_it(course, task):
    source, edition = (course / part / NAME for part in ("source", "release"))
    text = text_of(source / f"{task}.ipynb")
    secret = r"### BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME)\n(.*?)### END \1"
    hidden = lines_of("\n".join(part for _, part in re.findall(secret, text, flags=re.S)))
    texts = (
        text_of(source / f"{name}.ipynb") for name in TASKS
    )  # solutions share lines with what is given
    elsewhere = set().union(*(lines_of(re.sub(secret, "", one, flags=re.S)) for one in texts))
    given = set().union(*map(lines_of, map(text_of, (*edition.glob("*.py"), *edition.glob("*.ipynb")))))
    assert len(hidden) > 40 and (hidden - elsewhere) & given == set()
    assert "### " not in text_of(edition / f"{task}.ipynb")


@pytest.mark.parametrize("task", TASKS)
def test_handed_out_every_cell_runs_or_says_what_is_missing(course, solved, task):
    cells = notebook.cells_of(course / "release" / NAME / f"{task}.ipynb")
    failed = notebook.run(cells, {})
    assert [message for message in failed.values() if not re.fullmatch(INTENDED, message)] == []
    tests = {
        name
        for name, cell in cells.items()
        if name in notebook.points(cells) and "hidden" not in cell.source
    }
    assert failed.keys() >= tests, "a test that passes without an answer"


@pytest.mark.parametrize("task", TASKS)
def test_it_asks_for_no_package_but_those_in_its_list(course, task):
    edition = course / "release" / NAME
    listed = set(re.findall(r"^(\S+?)>=", (edition / "requirements.txt").read_text(), flags=re.M))
    known = {"keras": "tensorflow", "sklearn": "scikit-learn"}
    for source in [
        text_of(edition / f"{task}.ipynb", ["code"]),
        *(file.read_text() for file in edition.glob("*.py")),
    ]:
        for name in imported(source):
            own = (edition / f"{name}.py").exists() or name in sys.stdlib_module_names
            assert own or known.get(name, name) in listed, name


def imported(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_the_archive_holds_all_of_it(course):
    edition = course / "release" / NAME
    with zipfile.ZipFile(course / "release" / f"{NAME}.zip") as archive:
        packed = {name for name in archive.namelist() if not name.endswith("/")}
    files = {str(file.relative_to(edition.parent)) for file in edition.rglob("*") if file.is_file()}
    assert packed == files and f"{NAME}/data/tiles.npz" in files


def test_what_students_get_needs_nothing_of_this_project(course):
    """From another folder, where ``xai_utils`` and ``nbgrader`` cannot be imported."""
    code = (
        "import sys; sys.modules.update({'xai_utils': None, 'nbgrader': None, 'course': None})\n"
        "import numpy as np, project_a\n"
        "model, data = project_a.network('signals'), project_a.signals()\n"
        "features, gradients = project_a.features_and_gradients(model, data['x_test'][0], 3, 'conv1d_2', 'logit')\n"
        "assert features.shape == gradients.shape == (40, 25)\n"
        "assert len(project_a.tiles()['classes']) == 8 and project_a.maps('tiles')['grad_cam'].ndim == 3\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=course / "release" / NAME, check=True)


def test_scores_and_gradients_that_are_given_agree_with_each_other(solved):
    """The gradient is how much the score changes, and the logits' softmax is the probabilities."""
    import numpy as np
    import project_a

    model, x = project_a.network("signals"), project_a.signals()["x_test"][0]
    probabilities = project_a.probabilities(model, x[np.newaxis])[0]
    logits = np.array([project_a.score_function(model, k, "logit")(x) for k in range(10)])
    np.testing.assert_allclose(
        np.exp(logits) / np.exp(logits).sum(), probabilities, rtol=1e-4, atol=1e-6
    )
    score, gradient = (
        make(model, 3, "logit") for make in (project_a.score_function, project_a.gradient_function)
    )
    step = np.random.default_rng(0).normal(size=x.shape) * 1e-2
    change = score(x + step) - score(x - step)
    assert change == pytest.approx(2 * np.sum(gradient(x) * step), rel=0.05)
    with pytest.raises(ValueError, match="score is 'odds'; it must be 'logit' or 'probability'"):
        project_a.score_function(model, 3, "odds")

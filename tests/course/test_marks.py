"""The marks of the assignment are those of the rubric."""

import re

import nbformat
import pytest
import yaml

from course.__main__ import HERE, NAME
from report import walkthrough
from tests.course.conftest import TASKS
from xai_utils.run.files import REPOSITORY

SOURCE = HERE / "source" / NAME
RUBRIC = yaml.safe_load((REPOSITORY / "report" / "rubric.yaml").read_text())
QUESTIONS = {
    question["id"]: question for task in RUBRIC for question in task["questions"] if "id" in question
}


def marked(path):
    """The name and the points of every cell that is marked."""
    found = [cell.metadata.get("nbgrader", {}) for cell in nbformat.read(path, 4).cells]
    return [(about["grade_id"], about["points"]) for about in found if about.get("grade")]


def test_every_question_of_the_course_has_marks_from_the_sources_or_from_us():
    asked = [question for task in RUBRIC[:4] for question in task["questions"]]
    assert len(asked) == len(QUESTIONS)
    for question in asked:
        assert ("marks" in question) != ("proposed" in question), question["id"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_cells_of_a_question_have_its_marks(name):
    cells = [cell for task in TASKS for cell in marked(SOURCE / f"{task}.ipynb")]
    own = [points for cell, points in cells if cell.startswith(f"{name}-")]
    expected = QUESTIONS[name].get("marks", QUESTIONS[name].get("proposed"))
    assert sum(own) == pytest.approx(expected)


@pytest.mark.parametrize("task", TASKS)
def test_every_cell_with_marks_belongs_to_a_question(task):
    for cell, _ in marked(SOURCE / f"{task}.ipynb"):
        assert any(cell.startswith(f"{name}-") for name in QUESTIONS), cell
        assert cell.startswith(task.replace("_", "-"))


@pytest.mark.parametrize("task", TASKS)
def test_headings_say_the_marks_of_the_cells_below(task):
    said, found = [], []
    for cell in nbformat.read(SOURCE / f"{task}.ipynb", 4).cells:
        if heading := re.match(r"## .*\((.*?) marks?\)", cell.source):
            said.append(float(heading[1]))
            found.append(0)
        about = cell.metadata.get("nbgrader", {})
        if about.get("grade"):
            found[-1] += about["points"]
    assert found == pytest.approx(said) and len(said) > 3


@pytest.mark.parametrize("task", TASKS)
def test_every_written_answer_has_a_mark_scheme_that_leads_to_the_model_answer(task):
    cells = nbformat.read(SOURCE / f"{task}.ipynb", 4).cells
    written = [
        place for place, cell in enumerate(cells) if cell.source.startswith("### BEGIN SOLUTION")
    ]
    model_answers = {about["name"] for about in walkthrough.model_answers()}
    assert written
    for place in written:
        scheme = next(
            cell for cell in reversed(cells[:place]) if "BEGIN MARK SCHEME" in cell.source
        ).source
        points, name = (cells[place].metadata.nbgrader[key] for key in ("points", "grade_id"))
        full, half, none = (
            float(mark) for mark in re.findall(r"^\*\*\w+ \((.*?)\)\.\*\*", scheme, flags=re.M)
        )
        assert full == points and none == 0 and 0.4 * full <= half <= 0.6 * full
        assert len(re.findall(r'\*"[^*]+"\*', scheme)) == 3, "an example of each"
        (asked,) = re.findall(r"walkthrough/index.html#([\w-]+)", scheme)
        assert asked == f"answer-{name}" and name in model_answers

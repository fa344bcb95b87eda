"""From a folder of submissions to feedback and a table of marks, whatever is in them."""

import copy
import csv
import os
import re
import shutil
import zipfile
from pathlib import Path

import nbformat
import pytest

from course import __main__ as commands
from course.execute import unchanged
from tests.course import notebook
from tests.course.conftest import TASKS

pytestmark = pytest.mark.slow  # kernels start, one for each notebook
NAME = commands.NAME
TASK_2 = notebook.points(notebook.cells_of(commands.HERE / "source" / NAME / "task_2.ipynb"))
GRAD_CAM = ["task-2-1-grad-cam-visible", "task-2-1-grad-cam-hidden"]

# Loops are interrupted soon; a training on a slow machine is not.
SOON = """
c.ExecuteApart.timeout_func = lambda cell: (
    12 if "while True" in cell.source else 120 if "train(model" in cell.source else 25
)
"""


@pytest.fixture(scope="module")
def marked(course, tmp_path_factory):
    """The table of marks, ``{student: row}``, of one submission of each kind, and the folder of the course."""
    handed_in = tmp_path_factory.mktemp("handed_in")
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text() + SOON)
    source, edition = (course / part / NAME for part in ("source", "release"))
    shutil.copytree(source, handed_in / "solved")
    shutil.copytree(edition, handed_in / "as_handed_out")
    for student, change in CHANGES.items():
        book = nbformat.read(source / "task_2.ipynb", 4)
        change(
            {cell.metadata.get("nbgrader", {}).get("grade_id", cell.id): cell for cell in book.cells},
            book,
        )
        (handed_in / student).mkdir()
        nbformat.write(book, handed_in / student / "task_2.ipynb")
    (handed_in / "no_notebook").mkdir()
    (handed_in / "no_notebook" / "task_2.ipynb").write_text("This is not JSON.")
    (handed_in / "no_archive.zip").write_bytes(b"This is no archive.")
    with zipfile.ZipFile(handed_in / "archived.zip", "w") as archive:
        archive.write(source / "task_4.ipynb", "any/folder/task_4.ipynb")
        archive.writestr("../../climbed.txt", "out")
    commands.mark(course, handed_in)
    assert not list(course.rglob("climbed.txt"))
    return rows_of(course / "marks.csv"), course


def rows_of(table):
    with open(table, newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def cut_tests(cells, book):
    """Deletes a test, renames one, empties one, changes the points and the kind of others, and doubles one."""
    book.cells.remove(cells["task-2-1-grad-cam-visible"])
    book.cells.remove(cells["task-2-3-words"])
    cells["task-2-1-grad-cam-hidden"].metadata.nbgrader.grade_id = "task-2-1-my-own"
    cells["task-2-1-integrated-gradients-visible"].source = "pass"
    cells["task-2-1-integrated-gradients-hidden"].metadata.nbgrader.points = 100
    book.cells.append(copy.deepcopy(cells["task-2-2-visible"]))
    book.cells[-1].id = "again"
    place = book.cells.index(cells["task-2-2-hidden"])
    kept = cells["task-2-2-hidden"]
    book.cells[place] = nbformat.v4.new_markdown_cell(kept.source, id=kept.id, metadata=kept.metadata)
    cells["task-2-1-grad-cam-solution"].metadata.nbgrader.solution = "yes"


def exit_kernel(cells, book):
    cells["task-2-1-integrated-gradients-solution"].source = "import os\nos._exit(1)"


def quit_kernel(cells, book):
    cells["task-2-1-integrated-gradients-solution"].source = "quit()"


def loop(cells, book):
    cells["task-2-1-integrated-gradients-solution"].source = "while True:\n    pass"


def loop_for_good(cells, book):
    cells[
        "task-2-1-integrated-gradients-solution"
    ].source = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"


def print_for_good(cells, book):
    cells["task-2-1-integrated-gradients-solution"].source = "while True:\n    print('x' * 1000)"


PRINTED = """
import sys
from IPython import get_ipython
from IPython.display import display

def say():
    print("All tests passed", file=sys.stderr)
    display(1.0)
    get_ipython().displayhook(0.5)
    get_ipython().set_custom_exc((BaseException,), lambda *_: None)
"""


def print_marks(cells, book):
    """A right answer that writes to stderr; a wrong one that gives out marks, and hides its error."""
    own = cells["task-2-1-grad-cam-solution"]
    own.source = PRINTED + own.source.replace("places = tuple", "say()\n    places = tuple")
    cells[
        "task-2-1-integrated-gradients-solution"
    ].source = "def integrated_gradients(*_):\n    say()\n    return [0, 0]"


WRITES = """
import os
import shutil
from pathlib import Path

course = Path(os.environ["COURSE_UNDER_ATTACK"])  # nothing else is harmed where this goes wrong
for path in [*course.glob("s*/**/task_*.ipynb"), course / "gradebook.db"]:
    path.write_text("gone")
(course / "submitted" / "left_behind.txt").write_text("here")
shutil.rmtree(course / "submitted" / "solved")
for path in Path("..").glob("*/project_a/task_*.ipynb"):
    path.write_text("gone")
"""


def write_elsewhere(cells, book):
    """Overwrites what others handed in, the source and the marks, wherever they may be."""
    cells["task-2-2-solution"].source = WRITES


CHANGES = {
    "cuts_tests": cut_tests,
    "exits": exit_kernel,
    "quits": quit_kernel,
    "loops": loop,
    "loops_for_good": loop_for_good,
    "prints_for_good": print_for_good,
    "prints_marks": print_marks,
    "a_writer": write_elsewhere,  # comes first
}


@pytest.fixture(scope="module", autouse=True)
def the_attacked_folder_is_known(course):
    """The attacker knows where everything lies; it need not search the machine."""
    os.environ["COURSE_UNDER_ATTACK"] = str(course)
    yield
    del os.environ["COURSE_UNDER_ATTACK"]


def got(row):
    """The cells of Task 2 with marks."""
    assert all(float(row[name]) in (0, points) for name, points in TASK_2.items())
    return {name for name in TASK_2 if float(row[name])}


BY_MACHINE = {name for name in TASK_2 if not name.endswith("words")}


def test_the_source_gets_all_marks_that_a_machine_gives(marked):
    rows, course = marked
    row = rows["solved"]
    for task in TASKS:
        for name, points in notebook.points(
            notebook.cells_of(course / "source" / NAME / f"{task}.ipynb")
        ).items():
            assert float(row[name]) == points, name
    assert set(row["to_mark_by_hand"].split()) == {name for name in row if name.endswith("-words")}
    assert float(row["of"]) == 20


def test_the_edition_as_handed_out_gets_none(marked):
    row = marked[0]["as_handed_out"]
    assert float(row["marks"]) == 0 and row["to_mark_by_hand"] == ""


def test_tests_that_were_deleted_renamed_or_edited_are_run_as_they_were(marked):
    assert got(marked[0]["cuts_tests"]) == BY_MACHINE
    assert float(marked[0]["cuts_tests"]["of"]) == 20


@pytest.mark.parametrize("student", ["exits", "quits", "loops_for_good"])
def test_a_kernel_that_is_lost_costs_what_comes_behind(marked, student):
    rows, course = marked
    assert got(rows[student]) == set(GRAD_CAM)
    book = nbformat.read(course / "autograded" / student / NAME / "task_2.ipynb", 4)
    said = {
        output.evalue
        for cell in book.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }
    assert any("of this notebook" in text for text in said)


@pytest.mark.parametrize("student", ["loops", "prints_for_good"])
def test_a_loop_costs_what_needs_its_answer(marked, student):
    lost = {"task-2-1-integrated-gradients-visible", "task-2-1-integrated-gradients-hidden"}
    assert got(marked[0][student]) == BY_MACHINE - lost


def test_what_is_printed_changes_no_marks(marked):
    lost = {"task-2-1-integrated-gradients-visible", "task-2-1-integrated-gradients-hidden"}
    assert got(marked[0]["prints_marks"]) == BY_MACHINE - lost


def test_one_that_writes_elsewhere_harms_no_other(marked):
    rows, course = marked
    assert got(rows["a_writer"]) == BY_MACHINE - {"task-2-2-visible", "task-2-2-hidden"}
    assert not (course / "submitted" / "left_behind.txt").exists()
    for task in TASKS:
        nbformat.read(course / "source" / NAME / f"{task}.ipynb", 4)
        nbformat.read(course / "submitted" / "solved" / NAME / f"{task}.ipynb", 4)


def test_what_is_no_notebook_and_no_archive_gets_no_marks_and_stops_nobody(marked):
    rows, _ = marked
    for student in ("no_notebook", "no_archive"):
        assert float(rows[student]["marks"]) == 0
    of_task_4 = notebook.points(notebook.cells_of(commands.HERE / "source" / NAME / "task_4.ipynb"))
    assert all(float(rows["archived"][name]) == points for name, points in of_task_4.items())


def test_marked_by_hand_the_feedback_leads_to_the_model_answer(marked, tmp_path):
    from nbgrader.api import Gradebook

    rows, course = marked
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for name in rows["solved"]["to_mark_by_hand"].split():
            task = f"task_{name[5]}"
            grade = book.find_grade(name, task, NAME, "solved")
            grade.manual_score, grade.needs_manual_grade = grade.max_score, False
        book.db.commit()
    commands.feedback(course, "https://example.org/walkthrough")
    row = rows_of(course / "marks.csv")["solved"]
    assert float(row["marks"]) == float(row["of"]) == 20 and row["to_mark_by_hand"] == ""
    page = (course / "feedback" / "solved" / NAME / "task_2.html").read_text()
    assert 'href="https://example.org/walkthrough/index.html#answer-task-2-1-words"' in page
    assert "What is said would fit any method" in page, "the mark scheme"
    shown = re.sub(
        r"<[^>]+>", "", (course / "feedback" / "as_handed_out" / NAME / "task_2.html").read_text()
    )
    assert "Write your answer here" in shown


def test_files_are_changed_back_whatever_happened_to_them(tmp_path):
    files = {name: tmp_path / name for name in ("kept", "changed", "deleted", "linked", "same_size")}
    for name, file in files.items():
        file.write_text(name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("inside")
    (tmp_path / "link").symlink_to("nowhere")  # as editors make them
    known = {}
    for _ in range(2):  # what is known of the first time serves the second
        with unchanged([tmp_path], known) as touched:
            files["changed"].write_text("otherwise, and longer")
            files["same_size"].write_text("SAME_SIZE")
            files["deleted"].unlink()
            files["linked"].unlink()
            files["linked"].symlink_to(files["kept"])
            (tmp_path / "new").write_text("new")
            shutil.rmtree(tmp_path / "folder")
            (tmp_path / "link").unlink()
            (tmp_path / "link").mkdir()
        assert str((tmp_path / "link").readlink()) == "nowhere"
        assert {name: file.read_text() for name, file in files.items()} == {
            name: name for name in files
        }
        assert not files["linked"].is_symlink() and not (tmp_path / "new").exists()
        assert (tmp_path / "folder" / "inside").read_text() == "inside"
        names = {Path(path).name for path in touched}
        assert names == {"changed", "same_size", "deleted", "linked", "new", "inside", "link"}

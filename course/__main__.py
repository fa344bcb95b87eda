"""The assignment from one end to the other: ``python -m course release``, ``mark`` and ``feedback``."""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook

from xai_utils.data import DataError
from xai_utils.run.files import send_chatter_to, whole

HERE = Path(__file__).resolve().parent
NAME = "project_a"
LOG = "nbgrader.log"
LARGEST = 50e6  # bytes of all notebooks of a student; outputs are thrown away
MODEL_ANSWERS = "walkthrough/"  # how the mark schemes link to them
WALKTHROUGH = HERE.parent / "report" / "build" / "standard" / "walkthrough"


class CourseError(ValueError):
    """What cannot be done; the message says why and what to do."""


def release(folder, hmt_dir=None):
    """Make the student's edition: ``release/project_a`` and the same as ``release/project_a.zip``."""
    from course.handout import write_data  # TensorFlow takes seconds, and only this needs it

    data = folder / "source" / NAME / "data"
    source = write_data(data, hmt_dir)
    run_nbgrader(folder, "generate_assignment", NAME, "--force")
    edition = folder / "release" / NAME
    shutil.copytree(data, edition / "data")
    shutil.make_archive(str(edition), "zip", edition.parent, NAME)
    print(f"{edition}.zip is what students get (tiles: {source})")


def mark(folder, submissions):
    """Collect the submissions, one folder or zip file a student, and mark what a machine can."""
    if not (folder / "release" / NAME).exists():
        raise CourseError("there is no assignment to mark by: run python -m course release first")
    if not submissions.is_dir():
        raise CourseError(f"{submissions} is no folder: give one with a folder or zip file a student")
    found = sorted(path for path in submissions.iterdir() if path.is_dir() or path.suffix == ".zip")
    if not found:
        raise CourseError(f"{submissions} holds no submission: one folder or zip file a student")
    for path in found:
        collect(path, folder / "release" / NAME, folder / "submitted" / path.stem / NAME)
    try:
        run_nbgrader(folder, "autograde", NAME, "--force")
    finally:  # the others have their marks
        write_marks(folder)


def collect(path, edition, target):
    """Copy a student's notebooks, and nothing else, to ``target``; what cannot be read is left out and said."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as unpacked:
        place = path
        if path.suffix == ".zip":
            place = Path(unpacked)
            try:
                unpack_notebooks(path, place)
            except (zipfile.BadZipFile, OSError, RuntimeError) as error:
                print(f"{path} cannot be unpacked, and has no marks: {error}", file=sys.stderr)
                return
        for name, own in notebooks_in(place, edition).items():
            try:
                book = as_handed_out(nbformat.read(own, as_version=4), nbformat.read(edition / name, 4))
                nbformat.validate(book)
            except Exception as error:  # of a file that anybody may have written
                said = str(error).splitlines()[0]
                print(f"{own} is no notebook, and has no marks: {said}", file=sys.stderr)
            else:
                nbformat.write(book, target / name)


def unpack_notebooks(archive, folder):
    """Unpack the notebooks of an archive, which may hold much more, into a folder."""
    with zipfile.ZipFile(archive) as packed:
        notebooks = [member for member in packed.infolist() if member.filename.endswith(".ipynb")]
        if sum(member.file_size for member in notebooks) > LARGEST:
            raise OSError(f"its notebooks have more than {LARGEST / 1e6:g} MB")
        packed.extractall(folder, notebooks)


def notebooks_in(folder, edition):
    """The notebooks of the assignment in a submission, ``{name: path}``, wherever they lie; of two of a name the
    outermost."""
    names = {path.name for path in edition.glob("*.ipynb")}
    found = [path for path in folder.rglob("*.ipynb") if path.name in names and not path.is_symlink()]
    found.sort(key=lambda path: len(path.parts), reverse=True)
    return {path.name: path for path in found}


def as_handed_out(book, edition):
    """A submitted notebook in which the cells of the assignment are those of the edition but for the answers, and
    no others are known to nbgrader, which stops at them."""
    asked = {
        cell.metadata.nbgrader.grade_id: cell for cell in edition.cells if "nbgrader" in cell.metadata
    }
    for place, cell in enumerate(book.cells):
        name = cell.metadata.pop("nbgrader", {}).get("grade_id")
        if name in asked:
            own = asked.pop(name)
            if own.metadata.nbgrader.solution:
                own.source = cell.source
            book.cells[place] = own
    return book


def feedback(folder, walkthrough):
    """Write a page for each notebook of each student, and the table of marks."""
    run_nbgrader(folder, "generate_feedback", NAME, "--force")
    for page in (folder / "feedback").glob(f"*/{NAME}/*.html"):
        text = page.read_text()
        page.write_text(text.replace(f'href="{MODEL_ANSWERS}', f'href="{walkthrough}/'))
    write_marks(folder)


def write_marks(folder):
    """``marks.csv``: a row a student, the marks of every cell, their sum, and what waits for a marker.

    Who handed in nothing that can be read has no marks.
    """
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        assignment = book.find_assignment(NAME)
        cells = [cell.name for notebook in assignment.notebooks for cell in notebook.grade_cells]
        of = f"{assignment.max_score:g}"
        rows = {
            place.name: ["0", of, "", *["0"] * len(cells)] for place in (folder / "submitted").iterdir()
        }
        for submission in book.assignment_submissions(NAME):
            grades = {g.name: g for notebook in submission.notebooks for g in notebook.grades}
            waiting = " ".join(name for name in cells if grades[name].needs_manual_grade)
            marks = [f"{grades[name].score:g}" for name in cells]
            rows[submission.student.id] = [f"{submission.score:g}", of, waiting, *marks]
    with whole(folder / "marks.csv") as partial, open(partial, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["student", "marks", "of", "to_mark_by_hand", *cells])
        table.writerows([student, *row] for student, row in sorted(rows.items()))
    print(f"{folder / 'marks.csv'}: {len(rows)} students")


def run_nbgrader(folder, *arguments):
    """Run an nbgrader command in the folder of the course; one that fails for a student goes on with the others."""
    log = folder / LOG
    programs = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # it calls alembic
    )
    with tempfile.TemporaryFile() as said:  # elsewhere: what is written here meanwhile is changed back
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=folder,
            env=os.environ | {"PATH": programs},
            stdout=said,
            stderr=said,
        )
        said.seek(0)
        log.write_bytes(said.read())
    if done.returncode:
        raise CourseError(f"nbgrader {' '.join(arguments)} failed; {log} says why")


def main():
    parser = argparse.ArgumentParser(prog="python -m course", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("release", help="make the student's edition")
    one.add_argument("--hmt-dir", help="where the tiles are, as of ./run_all.sh")
    one = commands.add_parser("mark", help="collect and mark a folder of submissions")
    one.add_argument("submissions", type=Path, help="one folder or zip file a student")
    one = commands.add_parser("feedback", help="write feedback and the table of marks")
    one.add_argument("--walkthrough", default=str(WALKTHROUGH), help="where model answers are read")
    asked = parser.parse_args()
    try:
        if asked.command == "release":
            send_chatter_to(HERE / LOG)
            release(HERE, asked.hmt_dir)
        elif asked.command == "mark":
            mark(HERE, asked.submissions)
        else:
            feedback(HERE, asked.walkthrough)
    except (CourseError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

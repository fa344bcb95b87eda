"""The assignment from one end to the other: ``python -m course release``, ``mark`` and ``feedback``."""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import zipfile
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook

from xai_utils.data import DataError
from xai_utils.run.files import send_chatter_to, whole, write

HERE = Path(__file__).resolve().parent
NAME = "project_a"
BOOK, LOG = "gradebook.db", "nbgrader.log"
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
    if source == "synthetic":
        say(
            "The network makes no mistake on synthetic tissue: Task 3 asks for failures, and needs the tiles of HMT"
        )


def mark(folder, submissions):
    """Collect the submissions, one folder or zip file a student, and mark what a machine can."""
    edition = folder / "release" / NAME
    if not (edition.exists() and (folder / BOOK).exists()):
        raise CourseError("there is no assignment to mark by: run python -m course release first")
    for student, path in students_in(submissions, folder).items():
        collect(path, edition, folder / "submitted" / student / NAME)
    try:
        run_nbgrader(folder, "autograde", NAME, "--force")
    finally:  # the others have their marks
        write_marks(folder)


def students_in(submissions, folder):
    """The submissions of a folder, ``{student: path}``, by the names of the folders and zip files in it."""
    if not submissions.is_dir():
        raise CourseError(f"{submissions} is no folder: give one with a folder or zip file a student")
    if submissions.resolve().is_relative_to(folder.resolve()):
        raise CourseError(
            f"{submissions} lies in {folder}, where copies are made: keep what comes in elsewhere"
        )
    found = {}
    for path in sorted(submissions.iterdir()):
        if path.is_dir() or path.suffix.lower() == ".zip":
            student = path.name if path.is_dir() else path.stem
            if student in found or set(student) & set("[]*?"):
                raise CourseError(f"{path}: give each student one name, without [, ], * and ?")
            found[student] = path
        else:
            say(f"{path} is no folder and no zip file, and has no marks")
    if not found:
        raise CourseError(f"{submissions} holds no submission: one folder or zip file a student")
    return found


def collect(path, edition, target):
    """Copy a student's notebooks, and nothing else, to ``target``; what cannot be read is left out and said."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as unpacked:
        place = path
        if not path.is_dir():
            place = Path(unpacked)
            try:
                unpack_notebooks(path, place)
            except Exception as error:  # of a file that anybody may have written
                say(f"{path} cannot be unpacked, and has no marks: {error}")
                return
        for given in sorted(edition.glob("*.ipynb")):
            try:
                own = notebook_in(place, given)
                text = nbformat.writes(as_handed_out(read_notebook(own), nbformat.read(given, 4)))
                write(target / given.name, text)
            except FileNotFoundError:
                say(f"{path} holds no {given.name}, which has no marks")
            except Exception as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                say(f"{own} cannot be read, and has no marks: {reason}")


def unpack_notebooks(archive, folder):
    """Unpack the notebooks of an archive, which may hold much more, into a folder."""
    with zipfile.ZipFile(archive) as packed:
        notebooks = [member for member in packed.infolist() if member.filename.endswith(".ipynb")]
        if sum(member.file_size for member in notebooks) > LARGEST:
            raise OSError(f"its notebooks have more than {LARGEST / 1e6:g} MB")
        packed.extractall(folder, notebooks)


def notebook_in(folder, given):
    """A student's copy of a notebook of the edition, wherever it lies, and if browsers renamed it: as
    ``task_1 (1).ipynb``. Of several the one of the right name, then the outermost, then the newest."""
    found = [
        path
        for path in folder.rglob(f"{given.stem}*.ipynb")
        if path.is_file() and not path.is_symlink()
    ]
    if not found:
        raise FileNotFoundError
    found.sort(key=lambda path: (path.name != given.name, len(path.parts), -path.stat().st_mtime))
    if len(found) > 1:
        say(f"{folder} holds {given.name} {len(found)} times; marked is {found[0]}")
    return found[0]


def read_notebook(path):
    """A notebook of any version of the format, in the newest."""
    if path.stat().st_size > LARGEST:
        raise OSError(f"it has more than {LARGEST / 1e6:g} MB")
    book = nbformat.read(path, as_version=4)
    book = nbformat.v4.upgrade(book, 4, book.nbformat_minor)
    nbformat.validate(book)
    return book


def as_handed_out(book, edition):
    """A submitted notebook in which the cells of the assignment are those of the edition but for the answers.

    What was deleted is there again, as it was handed out, behind what it followed; other cells are not known to
    nbgrader, which would stop at them.
    """
    asked = {
        cell.metadata.nbgrader.grade_id: cell for cell in edition.cells if "nbgrader" in cell.metadata
    }
    places, cells = {}, []
    for cell in book.cells:
        about = cell.metadata.pop("nbgrader", {})
        name = about.get("grade_id") if isinstance(about, dict) else None
        if name in asked and name not in places:
            own = places[name] = asked[name]
            if own.metadata.nbgrader.solution:
                own.source = cell.source
            cell = own
        cells.append(cell)
    behind = -1
    for name, cell in asked.items():
        if name in places:
            behind = max(behind, next(place for place, one in enumerate(cells) if one is cell))
        else:
            behind += 1
            cells.insert(behind, cell)
    names = set()
    for cell in cells:  # a student's cell may have the identity of one that is there again
        if cell.id in names:
            cell.id = uuid.uuid4().hex[:8]
        names.add(cell.id)
    book.cells = cells
    return book


def feedback(folder, walkthrough):
    """Write a page for each notebook of each student, and the table of marks."""
    run_nbgrader(folder, "generate_feedback", NAME, "--force")
    if "://" not in walkthrough and not Path(walkthrough, "index.html").exists():
        say(f"the links to model answers lead nowhere: there is no {walkthrough}/index.html")
    for page in (folder / "feedback").glob(f"*/{NAME}/*.html"):
        text = page.read_text()
        page.write_text(text.replace(f'href="{MODEL_ANSWERS}', f'href="{walkthrough.rstrip("/")}/'))
    write_marks(folder)


def write_marks(folder):
    """``marks.csv``: a row a student, the marks of every cell, their sum, and what waits for a marker.

    Who handed in nothing that can be read has no marks.
    """
    with Gradebook(f"sqlite:///{folder / BOOK}") as book:
        assignment = book.find_assignment(NAME)
        for submission in book.assignment_submissions(
            NAME
        ):  # what could be read last time may be no more
            if not list((folder / "submitted" / submission.student.id).glob(f"{NAME}/*.ipynb")):
                book.remove_submission(NAME, submission.student.id)
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


def say(text):
    print(text, file=sys.stderr)


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
        say(f"error: {error}")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

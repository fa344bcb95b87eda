"""What is taken of a folder of submissions, whatever is in it."""

import copy
import zipfile

import nbformat
import pytest

from course import __main__ as commands

NAME = commands.NAME
EDITION = commands.HERE / "source" / NAME  # the source serves as one


@pytest.fixture
def book():
    return nbformat.read(EDITION / "task_2.ipynb", 4)


def names(book):
    found = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in book.cells]
    return [name for name in found if name]


def collected(folder, capsys):
    commands.collect(folder, EDITION, folder.parent / "target")
    files = sorted(path.name for path in (folder.parent / "target").iterdir())
    return files, capsys.readouterr().err


@pytest.mark.parametrize("minor", [0, 2, 4, 5])
def test_a_notebook_of_any_version_of_the_format_is_taken(book, minor, tmp_path, capsys):
    book.nbformat_minor = minor
    if minor < 5:
        for cell in book.cells:
            del cell["id"]
    (tmp_path / "anna").mkdir()
    nbformat.write(book, tmp_path / "anna" / "task_2.ipynb", version=nbformat.NO_CONVERT)
    files, said = collected(tmp_path / "anna", capsys)
    assert files == ["task_2.ipynb"] and "task_2" not in said
    assert "holds no task_1.ipynb, which has no marks" in said


def test_answers_are_kept_and_all_else_is_as_handed_out(book):
    edition, own = copy.deepcopy(book), copy.deepcopy(book)
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in own.cells if "nbgrader" in cell.metadata}
    cells["task-2-2-solution"].source = "my answer"
    cells["task-2-2-visible"].source = "pass"
    cells["task-2-2-visible"].metadata.nbgrader.update(grade=False, points=100)
    own.cells.append(nbformat.v4.new_code_cell("mine", metadata={"nbgrader": "anything"}))
    made = commands.as_handed_out(own, copy.deepcopy(edition))
    found = {
        cell.metadata.nbgrader.grade_id: cell for cell in made.cells if "nbgrader" in cell.metadata
    }
    for cell in edition.cells:
        if "nbgrader" in cell.metadata:
            name = cell.metadata.nbgrader.grade_id
            expected = "my answer" if name == "task-2-2-solution" else cell.source
            assert (found[name].source, found[name].metadata) == (expected, cell.metadata)
    assert made.cells[-1].source == "mine" and "nbgrader" not in made.cells[-1].metadata


@pytest.mark.parametrize("kept", [[], [0], [5, 6], "without metadata", "twice"])
def test_what_was_deleted_is_there_again_in_its_place(book, kept):
    own = copy.deepcopy(book)
    if kept == "without metadata":
        for cell in own.cells:
            cell.metadata.clear()
    elif kept == "twice":
        own.cells += copy.deepcopy(own.cells)
    else:
        own.cells = [own.cells[place] for place in kept]
    made = commands.as_handed_out(own, copy.deepcopy(book))
    assert names(made) == names(book)
    nbformat.validate(made)
    assert len({cell.id for cell in made.cells}) == len(made.cells)


def test_copies_that_a_browser_renamed_are_taken_and_the_right_name_wins(book, tmp_path, capsys):
    (tmp_path / "anna").mkdir()
    nbformat.write(book, tmp_path / "anna" / "task_2 (1).ipynb")
    files, said = collected(tmp_path / "anna", capsys)
    assert files == ["task_2.ipynb"] and "task_2" not in said
    (tmp_path / "anna" / "task_2.ipynb").write_text("This is not JSON.")
    files, said = collected(tmp_path / "anna", capsys)
    assert files == [] and "holds task_2.ipynb 2 times" in said and "cannot be read" in said


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"cells": 1}', '{"cells":[{"cell_type":"code"}],"nbformat":4}', "\x00"]
)
def test_what_is_no_notebook_is_said(text, tmp_path, capsys):
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "task_2.ipynb").write_text(text)
    files, said = collected(tmp_path / "anna", capsys)
    assert files == [] and "task_2.ipynb cannot be read, and has no marks" in said


def test_what_cannot_be_written_leaves_no_half_file(book, tmp_path, capsys):
    text = nbformat.writes(book).replace("np.maximum", "\\ud800", 1)
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "task_2.ipynb").write_text(text)
    files, said = collected(tmp_path / "anna", capsys)
    assert files == [] and "cannot be read, and has no marks" in said


def test_a_damaged_archive_is_said(book, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "anna.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("task_2.ipynb", nbformat.writes(book))
    content = bytearray((tmp_path / "anna.zip").read_bytes())
    content[200:240] = bytes(range(40))
    (tmp_path / "anna.zip").write_bytes(content)
    files, said = collected(tmp_path / "anna.zip", capsys)
    assert files == [] and "anna.zip cannot be unpacked, and has no marks" in said


def test_an_archive_that_is_much_larger_unpacked_is_not_unpacked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, "LARGEST", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("task_1.ipynb", "x" * 1001)
        archive.writestr("other.bin", "x" * 10_000)
    files, said = collected(tmp_path / "bomb.zip", capsys)
    assert files == [] and "cannot be unpacked, and has no marks: its notebooks have more than" in said


def test_students_are_called_as_their_folders_and_archives(tmp_path, capsys):
    handed_in = tmp_path / "handed_in"
    for name in ("anna.smith", "anna.jones", "Müller, Jörg"):
        (handed_in / name).mkdir(parents=True)
    (handed_in / "bob.ZIP").write_bytes(b"")
    (handed_in / "loose.ipynb").write_text("")
    found = commands.students_in(handed_in, tmp_path / "course")
    assert set(found) == {"anna.smith", "anna.jones", "Müller, Jörg", "bob"}
    assert "loose.ipynb is no folder and no zip file, and has no marks" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names, message",
    [
        (["anna", "anna.zip"], "give each student one name"),
        (["[group 1] anna"], "without [, ], * and ?"),
        ([], "holds no submission"),
        (None, "is no folder"),
    ],
)
def test_what_could_be_marked_for_another_is_refused(names, message, tmp_path):
    handed_in = tmp_path / "handed_in"
    for name in names or []:
        path = handed_in / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"") if path.suffix == ".zip" else path.mkdir()
    if names == []:
        handed_in.mkdir()
    with pytest.raises(commands.CourseError) as error:
        commands.students_in(handed_in, tmp_path / "course")
    assert message in str(error.value)


def test_submissions_are_not_taken_from_where_they_are_copied_to(tmp_path):
    """The copies would be deleted before they are read."""
    (tmp_path / "submitted" / "anna").mkdir(parents=True)
    with pytest.raises(commands.CourseError, match="keep what comes in elsewhere"):
        commands.students_in(tmp_path / "submitted", tmp_path)


def test_there_must_be_an_assignment_to_mark_by(tmp_path):
    with pytest.raises(commands.CourseError, match="run python -m course release first"):
        commands.mark(tmp_path, tmp_path)

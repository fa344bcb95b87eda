"""A notebook of the assignment, run in this process: which tests fail, and what they say."""

import contextlib
import io

import nbformat


def cells_of(path):
    """The code cells of a notebook, ``{name: cell}``, and whatever has no nbgrader name under its cell's."""
    found = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    return {cell.metadata.get("nbgrader", {}).get("grade_id", cell.id): cell for cell in found}


def run(cells, namespace, only=None):
    """Execute cells in a namespace, as Jupyter does where errors are allowed: ``{name: message}`` of those that
    fail. ``only`` are the names of those to execute."""
    failed = {}
    for name, cell in cells.items():
        if only is None or name in only:
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(cell.source, name, "exec"), namespace)
            except Exception as error:  # what a student writes may raise anything
                failed[name] = f"{type(error).__name__}: {error}"
    return failed


def points(cells):
    """``{name: points}`` of the cells that are marked by a machine."""
    graded = {
        name: cell.metadata.nbgrader for name, cell in cells.items() if "nbgrader" in cell.metadata
    }
    return {name: about["points"] for name, about in graded.items() if about["grade"]}

"""The walkthrough: every question of Project A with the cell, the figure and the value that answer
it, beside the executed notebooks.
"""

import copy
import itertools
from pathlib import Path

import nbformat
import yaml

from report import claims
from report.common import EMBEDDED, ReportError, environment, pandoc, value_of

HERE = Path(__file__).resolve().parent
ASSIGNMENT = HERE.parent / "course" / "source" / "project_a"
# What a cell says in Markdown is Markdown alone, whatever names it has taken up.
NOTEBOOK = "ipynb+smart+fenced_divs-raw_html-raw_tex-raw_attribute"


def write_walkthrough(found, folder, places):
    """``index.html`` and a page for each notebook.

    ``places`` are those of the figures, tables and sections of the report and its supplement; a row of the
    rubric that points to another one is an error.
    """
    folder.mkdir()
    for name, notebook in found.notebooks.items():
        write_notebook(notebook, folder / f"{name}.html")
    rubric = yaml.safe_load((HERE / "rubric.yaml").read_text())
    text = (
        environment()
        .from_string((HERE / "walkthrough.md").read_text())
        .render(
            tasks=[task | {"rows": rows(found, task["questions"], places)} for task in rubric],
            notebooks={name: title(notebook) for name, notebook in found.notebooks.items()},
            run=found.run,
            answers=model_answers(),
            claims=lambda: claims.check(found.values, claims.read()[0]),
            link_to=lambda name: link_to(places, name),
            synthetic=found.values["hmt.source"] == "synthetic",
        )
    )
    pandoc(text, "html5", folder / "index.html", [*EMBEDDED, "-Mlang=en"])


def rows(found, questions, places):
    """The rows of the rubric with their addresses and what came out."""
    filled = []
    for question in questions:
        notebook, heading = question["cell"]
        if unknown := set(question["shows"]) - set(places):
            raise ReportError(f"rubric.yaml points to {', '.join(unknown)}, which the report lacks")
        printed = {
            name: environment()
            .from_string(question[name])
            .render(value=lambda key: value_of(found, key), run=found.run)
            for name in ("value", "check")
        }
        filled.append(
            question
            | printed
            | {
                "name": named(question),
                "worth": f"({question['proposed']:g})"
                if "proposed" in question
                else question.get("marks", ""),
                "address": f"{notebook}.html#{cell_under(found.notebooks[notebook], heading)}",
                "shown": [link_to(places, name) for name in question["shows"]],
            }
        )
    return filled


def model_answers():
    """What the assignment gives for answers to its written questions: name, question and text of each."""
    found = []
    for path in sorted(ASSIGNMENT.glob("task_*.ipynb")):
        cells = nbformat.read(path, 4).cells
        for question, answer in itertools.pairwise(
            cell for cell in cells if cell.cell_type == "markdown"
        ):
            if answer.source.startswith("### BEGIN SOLUTION"):
                asked = question.source.splitlines()[0].lstrip("# ")
                about = {
                    "name": answer.metadata.nbgrader.grade_id,
                    "task": path.stem[-1],
                    "asked": asked,
                }
                found.append(about | {"text": "\n".join(answer.source.splitlines()[1:-1])})
    return found


def named(question):
    """The name of a question, where it is one of the course's with an anchor for links."""
    name = question["question"]
    return f"[{name}]{{#{question['id']}}}" if "id" in question else name


def link_to(places, name):
    """A link to a figure, table or section of the report or its supplement."""
    return f"[{places[name].label}](../{places[name].document}.html#{name})"


def cell_under(notebook, heading):
    """The name of the cell with a heading."""
    for cell in notebook.cells:
        lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
        if heading in (line.lstrip("# ") for line in lines if line.startswith("#")):
            return cell.id
    raise ReportError(f"rubric.yaml points to the heading {heading!r}, which no cell has")


def title(notebook):
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def write_notebook(notebook, path):
    """An executed notebook as a page, without what libraries wrote to stderr.

    Pandoc knows no output in Markdown: it becomes a cell of text below the one that made it.
    """
    cells = []
    for cell in copy.deepcopy(notebook.cells):
        cell.metadata.clear()
        cells.append(cell)
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
            said = [out for out in cell.outputs if "text/markdown" in out.get("data", {})]
            cell.outputs = [out for out in cell.outputs if out not in said]
            for count, out in enumerate(said):
                text = f"::: said\n{out['data']['text/markdown']}\n:::"
                cells.append(nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-said-{count}"))
    shown = nbformat.from_dict(notebook | {"cells": cells})
    options = [f"-Mpagetitle={title(notebook)}", "-Mlang=en", "--toc", "--toc-depth=3"]
    options.append("--include-before-body=notebook_head.html")
    pandoc(nbformat.writes(shown), "html5", path, [*EMBEDDED, *options], source=NOTEBOOK)

"""The walkthrough: every row of the rubric leads somewhere."""

from types import SimpleNamespace

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from report import walkthrough
from report.common import ReportError, cell_that_made, split_at_headings
from report.page import Place
from xai_utils.run.files import REPOSITORY

QUESTIONS = [
    question
    for task in yaml.safe_load((REPOSITORY / "report/rubric.yaml").read_text())
    for question in task["questions"]
]


@pytest.fixture
def found():
    outputs = [
        new_output("stream", name="stderr", text="a warning"),
        new_output(
            "display_data", {"text/markdown": "It is **2**.", "text/plain": "<Markdown object>"}
        ),
    ]
    code = new_code_cell("1 + 1", id="sum", execution_count=2, outputs=outputs)
    notebook = new_notebook(cells=[new_markdown_cell("# 1 · One\n\n## Sums", id="head"), code])
    values = {"share": 0.25}
    notebook = split_at_headings(notebook)
    made_in = {"table": ["01", 2], "old": ["01", 7]}
    run = {"profile": "quick", "provenance": {"01": {"by_hand": False}}}
    return SimpleNamespace(notebooks={"01": notebook}, values=values, made_in=made_in, run=run)


ROW = {
    "question": "3a",
    "cell": ["01", "Sums"],
    "shows": ["table"],
    "value": "{{ value('share') | percent }}",
    "check": "See {{ run.profile }}",
}


def test_a_row_has_its_cell_its_place_and_its_value(found):
    (row,) = walkthrough.rows(found, [ROW], {"table": Place("supplement", "Table", "S3")})
    assert row["address"] == "01.html#head-1"
    assert row["shown"] == ["[Table S3](../supplement.html#table)"]
    assert row["value"] == "25.0\u00a0%" and row["check"] == "See quick"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"cell": ["01", "Products"]}, "heading 'Products'"),
        ({"shows": ["figure"]}, "points to figure"),
        ({"value": "{{ value('size') }}"}, "'size'"),
    ],
)
def test_a_row_that_leads_nowhere_fails(found, change, message):
    with pytest.raises(ReportError, match=message):
        walkthrough.rows(found, [ROW | change], {"table": Place("report", "Table", "3")})


def test_the_cell_that_made_a_table_is_found_by_its_execution(found):
    assert cell_that_made(found, "table") == "walkthrough/01.html#sum"
    with pytest.raises(ReportError, match="executed again"):
        cell_that_made(found, "old")


def test_what_was_made_by_hand_leads_to_no_cell(found):
    found.run["provenance"]["01"]["by_hand"] = True
    assert cell_that_made(found, "table") == ""


def test_a_notebook_becomes_a_page_without_chatter(found, tmp_path):
    walkthrough.write_notebook(found.notebooks["01"], tmp_path / "01.html")
    page = (tmp_path / "01.html").read_text()
    assert 'id="sum"' in page and "a warning" not in page
    assert "It is <strong>2</strong>." in page and "Markdown object" not in page
    assert found.notebooks["01"].cells[-1].outputs, "the notebook itself keeps it"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["asks"])
def test_the_rubric_points_to_headings_that_the_notebooks_have(question):
    notebook, heading = question["cell"]
    cells = nbformat.read(REPOSITORY / f"notebooks/{notebook}.ipynb", 4)
    assert walkthrough.cell_under(cells, heading)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["asks"])
def test_what_came_out_is_filled_in_from_the_run(question):
    assert "value('" in question["value"]


def test_the_rubric_has_the_marks_that_the_sources_give():
    # Tasks 1 and 3: questions 3a to 3f and 4.
    given = [0.5, 0.25, 0.25, 0.5, 0.25, 0.5, 1.25]
    assert [q["marks"] for q in QUESTIONS if "marks" in q] == [*given, *given]


@pytest.mark.parametrize(
    "more, name, worth",
    [
        ({}, "3a", ""),
        ({"id": "task-1-3a", "marks": 0.25}, "[3a]{#task-1-3a}", 0.25),
        ({"id": "task-1-3a", "proposed": 1}, "[3a]{#task-1-3a}", "(1)"),
    ],
)
def test_marks_that_we_propose_stand_in_brackets(found, more, name, worth):
    (row,) = walkthrough.rows(found, [ROW | more], {"table": Place("supplement", "Table", "S3")})
    assert (row["name"], row["worth"]) == (name, worth)

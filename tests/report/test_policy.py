"""The pages keep their policy: they load nothing from elsewhere, and nothing that is put into them runs."""

import shutil

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from report import build, explorer, walkthrough
from tests.report import built
from tests.report.test_explorer import a_run

TEXT = """---
title: A page
abstract: Of $x^2$.
---

# Introduction {#introduction}

As said [@kather2016texture], ![a picture](picture.svg) of `code`.

| Left | Right | Neither |
|:-----|------:|---------|
| a    |     1 | b       |

: A table.
"""
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"><style>* { fill: red }</style><circle r="4"/></svg>'


@pytest.fixture
def pages(tmp_path):
    """A page of every kind that a report has."""
    folder = tmp_path / "report"
    folder.mkdir()
    shutil.copy(build.HERE / "refs.bib", folder)
    shutil.copy(build.TEMPLATES / "style.css", folder)
    (folder / "picture.svg").write_text(PICTURE)
    texts = dict.fromkeys(("report", "supplement"), TEXT)
    build.write_html(texts, folder)
    build.write_single_file(texts | {"supplement": TEXT.replace("{#introduction}", "")}, folder)
    (folder / "walkthrough").mkdir()
    walkthrough.write_notebook(a_notebook(), folder / "walkthrough/01.html")
    explorer.write_explorer(a_run(tmp_path / "run"), folder / "explorer")
    return folder


def a_notebook():
    """With code, a table of pandas, a picture, and an output that has its look in attributes, as Keras' summary."""
    table = pd.DataFrame({"a": np.arange(2)})._repr_html_()
    look = '<pre style="white-space: pre">Model <span style="color: #00af00">13,960</span></pre>'
    data = [{"text/html": table}, {"text/html": look}, {"image/svg+xml": PICTURE}]
    outputs = [new_output("display_data", own | {"text/plain": "shown"}) for own in data]
    cells = [new_markdown_cell("# 1 · One", id="head"), new_code_cell("def f(): return 1", id="code")]
    cells[1].outputs = outputs
    return new_notebook(cells=cells)


def test_every_page_keeps_its_policy(pages, browser):
    assert len(list(pages.rglob("*.html"))) == 5
    built.check_policy(pages, browser)


def test_looks_survive_the_policy(pages, browser):
    """Alignment of columns, the style sheet, and colours that an output came with."""
    tab = browser.new_page()

    def look(selector, name):
        return tab.eval_on_selector(selector, "(one, name) => getComputedStyle(one)[name]", name)

    for file in ("report.html", "single_file.html"):
        tab.goto((pages / file).as_uri())
        sides = [look(f"tbody td:nth-child({place})", "textAlign") for place in (1, 2)]
        assert sides == ["left", "right"] and look(".scroll", "overflowX") == "auto"
    tab.goto((pages / "walkthrough/01.html").as_uri())
    assert (
        look(".output span", "color") == "rgb(0, 175, 0)" and look("thead th", "textAlign") == "right"
    )
    assert look(".sourceCode .kw", "color") == "rgb(0, 112, 32)"


@pytest.mark.parametrize(
    "page",
    [
        "<p>no policy",
        "<script>1</script>",
        '<p onclick="a()">',
        '<p style="color: red">',
        '<a href="javascript:1">',
    ],
)
def test_what_offends_is_found(page):
    policy = (
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:">"""
    )
    assert built.offences(policy) == []
    assert len(built.offences(page if "no policy" in page else policy + page)) == 1
    assert len(built.offences(policy.replace("data:", "'unsafe-inline'"))) == 1

"""Names with meaning to a browser, to Markdown, LaTeX or Typst, in every place that shows names of the user's."""

import os
import shutil
import subprocess
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from report import build, explorer, walkthrough
from report.common import environment, plain
from report.page import Page, Place
from tests.conftest import small_network
from tests.report import built
from tests.report.test_build import SVG
from tests.report.test_explorer import answered, found_in, hand_on, opened, shows
from xai_utils.run.part import SCORE_COLUMNS

pytestmark = pytest.mark.campaign("Hostile names and pages: shown as text, nothing executed")

NAMES = {
    "script": "<script>window.hacked = 1</script>",
    "end of a script": '</script><script src="x.js"></script>',
    "image": '<img src=x onerror="window.hacked = 1">',
    "photograph": "n02133161_<b>x</b>.JPEG",
    "end of an attribute": '"><svg onload=window.hacked=1>',
    "style": '<p style="position:fixed">',
    "entity": "&lt;script&gt;&#60;b&#62;",
    "template of a shell": "${7*7} $(touch canary) `touch canary`",
    "template of Jinja": "{{7*7}}{% raw %}{# x #}",
    "input": r"\input{/etc/passwd}",
    "write18": r"\write18{touch canary}\immediate\openout5=canary",
    "end of a document": r"\end{document}",
    "mathematics": "$x^2$ and $\\frac{$",
    "a cell": "a|b & c \\\\ \\hline",
    "a link": "[click](javascript:window.hacked=1)",
    "a citation": "[@key] @kather2016texture",
    "a comment": "100 % <!-- of it",
    "raw LaTeX": r"`\input{canary}`{=latex}",
    "raw Typst": '#read("/etc/passwd") `#panic()`{=typst}',
    "Markdown": "# *a* _b_ ~c~ ^d^ ::: {.x} --- ... 1. x",
    "a marker": "@@curves@@ {#curves} [x](#curves)",
    "lines": "two\nlines\n\n---\ntitle: hacked\n---\n",
    "turned around": "abc\u202edef\u2066ghi",
    "no letters": "a\x00b\x07\x7f",
    "other letters": "日本 \u0627\u0644 🐻 é ﬁ",
    "prototype": "__proto__",
    "constructor": "constructor",
    "long": "Bär" * 80,
    "spaces": "  a\tb  ",
    "path": "../../canary",
}
DOCUMENT = """---
title: Names
author: Somebody
date: |-
  {{ value("name") }}
abstract: |
  Of {{ value("name") }} and others.
---

{{ value("name") }} begins a line before {{ ref("curves") }} and {{ ref("names") }}; {{ value("names") | listed }} ends one.

{{ figure("curves", "Curves of " ~ value("name") ~ ", and more. A sentence") }}

{{ table("names", "Names as " ~ value("name"), {"name": "Name", "head": "Named " ~ value("name"), "share": ("Share", ".2f")}) }}
"""


@pytest.fixture(params=NAMES)
def name(request):
    return NAMES[request.param]


def seen(text):
    """A text as it is seen, spaces alike."""
    return " ".join(plain(text).split())


def filled(form, folder, name):
    """A document in which a name stands in every place that a text of the run can have."""
    for place in ("figures", "data"):
        (folder / place).mkdir(exist_ok=True)
    (folder / "figures/curves.svg").write_text(SVG)
    Image.new("RGB", (8, 4)).save(folder / "figures/curves.pdf")
    shutil.copy(build.HERE / "refs.bib", folder)
    shutil.copy(build.TEMPLATES / "style.css", folder)
    rows = {"columns": ["name", "head", "share"], "data": [[name, name, 0.5]]}
    found = SimpleNamespace(
        values={"name": name, "names": ["a", name]},
        tables={"names": rows},
        made_in={"curves": ["01", 1]},
        run={"provenance": {"01": {"by_hand": True}}},
    )
    places = {"curves": Place("report", "Fig.", "1"), "names": Place("report", "Table", "1")}
    page = Page(form, "report", folder, found, {}, places)
    called = {"value": page.value, "figure": page.figure, "table": page.table, "ref": page.ref}
    return environment().from_string(DOCUMENT).render(**called)


def check_page(browser, file, name, times):
    """A page shows a name so often, as a text, and nothing of it ran."""
    assert built.offences(file.read_text()) == []
    tab, said = browser.new_page(), []
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(file.as_uri(), wait_until="load")
    assert seen(tab.text_content("body")).count(seen(name)) >= times
    others = (
        "script, svg, iframe, b, hr, a[href^='javascript'], img:not([src^='figures/'], [src^='data:'])"
    )
    assert tab.eval_on_selector_all(others, "all => all.map((one) => one.outerHTML)") == []
    assert tab.evaluate("window.hacked") is None and said == []
    assert "hacked" not in tab.title()
    tab.close()


@pytest.mark.parametrize("form", ["html", "single"])
def test_a_name_in_the_report_is_text(form, name, browser, tmp_path):
    text = filled(form, tmp_path, name)
    if form == "html":
        build.write_html({"report": text}, tmp_path)
        file = tmp_path / "report.html"
    else:
        build.write_single_file(
            {"report": text, "supplement": "---\ntitle: More\n---\n\nMore."}, tmp_path
        )
        file = tmp_path / "single_file.html"
    check_page(browser, file, name, 8)


@pytest.mark.parametrize("maker", ["LaTeX", "Typst"])
def test_a_name_in_print_is_text(maker, name, tmp_path, monkeypatch):
    if maker == "LaTeX" and not build.has_tex():
        pytest.skip("LaTeX is not installed")
    monkeypatch.setattr(build, "has_tex", lambda: maker == "LaTeX")
    folder = tmp_path / "partial" / "new"  # a log of what fails is put beside the partial folder
    folder.mkdir(parents=True)
    texts = [{"report": filled(form, folder, name)} for form in ("latex", "typst")]
    build.write_pdf(*texts, folder, epoch=0)
    assert not any("canary" in file for *_, files in os.walk(tmp_path) for file in files)
    if not shutil.which("pdftotext"):
        pytest.skip("what is printed can only be read where there is pdftotext")
    read = subprocess.run(["pdftotext", folder / "report.pdf", "-"], capture_output=True, text=True)
    assert "root:" not in read.stdout and "49" not in read.stdout
    assert letters(read.stdout).count(letters(name)) >= 6 or not name.isascii()


def letters(text):
    """The letters and digits of a text: marks are printed in more than one way, and words broken."""
    return "".join(letter for letter in text if letter.isascii() and letter.isalnum())


@pytest.fixture
def explored(name, tmp_path, monkeypatch):
    """An explorer of signals of which a name is that of the second sample, and of a class."""
    rng, run = np.random.default_rng(0), tmp_path / "run"
    (run / "parts").mkdir(parents=True)
    maps = {method: (np.arange(3), rng.random((3, 40))) for method in ("grad_cam", "random")}
    said = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    names, classes = np.array(["first", name + ".", "last"]), np.array(["zero", name, "two"])
    given = (
        rng.normal(size=(3, 40, 1)),
        np.array([0, 1, 1]),
        names,
        classes,
        said,
        maps,
        small_network(1),
    )
    hand_on(run, "mnist1d", *given, fills={"black": 0.0})
    usual = explorer.ABOUT["mnist1d"]["usual"]
    rows = [["mnist1d", "ours", "grad_cam", *usual, str(one), 0.5] for one in names]
    pd.DataFrame(rows, columns=SCORE_COLUMNS).to_csv(run / "scores.csv", index=False)
    monkeypatch.setattr(explorer, "ABOUT", {"mnist1d": explorer.ABOUT["mnist1d"]})
    explorer.write_explorer(found_in(run), tmp_path / "explorer")
    return tmp_path / "explorer"


def test_a_name_in_the_explorer_is_text(name, explored, browser):
    assert built.offences((explored / "index.html").read_text()) == []
    tab, said = opened(browser, explored)
    tab.set_default_timeout(10_000)
    assert seen(tab.text_content("#true option:nth-child(3)")) == seen(name)
    tab.select_option("#true", index=2)  # the class of that name, and then any
    tab.select_option("#true", index=0)
    tab.select_option("#samples", index=1)
    shows(tab, "classified")
    assert seen(tab.text_content("#name")).startswith(
        seen(f"{plain(name + '.')}: {plain(name)}, classified")
    )
    assert seen(name) in seen(tab.text_content("#explained"))
    assert answered(tab).shape == (3,)
    for button in ("#clear", "#invert", ".panel[data-method=random] button"):
        tab.click(button)
        answered(tab)
    tab.click("#asked")
    assert seen(name) in seen(tab.text_content("#answer"))
    tab.wait_for_url("**/index.html#mnist1d/*")
    tab.reload()
    tab.wait_for_selector(".panel")
    assert tab.eval_on_selector("#samples", "one => one.selectedIndex") == 1
    assert tab.evaluate("window.hacked") is None
    assert tab.query_selector("body script:not([src]), svg[onload], img, iframe") is None
    assert said == []


@pytest.mark.parametrize(
    "address", ["constructor/a", "__proto__/a", "toString", "mnist1d/%", "/", "%/<script>"]
)
@pytest.mark.parametrize("name", ["constructor"], indirect=True)
def test_no_address_breaks_the_explorer(address, explored, browser):
    tab, said = browser.new_page(), []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(f"{(explored / 'index.html').as_uri()}#{address}")
    tab.wait_for_selector(".panel")
    assert said == []


def a_notebook(name):
    """An executed notebook that has said a name in every way that notebooks say something."""
    with pd.option_context("display.max_colwidth", None):
        table = pd.DataFrame({"class": [name]}).to_html()
    name = name.replace("\x00", "")  # no notebook holds it
    outputs = [
        new_output("display_data", {"text/html": table, "text/plain": "a table"}),
        new_output("display_data", {"text/markdown": f"It is {name}.", "text/plain": "Markdown"}),
        new_output("display_data", {"application/javascript": "window.hacked = 1", "text/plain": name}),
        new_output("stream", name="stdout", text=name),
    ]
    cells = [
        new_markdown_cell("# 1 · One\n\nOf $x^2$.", id="head"),
        new_code_cell(f"name = {name!a}", id="said"),
    ]
    cells[1].outputs = outputs
    return new_notebook(cells=cells)


def test_a_name_in_a_notebook_is_text(name, browser, tmp_path):
    notebook = nbformat.reads(nbformat.writes(a_notebook(name)), 4)
    walkthrough.write_notebook(notebook, tmp_path / "01.html")
    assert "window.hacked=1</" not in (tmp_path / "01.html").read_text()
    tab, said = browser.new_page(), []
    tab.on("console", lambda message: said.append(message.text))
    tab.goto((tmp_path / "01.html").as_uri(), wait_until="load")
    shown = tab.eval_on_selector_all(".output pre", "all => all.map((one) => one.textContent)")
    expected = seen(name.replace("\x00", ""))
    assert [seen(one) == expected for one in shown] == [True, True]
    assert tab.evaluate("window.hacked") is None and said == []
    assert tab.query_selector("script, body svg, img[onerror], iframe") is None
    tab.close()


def test_a_name_in_the_walkthrough_is_text(name, browser, tmp_path, monkeypatch):
    rubric = """
- task: Task
  questions:
    - {question: "1", asks: Name it, cell: ["01", One], shows: [], value: "{{ value('name') }}", check: Look}
"""
    (tmp_path / "rubric.yaml").write_text(rubric)
    shutil.copy(walkthrough.HERE / "walkthrough.md", tmp_path)
    monkeypatch.setattr(walkthrough, "HERE", tmp_path)
    notebook = new_notebook(cells=[new_markdown_cell("# One", id="head")])
    found = SimpleNamespace(
        notebooks={"01": notebook},
        values={"name": name, "hmt.source": "synthetic"},
        run={"profile": name, "commit": name},
    )
    walkthrough.write_walkthrough(found, tmp_path / "walkthrough", {})
    check_page(browser, tmp_path / "walkthrough/index.html", name, 3)

"""Filling the report: numbers, tables and figures in, and nothing made up."""

import re
from types import SimpleNamespace

import nbformat
import pytest

from report import build
from report.common import ReportError, tile
from report.page import PREFIX, SUFFIXES, Page, Place, _escape_latex, placed, sections_of
from xai_utils.attributions import METHODS
from xai_utils.metrics import METRICS
from xai_utils.run.files import REPOSITORY

SVG = '<svg width="72pt" height="36pt" xmlns="http://www.w3.org/2000/svg"></svg>'


@pytest.fixture(params=SUFFIXES)
def page(request, tmp_path):
    for name in ("figures", "data"):
        (tmp_path / name).mkdir()
    for name in ("curves", "maps"):
        (tmp_path / f"figures/{name}.svg").write_text(SVG)
        (tmp_path / f"figures/{name}.pdf").touch()
        (tmp_path / f"data/{name}.csv").touch()
    tables = {
        "scores": {"columns": ["name", "share"], "data": [["a_b", 0.25], ["c", None]]},
        "methods": {"columns": ["name", "title"], "data": [["grad_cam", "Grad-CAM"]]},
    }
    cells = [nbformat.v4.new_code_cell(id="cell-03", execution_count=4)]
    found = SimpleNamespace(
        values={"data.size": 3},
        tables=tables,
        made_in={"curves": ["01", 4], "maps": ["01", 4]},
        notebooks={"01": nbformat.v4.new_notebook(cells=cells)},
        run={"provenance": {"01": {"by_hand": False}}},
    )
    known = {"curves": Place("report", "Fig.", "1"), "more": Place("supplement", "Table", "S2")}
    return Page(request.param, "report", tmp_path, found, {}, known)


def test_a_value_that_no_run_produced_fails(page):
    assert page.value("data.size") == 3
    with pytest.raises(ReportError, match="data.length"):
        page.value("data.length")


def test_figures_and_tables_that_no_run_produced_fail(page):
    with pytest.raises(ReportError, match="no notebook made"):
        page.figure("histogram", "A histogram")
    with pytest.raises(ReportError, match="no notebook recorded"):
        page.table("sizes", "Sizes", {"n": "n"})


def test_a_reference_to_what_is_not_shown_fails(page):
    with pytest.raises(ReportError, match="not shown"):
        page.ref("histogram")


def test_what_stands_in_the_other_document_is_referred_to_by_its_number(page):
    shown = {"html": "[Table S2](supplement.html#more)", "single": "[Table S2](#more)"}
    assert page.ref("more") == shown.get(page.form, "Table\u00a0S2")
    own = {"latex": "`Fig.~\\ref{curves}`{=latex}"}
    assert page.ref("curves") == own.get(page.form, "[Fig. 1](#curves)")


def test_figures_are_numbered_in_their_order_and_by_document(page):
    page.figure("maps", "Maps. With a sentence")
    page.figure("curves", "Curves")
    assert [place.label for place in page.places.values()] == ["Fig. 1", "Fig. 2"]
    other = Page(page.form, "supplement", page.folder, page.found, page.places, {})
    other.figure("both", "Both", parts=["maps", "curves"])
    assert page.places["both"] == Place("supplement", "Fig.", "S1")


def test_a_figure_made_by_hand_says_so_and_leads_to_no_cell(page):
    page.found.run["provenance"]["01"]["by_hand"] = True
    shown = page.figure("curves", "Curves")
    assert ("by hand" in shown) == (page.form == "html") and "walkthrough" not in shown


def test_parts_stand_beside_each_other_where_the_figure_is_wide(page):
    wide = page.figure("both", "Both", wide=True, parts=["maps", "curves"])
    narrow = page.figure("again", "Again", parts=["maps", "curves"])
    for name in ("maps", "curves"):
        assert f"figures/{name}." in wide and f"figures/{name}." in narrow
    between = {"latex": r"\hfill", "typst": "columns: 2"}.get(page.form, 'class="wide parts"')
    assert between in wide and between not in narrow


def test_two_things_of_one_name_fail(page):
    page.figure("maps", "Maps")
    with pytest.raises(ReportError, match="two things named 'maps'"):
        page.figure("maps", "Maps again")


def test_tables_say_what_is_undefined(page):
    text = page.table("scores", "Scores", {"name": "Name", "share": ("Share", ".1%")})
    assert "25.0%" in text.replace("\\%", "%") and "undefined" in text


def test_latex_marks_are_escaped():
    assert _escape_latex("30 % of a_b & c → d") == r"30 \% of a\_b \& c $\rightarrow$ d"


def test_tables_can_cite(page):
    page.found.tables["scores"]["data"][0][0] = "kather2016"
    text = page.table("scores", "Scores", {"name": ("Source", "cite")})
    assert {"latex": r"\cite{kather2016}"}.get(page.form, "[@kather2016]") in text


def test_every_citation_has_an_entry_and_every_entry_is_cited():
    prose = "".join((REPOSITORY / f"report/{name}.md").read_text() for name in PREFIX)
    cited = set(re.findall(r"@(\w+)", prose))
    cited |= {method.citation for method in METHODS.values() if method.citation}
    cited |= {metric.citation for metric in METRICS.values()}
    entries = set(re.findall(r"@\w+\{(\w+),", (REPOSITORY / "report/refs.bib").read_text()))
    assert cited == entries


def test_prose_holds_no_measured_number():
    """Rates and accuracies come from the run. What may stand: the settings of the course."""
    prose = "".join((REPOSITORY / f"report/{name}.md").read_text() for name in PREFIX)
    prose = re.sub(
        r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?\}|\[?@\w+|SHA-256|MNIST-1D|1-D|F1|Task \d(?:\.\d)?|VGG-7|VOC 2007|MobileNetV2|VGG-16|ResNet-50|\$\$.*?\$\$|\$.*?\$",
        "",
        prose,
        flags=re.S,
    )
    allowed = {"90", "95", "30", "4", "8", "40", "25", "150", "255"}
    assert set(re.findall(r"\d+(?:\.\d+)?", prose)) <= allowed


@pytest.mark.parametrize("page", ["html"], indirect=True)
def test_a_figure_on_the_screen_keeps_its_place_and_leads_to_its_cell_and_its_numbers(page):
    (page.folder / "data/maps.npz").touch()
    text = page.figure("maps", "Maps")
    assert "(walkthrough/01.html#cell-03)" in text
    assert "(data/maps.csv)" in text and "(data/maps.npz)" in text
    assert 'width="96" height="48" loading="lazy"' in text


def test_tiles_are_named_in_words():
    words = "tile 13859 (image 04_033, row 601, column 1)"
    assert tile("13859_CRC-Prim-HE-04_033.tif_Row_601_Col_1.tif") == words
    assert tile("13859_CRC-Prim-HE-04_033.tif_Row_601_Col_1") == words
    assert tile("test-3-0001") == "test-3-0001"


def test_sections_are_numbered_as_they_are_printed():
    text = """# One {#one}

## Part

## Named {#named}

```{=latex}
# no heading
```

# Not counted {-}

# Two {#two}
"""
    assert {name: place.label for name, place in sections_of(text, "supplement").items()} == {
        "one": "Section S1", "named": "Section S1.2", "two": "Section S2",
    }  # fmt: skip


def test_on_a_page_floats_stand_behind_the_paragraph_that_mentions_them_first():
    one = '<figure id="one" class="">\n<div>\n</div>\n<figcaption>\n\nOne.\n\n</figcaption>\n</figure>'
    two = "| A |\n| :--- |\n| b |\n\n: Two. {#two}"
    late = one.replace("one", "late")
    text = "\n\n".join(
        [one, two, "First.", "See [Fig. 1](#one), [Table 1](#two), [Fig. 2](#late).", "Last.", late]
    )
    told = "See [Fig. 1](#one), [Table 1](#two), [Fig. 2](#late)."
    assert placed(text).strip() == "\n\n".join(["First.", told, one, two, "Last.", late])


def test_no_name_is_given_in_both_documents():
    names = [
        set(re.findall(r"\{#([\w-]+)", (REPOSITORY / f"report/{name}.md").read_text()))
        for name in PREFIX
    ]
    assert not names[0] & names[1]


@pytest.mark.parametrize("page", ["html"], indirect=True)
def test_a_figure_that_the_text_never_mentions_fails(page, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HERE", tmp_path)
    show = '{{ figure("maps", "Maps") }}'
    (tmp_path / "supplement.md").write_text("# More {#more}")
    (tmp_path / "report.md").write_text(show)
    with pytest.raises(ReportError, match="shows maps and never refers"):
        build.fill(page.found, "html", page.folder)
    (tmp_path / "report.md").write_text('{{ ref("maps") }} and {{ ref("more") }}. ' + show)
    texts, places = build.fill(page.found, "html", page.folder)
    assert "[Fig. 1](#maps) and [Section S1](supplement.html#more)" in texts["report"]
    assert {name: place.label for name, place in places.items()} == {
        "maps": "Fig. 1",
        "more": "Section S1",
    }


def test_a_profile_that_was_not_run_is_said(output):
    with pytest.raises(ReportError, match="run ./run_all.sh --profile quick"):
        build.build("quick")


def test_a_p_value_is_not_broken_across_lines(page):
    page.found.values["told"] = "It is better (p < 0.0001), map = 3."
    assert page.value("told") == "It is better (p\u00a0<\u00a00.0001), map = 3."

"""Filling the report: numbers, tables and figures in, and nothing made up."""

import re
import shutil
from types import SimpleNamespace

import nbformat
import pypandoc
import pytest

from report import build, common, walkthrough
from report.common import MARKDOWN, ReportError, ended, escaped, guarded, plain, tile, unescaped
from report.page import PREFIX, SUFFIXES, Page, Place, _escape_latex, placed, sections_of
from tests.report import built
from xai_utils.attributions import METHODS
from xai_utils.metrics import METRICS
from xai_utils.run.files import REPOSITORY

SVG = '<svg width="72pt" height="36pt" xmlns="http://www.w3.org/2000/svg"></svg>'


@pytest.mark.parametrize("name", ["a&b #1 %20 (copy)", "報告 書", "100%", "what?"])
def test_the_report_may_lie_in_any_folder(name, tmp_path, monkeypatch):
    """Its templates, style and references, and what it is written to."""
    place, folder = tmp_path / name / "report", tmp_path / name / "built"
    shutil.copytree(common.TEMPLATES, place / "templates")
    shutil.copy(build.HERE / "refs.bib", place)
    (folder / "figures").mkdir(parents=True)
    (folder / "figures/curves.svg").write_text(SVG)
    monkeypatch.setattr(common, "TEMPLATES", place / "templates")
    monkeypatch.setattr(build, "has_tex", lambda: False)
    text = "# One {#one}\n\nAs said [@selvaraju2017gradcam].\n\n![Curves](figures/curves.svg)\n"
    texts = dict.fromkeys(PREFIX, text)
    build.write_html(texts, folder)
    build.write_single_file(texts, folder)
    build.write_pdf(texts, texts, folder, 0)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")])
    walkthrough.write_notebook(notebook, folder / "notebook.html")
    style = (common.TEMPLATES / "style.css").read_text().split("{")[0].strip()
    pages = {
        page: (folder / f"{page}.html").read_text() for page in ("report", "single_file", "notebook")
    }
    assert "Selvaraju" in pages["report"] and "figures/curves.svg" in pages["report"]
    assert "<svg" in pages["single_file"] or "data:image/svg" in pages["single_file"]
    assert style in pages["single_file"] and style in pages["notebook"]
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")


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
    marks = (
        r"\textbackslash{}input\{x\}\textasciicircum{}\textasciitilde{}\textless{}b\textgreater{}-{}-"
    )
    assert _escape_latex(escaped("\\input{x}^~<b>--")) == marks


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
    assert unescaped(page.value("told")) == "It is better (p\u00a0<\u00a00.0001), map = 3."


@pytest.mark.parametrize(
    "text", ["a_b", "*a* [b](c) <d> $e$ `f` @g | h", "\\\\*", "# i", "j\n\n- k", "it's"]
)
def test_a_text_of_the_run_is_shown_as_it_is(page, text):
    page.found.values |= {"told": text, "several": [[text, 3], "b"]}
    assert page.value("several") == [[page.value("told"), 3], "b"]
    shown = pypandoc.convert_text(page.value("told"), "plain", MARKDOWN, extra_args=["--wrap=none"])
    assert (
        shown.strip().replace("’", "'")
        == " ".join(text.split())
        == unescaped(page.value("told")).replace("  ", " ")
    )


def test_what_would_break_or_turn_a_line_is_taken_out():
    assert plain("a\r\nb\u2028c\u202ed\x00\udcff é🐻") == "a b c\ufffdd\ufffd\ufffd é🐻"


def test_a_page_has_a_policy_and_its_styles_are_rules():
    html = (
        '<head><meta charset="utf-8" /><style>p {}</style></head>'
        '<td class="a" style="color: &#39;x&#39;">style="b"</td><p style="c"><td style="c">'
    )
    made = guarded(html)
    assert built.offences(made) == []
    assert '<td class="a" data-style="0">style="b"</td><p data-style="1"><td data-style="1">' in made
    assert """[data-style="0"] { color: 'x' }""" in made
    assert made.count("'sha256-") == 2


def test_a_run_ended_when_its_last_notebook_did(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    notebooks = {}
    for second in (1, 3, 2):
        about = {"papermill": {"end_time": f"2026-01-01T00:00:0{second}.9+00:00"}}
        notebooks[str(second)] = nbformat.v4.new_notebook(metadata=about)
    notebooks["by hand"] = nbformat.v4.new_notebook()
    assert ended(SimpleNamespace(notebooks=notebooks)) == 1767225603
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    assert ended(SimpleNamespace(notebooks=notebooks)) == 7


def test_what_is_built_again_is_the_same_to_the_byte(tmp_path, monkeypatch):
    """Whatever the folder, by LaTeX and by Typst."""
    text = {
        "report": "---\ntitle: A\nauthor: B\nabstract: C\n---\n\n# One {#one}\n\nAs said [@kather2016texture]."
    }
    for has_tex in {False, build.has_tex()}:
        monkeypatch.setattr(build, "has_tex", lambda has_tex=has_tex: has_tex)
        made = []
        for name in ("plain", "ein Täubchen", "50 %20 #1"):
            folder = tmp_path / f"{name} {has_tex}"
            folder.mkdir()
            shutil.copy(build.HERE / "refs.bib", folder)
            build.write_pdf(text, text, folder, epoch=1_700_000_000)
            kept = [file for file in sorted(folder.iterdir()) if file.suffix in build.KEPT]
            made.append({file.name: file.read_bytes() for file in kept})
        assert made[0] == made[1] == made[2] and b"2023" in made[0]["report.pdf"]

"""Where figures and tables stand, read from PDFs whose layout is known."""

import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from report import layout
from report.build import has_tex
from report.common import ReportError
from report.layout import Word

PREAMBLE = r"""
\usepackage{graphicx}
\usepackage[hidelinks]{hyperref}
\raggedbottom
\begin{document}
\title{A title}\author{\IEEEauthorblockN{Nobody}}\maketitle
"""
PAPER = r"\documentclass[conference]{IEEEtran}" + PREAMBLE.replace(
    r"\raggedbottom", r"\renewcommand{\thetable}{\arabic{table}}\raggedbottom"
)
SUPPLEMENT = r"\documentclass[conference,onecolumn]{IEEEtran}" + PREAMBLE.replace(
    r"\raggedbottom",
    r"""\renewcommand{\thefigure}{S\arabic{figure}}
    \renewcommand{\thetable}{S\arabic{table}}
    \renewcommand{\thesection}{S\arabic{section}}""",
)
GOOD = {"pages": 14, "floats": [], "empty": [0.3, 0.3, 0.9], "misplaced": []}

needs_tex = pytest.mark.skipif(
    not (has_tex() and all(map(shutil.which, layout.TOOLS))), reason="needs LaTeX and poppler-utils"
)


def figure(name, caption="Some caption.", kind="figure"):
    return (
        rf"\begin{{{kind}}}[!htbp]\centering\rule{{2in}}{{1in}}"
        rf"\caption{{{caption}}}\label{{{name}}}\end{{{kind}}}"
    )


def table(name, kind="table"):
    return (
        rf"\begin{{{kind}}}[!htbp]\caption{{Some numbers in a table}}\label{{{name}}}"
        rf"\centering\begin{{tabular}}{{ll}}a & b \\ c & d\end{{tabular}}\end{{{kind}}}"
    )


def text(count):
    return " ".join(f"word{number % 97}" for number in range(count)) + "\n\n"


def typeset(folder, name, content):
    (folder / f"{name}.tex").write_text(content + r"\end{document}")
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A paper of five pages, the second of them half empty, and a supplement of three sections."""
    folder = tmp_path_factory.mktemp("built")
    paper = [
        PAPER + r"\section{First}",
        r"See Fig.~\ref{good} (Fig.~\ref{late}; Table~\ref{numbers}), Fig.~S1 and Table~\ref{wide}.",
        figure("good", r"A caption of several lines that speaks of Fig.~\ref{good} and of more." * 2),
        table("numbers"),
        figure("early"),
        table("wide", "table*"),
        text(850) + r"\clearpage",
        text(660) + r"\clearpage",
        r"Here is Fig.~\ref{early}.",
        figure("late") + figure("silent") + figure("broad", kind="figure*"),
        r"It ends with Fig.~\ref{broad}, " + text(30),
    ]
    supplement = [
        SUPPLEMENT + r"\section{First}",
        r"See Fig.~\ref{good}, not Fig.~3, and Table~\ref{drifts}.",
        figure("good") + text(200),
        r"\section{Second}",
        table("drifts") + text(2000),
        r"\section{Third}",
        figure("before") + figure("silent"),
        r"See Fig.~\ref{before}.",
    ]
    typeset(folder, "report", "\n".join(paper))
    typeset(folder, "supplement", "\n".join(supplement))
    return folder


@needs_tex
def test_figures_and_tables_are_found_where_they_stand(folder):
    found = layout.measured(folder)["floats"]
    assert {one["label"]: (one["page"], one["mentioned"], one["ok"]) for one in found} == {
        "Fig. 1": (1, 1, True),
        "Table 1": (1, 1, True),
        "Fig. 2": (1, 4, False),  # before it is mentioned
        "Table 2": (2, 1, True),  # over both columns, on the page after its mention
        "Fig. 3": (4, 1, False),  # long after it is mentioned
        "Fig. 4": (4, None, False),
        "Fig. 5": (5, 4, True),
    }


@needs_tex
def test_empty_pages_are_found(folder):
    found = layout.measured(folder)
    assert found["pages"] == len(found["empty"])
    assert [share > layout.EMPTY for share in found["empty"]] == [False, True, False, True, True]


@needs_tex
def test_what_drifts_to_another_section_of_the_supplement_is_found(folder):
    assert layout.measured(folder)["misplaced"] == ["Table S1", "Fig. S3"]


@needs_tex
def test_a_build_that_breaks_rules_ends_in_an_error(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["layout", str(folder)])
    with pytest.raises(SystemExit, match="1"):
        layout.main()
    assert "Fig. 4 is never mentioned." in capsys.readouterr().out


@needs_tex
def test_a_pdf_that_latex_did_not_make_is_said(tmp_path):
    (tmp_path / "report.tex").write_text(r"\documentclass{article}\begin{document}a\end{document}")
    subprocess.run(["latexmk", "-pdf", "report.tex"], cwd=tmp_path, capture_output=True, check=True)
    with pytest.raises(ReportError, match="not made by LaTeX with hyperref"):
        layout.read(tmp_path / "report.pdf", columns=2)


def test_a_missing_tool_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(layout.shutil, "which", lambda tool: None if tool == "pdfinfo" else tool)
    with pytest.raises(ReportError, match="pdfinfo cannot be found: install poppler-utils"):
        layout.measured(tmp_path)


def test_a_missing_pdf_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(layout.shutil, "which", lambda tool: tool)
    with pytest.raises(ReportError, match="there is no .*report.pdf"):
        layout.measured(tmp_path)


def test_the_allowed_is_no_fault():
    assert layout.faults(GOOD) == []


def test_every_rule_has_its_sentence():
    assert "15 pages" in layout.faults(GOOD | {"pages": 15})[0]
    assert "Page 2 is 31% empty" in layout.faults(GOOD | {"empty": [0.1, 0.31, 0.1]})[0]
    assert "Fig. S2 does not" in layout.faults(GOOD | {"misplaced": ["Fig. S2"]})[0]
    silent = {"label": "Table 3", "page": 2, "mentioned": None, "ok": False}
    assert layout.faults(GOOD | {"floats": [silent]}) == ["Table 3 is never mentioned."]


def test_two_exceptions_are_allowed_and_a_third_is_not():
    far = [{"label": f"Fig. {n}", "page": 5, "mentioned": 2, "ok": False} for n in (1, 2, 3)]
    assert layout.faults(GOOD | {"floats": far[:2]}) == []
    (said,) = layout.faults(GOOD | {"floats": far})
    assert said.startswith("3 figures") and "Fig. 3 (page 5, mentioned on page 2)" in said


def test_mentions_are_read_with_what_stands_around_them():
    line = "(Fig. 3); Table S2’s Table of 4 Fig. 5b, Figs. 6"
    said = [Word(1, 0, 0, 0, text) for text in line.split()]
    assert [label for label, _ in layout.labelled(said)] == ["Fig. 3", "Table S2", "Fig. 5"]


def test_words_know_their_page_and_column():
    def word(left, said):
        return f'<word xMin="{left}" yMin="10" xMax="{left + 20}" yMax="20">{said}</word>'

    text = f'<page width="600" height="800">{word(50, "a&amp;b")}<page width="600">{word(320, "c")}'
    assert layout.words(text, [300, 300]) == [Word(1, 0, 15, 50, "a&b"), Word(2, 1, 15, 320, "c")]


def test_destinations_are_read():
    text = 'Page  Destination\n   1 [ XYZ   48  776 null      ] "page.1"\n  12 [ Fit ] "all"\n'
    assert list(layout.destinations(text)) == [(1, 48, 776, "page.1")]


def test_a_caption_begins_its_line_and_a_mention_does_not():
    at_left, beside = Word(1, 0, 100, 50, "see"), Word(1, 1, 100, 320, "Fig.")
    assert layout.begins_line(beside, [at_left, beside])
    assert not layout.begins_line(at_left._replace(x=80), [at_left, beside])


def test_a_caption_that_is_not_on_its_page_is_said(tmp_path):
    places = {"figure.1": (2, 0, 100, 50)}
    document = SimpleNamespace(words=[], places=places, path=tmp_path / "report.pdf")
    with pytest.raises(ReportError, match="caption of Fig. 1 is not found on page 2"):
        layout.captions(document)


def test_only_high_gaps_make_a_page_empty():
    full = np.full((100, 40), 255)
    full[::10] = 0  # lines of text
    full[-1] = 0
    half = full.copy()
    half[50:, 20:] = 255
    empty = layout.emptiness([full, half])
    assert empty[0] == 0 and 0.2 < empty[1] < 0.3

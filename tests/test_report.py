"""Filling the report: numbers, tables and figures in, and nothing made up."""

import re
import sys

import pytest

from xai_utils.attributions import METHODS
from xai_utils.metrics import METRICS
from xai_utils.results import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "report"))
import build  # noqa: E402

@pytest.fixture(params=build.FIGURE_SUFFIX)
def page(request, tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("curves", "maps"):
        (tmp_path / "figures" / f"{name}{build.FIGURE_SUFFIX[request.param]}").touch()
    tables = {"scores": {"columns": ["name", "share"], "data": [["a_b", 0.25], ["c", None]]}}
    known = {"curves": ("Fig.", 1), "maps": ("Fig.", 2)}
    return build.Page(request.param, tmp_path, {"data.size": 3}, tables, {}, known)


def test_a_value_that_no_run_produced_fails(page):
    assert page.value("data.size") == 3
    with pytest.raises(build.ReportError, match="data.length"):
        page.value("data.length")


def test_figures_and_tables_that_no_run_produced_fail(page):
    with pytest.raises(build.ReportError, match="no notebook made"):
        page.figure("histogram", "A histogram")
    with pytest.raises(build.ReportError, match="no notebook recorded"):
        page.table("sizes", "Sizes", {"n": "n"})


def test_a_reference_to_what_is_not_shown_fails(page):
    with pytest.raises(build.ReportError, match="does not show"):
        page.ref("histogram")


def test_figures_are_numbered_in_their_order(page):
    page.figure("maps", "Maps. With a sentence")
    page.figure("curves", "Curves")
    assert page.numbers == {"maps": ("Fig.", 1), "curves": ("Fig.", 2)}


def test_two_things_of_one_name_fail(page):
    page.figure("maps", "Maps")
    with pytest.raises(build.ReportError, match="two things named 'maps'"):
        page.figure("maps", "Maps again")


def test_tables_say_what_is_undefined_and_keep_the_rows_asked_for(page):
    text = page.table("scores", "Scores", {"name": "Name", "share": ("Share", ".1%")})
    assert "25.0%" in text.replace("\\%", "%") and "undefined" in text
    page.numbers.clear()
    kept = page.table("scores", "Scores", {"name": "Name"}, {"name": "c"})
    assert "a_b" not in kept.replace("\\_", "_")


def test_latex_marks_are_escaped():
    assert build._escape_latex("30 % of a_b & c → d") == r"30 \% of a\_b \& c $\rightarrow$ d"


@pytest.mark.parametrize(
    "number, form, text",
    [(0.25, ".1%", "25.0%"), (-0.04, "+.2f", "−0.04"), (-0.00001, "+.4f", "+0.0000"), (-0.001, ".2f", "0.00")],
)
def test_numbers_have_a_real_minus_and_none_before_a_zero(number, form, text):
    assert build.printed(number, form) == text


def test_tables_can_cite(page):
    page.tables["scores"]["data"][0][0] = "kather2016"
    text = page.table("scores", "Scores", {"name": ("Source", "cite")})
    assert {"latex": r"\cite{kather2016}"}.get(page.form, "[@kather2016]") in text


def test_every_citation_has_an_entry_and_every_entry_is_cited():
    prose = (REPOSITORY / "report/report.md").read_text()
    cited = set(re.findall(r"@(\w+)", prose))
    cited |= {method.citation for method in METHODS.values() if method.citation}
    cited |= {metric.citation for metric in METRICS.values()}
    entries = set(re.findall(r"@\w+\{(\w+),", (REPOSITORY / "report/refs.bib").read_text()))
    assert cited == entries


def test_prose_holds_no_measured_number():
    """Rates and accuracies come from the run. What may stand: the settings of the course."""
    prose = (REPOSITORY / "report/report.md").read_text()
    prose = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\[?@\w+|SHA-256|MNIST-1D|1-D|F1|VGG-7|\$\$.*?\$\$|\$.*?\$", "", prose, flags=re.S)
    allowed = {"90", "95", "30", "4", "8", "40", "25", "150"}
    assert set(re.findall(r"\d+(?:\.\d+)?", prose)) <= allowed

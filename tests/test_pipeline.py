"""The whole run as a user starts it, and what it says when it cannot."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from urllib.parse import unquote

import pandas as pd
import pytest

from xai_utils.results import REPOSITORY, REPRODUCTION_COLUMNS, SCORE_COLUMNS

sys.path.insert(0, str(REPOSITORY / "report"))
import build  # noqa: E402

NAMES = [
    "values.json", "tables.json", "made_in.json", "scores.csv", "reproduction.csv", "run.json",
]  # fmt: skip


def run_all(output, *arguments, **environment):
    """Start ``run_all.sh`` from another folder; returns the exit code and what it said."""
    settings = {name: text for name, text in os.environ.items() if not name.startswith("XAI_")}
    done = subprocess.run(
        [REPOSITORY / "run_all.sh", *arguments],
        cwd="/",
        env=settings | {"XAI_OUTPUT": str(output)} | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--profile", "fast"], "no profile 'fast'; give one of full, quick, standard"),
        (["--cores", "0"], "--cores must be at least 1"),
        (["--profile", "quick", "--hmt-dir", "/nowhere"], "/nowhere does not exist"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, arguments, message):
    code, said = run_all(tmp_path, *arguments)
    assert code != 0
    assert re.fullmatch(f"error: .*{re.escape(message)}.*\n", said)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    assert [path.name for path in left] in ([], [".run_all.lock"])


def test_an_incomplete_hmt_folder_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "tiles" / "01_TUMOR").mkdir(parents=True)
    code, said = run_all(tmp_path / "out", "--profile", "quick", "--hmt-dir", tmp_path / "tiles")
    assert code != 0
    assert re.fullmatch(r"error: .* has no folder 02_STROMA: .*\n", said)
    assert not (tmp_path / "out" / "results" / "quick" / "hmt.json").exists()


@pytest.mark.slow
def test_quick_profile_from_nothing_then_again_then_after_a_change(tmp_path, monkeypatch):
    code, said = run_all(tmp_path, "--profile", "quick", "--hmt-dir", "synthetic")
    assert code == 0, said
    results, report = tmp_path / "results/quick", tmp_path / "report/build/quick"
    _check_results(results)
    _check_report(report)
    _check_links(report)
    _check_pdf_without_tex(tmp_path, monkeypatch)

    started = time.time()
    code, said = run_all(tmp_path, "--profile", "quick", "--hmt-dir", "synthetic")
    assert code == 0 and "Nothing to do" in said
    assert time.time() - started < 10

    # Other tiles and another package at once: Snakemake does not look at what it believes to wait.
    package = REPOSITORY / "xai_utils/plots.py"
    times = package.stat().st_atime, package.stat().st_mtime
    package.touch()
    planned = _plan(tmp_path, XAI_HMT_DIR="")
    os.utime(package, times)
    assert {f"0{number}" for number in range(1, 9)} == {name[:2] for name in planned}
    assert _plan(tmp_path, XAI_HMT_DIR="synthetic") == []

    before = (results / "values.json").read_text()
    notebook = REPOSITORY / "notebooks/02_mnist1d_classify.ipynb"
    times = notebook.stat().st_atime, notebook.stat().st_mtime
    notebook.touch()
    code, said = run_all(tmp_path, "--profile", "quick", "--hmt-dir", "synthetic")
    os.utime(notebook, times)
    assert code == 0
    assert re.findall(r"^0\d_\w+", said, flags=re.M) == ["02_mnist1d_classify"]
    assert (results / "values.json").read_text() == before, "the same numbers on every rebuild"


def _plan(output, **environment):
    """The notebooks that would be run now."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2"]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--directory", output]
    command += ["--config", "profile=quick", "--max-checksum-file-size", "0"]
    settings = {name: text for name, text in os.environ.items() if not name.startswith("XAI_")}
    done = subprocess.run(command, env=settings | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return re.findall(r"wildcards: notebook=(\w+)", done.stdout + done.stderr)


def _check_pdf_without_tex(output, monkeypatch):
    monkeypatch.setenv("XAI_OUTPUT", str(output))
    monkeypatch.setattr(build, "has_tex", lambda: False)
    build.build("quick")
    content = (output / "report/build/quick/report.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"pdfTeX" not in content


def _check_results(folder):
    assert all((folder / name).exists() for name in NAMES)
    values = json.loads((folder / "values.json").read_text())
    assert values["hmt.source"] == "synthetic"
    assert values["mnist1d.accuracy"] > 0.8
    scores = pd.read_csv(folder / "scores.csv")
    assert list(scores.columns) == list(SCORE_COLUMNS)
    assert set(scores.dataset) == {"mnist1d", "hmt", "synthetic"} and scores.value.notna().all()
    assert list(pd.read_csv(folder / "reproduction.csv").columns) == list(REPRODUCTION_COLUMNS)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["parameters"]["01_mnist1d_train"]["EPOCHS"] == 15


def _check_report(folder):
    page = (folder / "report.html").read_text()
    text = re.sub(r"<[^>]+>", " ", page)
    for word in ("Undefined", "None", "nan", "TODO", "{{"):
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), word
    captions = set(re.findall(r"Table (\d+)\.", text))
    assert page.count("<table") == len(captions), "a table that was taken for text"
    assert "Synthetic tissue stands in for HMT" in text
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert r"\includegraphics{figures/mnist1d_roc.pdf}" in (folder / "report.tex").read_text()
    assert not list(folder.rglob("partial-*"))
    _check_latex(folder)


def _check_latex(folder):
    """The PDF by LaTeX says everything, and nothing that was not filled in; where both LaTeX and
    pdftotext are installed, as on CI."""
    if not (build.has_tex() and shutil.which("pdftotext")):
        return
    log = (folder / "report.log").read_text(errors="replace")
    assert "undefined" not in log
    overfull = [float(width) for width in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(overfull, default=0) <= 5
    said = subprocess.run(["pdftotext", folder / "report.pdf", "-"], capture_output=True, text=True)
    for word in ("??", "nan", "None", "TODO", "{{"):
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said.stdout), word
    heads = re.findall(r"^# ([\w ]+)", (REPOSITORY / "report/report.md").read_text(), flags=re.M)
    letters = re.sub(r"\W", "", said.stdout).lower()
    assert [head for head in heads if re.sub(r"\W", "", head).lower() not in letters] == []


def _check_links(folder):
    """Every link of every page leads somewhere, and nothing is loaded from elsewhere."""
    pages = {path: path.read_text() for path in folder.rglob("*.html")}
    assert len(pages) >= 11
    names = {path: set(re.findall(r'\sid="([^"]+)"', page)) for path, page in pages.items()}
    for path, page in pages.items():
        loaded = re.findall(r'<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)="([^"]+)"', page)
        assert [address for address in loaded if re.match("https?:|//", address)] == []
        assert "@import" not in page and "url(http" not in page
        assert "Markdown object" not in page
        for address in set(re.findall(r'<a\b[^>]*?href="([^"]+)"', page)):
            if re.match("https?:|mailto:|data:", address):
                continue
            file, _, name = address.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name} leads to {address}"
            if name and target in names:
                assert unquote(name) in names[target], f"{path.name} leads to {address}"

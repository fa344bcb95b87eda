"""Fill ``report.md`` and ``supplement.md`` with what a run found and turn them into HTML, LaTeX and PDF.

``python -m report.build quick`` builds ``report/build/quick/report.{html,tex,pdf}``, the same of
``supplement``, and beside them the walkthrough and the explorer. The PDF is made by LaTeX where TeX is
installed, else by Typst, which comes with the environment. ``--single-file`` adds one page that holds
everything, to be mailed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jinja2
import typst

from report import claims
from report.common import EMBEDDED, HTML, TEMPLATES, ReportError, ended, environment, load, pandoc
from report.crate import write_crate
from report.page import PREFIX, Page, placed, sections_of
from report.walkthrough import write_walkthrough
from xai_utils.run.errors import in_one_line
from xai_utils.run.files import output_root, partial_name, send_chatter_to

HERE = Path(__file__).resolve().parent
KEPT = (".html", ".tex", ".pdf", ".log")
CITED = ["--citeproc", "--csl=numeric.csl", "--bibliography=../refs.bib", "-Mlink-citations=true"]
CONTENTS = ["--toc", "--toc-depth=2", "--number-sections"]
# TeX starts no other program, and reads and writes no file but by its place in this folder or in TeX's own.
CONFINED = {"openin_any": "p", "openout_any": "p"}


def build(profile, single_file=False):
    """Build everything in a folder of its own, then put it in the place of the last."""
    from report.explorer import write_explorer  # TensorFlow talks as it comes: into the log

    found = load(profile)
    epoch = ended(found)  # what is built again carries no other time
    target = output_root() / "report" / "build" / profile
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=partial_name()) as place:
        folder = Path(place) / "new"
        folder.mkdir()
        for file in (HERE / "refs.bib", TEMPLATES / "style.css"):
            shutil.copy(file, folder)
        copy_figures(output_root() / "figures" / profile, found.notebooks, folder)
        texts, places = fill(found, "html", folder)
        write_html(texts, folder)
        write_pdf(*(fill(found, form, folder)[0] for form in ("latex", "typst")), folder, epoch)
        if single_file:
            write_single_file(fill(found, "single", folder)[0], folder)
        for file in (file for name in PREFIX for file in folder.glob(f"{name}.*")):
            if file.suffix not in KEPT:
                file.unlink()
        write_walkthrough(found, folder / "walkthrough", places)
        write_explorer(found, folder / "explorer")
        write_crate(found, folder, epoch)
        if target.exists():
            target.rename(Path(place) / "old")
        folder.rename(target)
    return target


def copy_figures(made, notebooks, folder):
    """The figures of these notebooks and, apart, their numbers."""
    places = dict.fromkeys((".pdf", ".svg", ".webp"), folder / "figures")
    places |= dict.fromkeys((".csv", ".npz"), folder / "data")
    for suffix, place in places.items():
        place.mkdir(exist_ok=True)
        for file in (file for name in notebooks for file in (made / name).glob(f"*{suffix}")):
            shutil.copy(file, place)


def fill(found, form, folder):
    """The Markdown of both documents with every number, table and figure in it, ``{document: text}``, and
    the places of all that they number, ``{name: Place}``.

    The first pass finds out the order of figures and tables, the second knows their numbers.
    """
    places, titles = {}, {row[0]: row[1] for row in found.tables["methods"]["data"]}
    for _ in range(2):
        known, places, texts = places, {}, {}
        for document in PREFIX:
            page = Page(form, document, folder, found, places, known)
            template = environment(jinja2.FileSystemLoader(HERE)).get_template(f"{document}.md")
            texts[document] = template.render(
                value=page.value,
                has=found.values.__contains__,
                figure=page.figure,
                table=page.table,
                ref=page.ref,
                run=found.run,
                titles=titles,
                claims=lambda: claims.check(found.values, claims.read()[0]),
            )
            own = {name for name, place in places.items() if place.document == document}
            if forgotten := {name for name in own if places[name].kind != "Section"} - page.referred:
                shown = ", ".join(sorted(forgotten))
                raise ReportError(f"{document}.md shows {shown} and never refers to it")
            headings = sections_of(texts[document], document)
            if twice := headings.keys() & places.keys():
                raise ReportError(f"{', '.join(sorted(twice))} is the name of two things")
            places |= headings
    if form in ("html", "single"):
        texts["report"] = placed(texts["report"])
    return texts, places


def write_html(texts, folder):
    """A page for each document, with its figures as files beside it."""
    for document, text in texts.items():
        page = folder / f"{document}.html"
        head = f"--include-before-body={document}_head.html"
        pandoc(text, "html5", page, [*CONTENTS, *HTML, "--css=style.css", *CITED, head])
        if prefix := PREFIX[document]:
            numbered = r'(class="(?:header|toc)-section-number">|data-number=")(?=\d)'
            page.write_text(re.sub(numbered, rf"\1{prefix}", page.read_text()))


def write_single_file(texts, folder):
    """Both documents in one page that needs no other file."""
    supplement = re.sub(r"\A---\n.*?\n---\n", "", texts["supplement"], flags=re.S)
    paper = re.sub(r"^# References$", "", texts["report"], flags=re.M)
    options = [*CONTENTS, *EMBEDDED, *CITED, f"--resource-path=.{os.pathsep}{folder}"]
    text = f"{paper}\n\n# Supplement {{-}}\n\n{supplement}"
    pandoc(text, "html5", folder / "single_file.html", options)


def write_pdf(latex, typst_texts, folder, epoch):
    """LaTeX of both documents, and their PDF through it where it is installed; Typst, when it is not, is
    said to the reader. The time in the PDF is ``epoch``, in seconds since 1970."""
    for document, text in latex.items():
        options = ["--template=ieee.tex", "--natbib", f"-V{document}"]
        pandoc(text, "latex", folder / f"{document}.tex", options)
    if not has_tex():
        print("LaTeX is not installed: the PDF is made with Typst", file=sys.stderr)
    for document, text in typst_texts.items():
        (_latex_pdf if has_tex() else _typst_pdf)(document, text, folder, epoch)


def _latex_pdf(document, _, folder, epoch):
    options = ["-norc", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
    time_of = {"SOURCE_DATE_EPOCH": str(epoch), "FORCE_SOURCE_DATE": "1"}
    done = subprocess.run(
        ["latexmk", *options, f"{document}.tex"], cwd=folder, capture_output=True, text=True,
        errors="replace", env={**os.environ, **CONFINED, **time_of},
    )  # fmt: skip
    if done.returncode:
        kept = shutil.copy(folder / f"{document}.log", folder.parents[1] / "failed.log")
        raise ReportError(f"LaTeX failed; its log is {kept}")


def _typst_pdf(document, text, folder, epoch):
    options = ["-Vfontsize=10pt", "-Vpapersize=a4", "--number-sections", *CITED]
    numbered = f'#set figure(numbering: n => "{PREFIX[document]}" + str(n))'
    pandoc(text, "typst", folder / f"{document}.typ", [*options, f"-Vheader-includes={numbered}"])
    source, made = (folder / f"{document}.{suffix}" for suffix in ("typ", "pdf"))
    typst.compile(source, output=made, root=folder, timestamp=epoch)


def has_tex():
    """Whether LaTeX with the IEEE class is installed."""
    if not (shutil.which("latexmk") and shutil.which("kpsewhich")):
        return False
    return subprocess.run(["kpsewhich", "IEEEtran.cls"], capture_output=True).returncode == 0


def main():
    parser = argparse.ArgumentParser(description="Build the report of a profile.")
    parser.add_argument("profile")
    parser.add_argument(
        "--single-file", action="store_true", help="add one page that holds everything, to be mailed"
    )
    started, asked = time.time(), parser.parse_args()
    os.environ["LC_ALL"] = (
        "C.UTF-8"  # elsewhere pandoc cannot read from a folder whose name is not ASCII
    )
    with in_one_line():
        send_chatter_to(load(asked.profile).folder / "logs" / "report.log")
        try:
            target = build(asked.profile, asked.single_file)
        except jinja2.TemplateError as error:
            raise ReportError(str(error)) from error
    print(f"report  {time.time() - started:.0f} s  {target / 'report.html'}", file=sys.stderr)


if __name__ == "__main__":
    main()

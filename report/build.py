"""Fill ``report.md`` with what a run found and turn it into HTML, LaTeX and PDF.

``python -m report.build quick`` builds ``report/build/quick/report.{html,tex,pdf}``, and beside it
the walkthrough and the explorer. The PDF is made by LaTeX where TeX is installed, else by Typst,
which comes with the environment.
"""

import argparse
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
from report.common import (
    HTML,
    TEMPLATES,
    ReportError,
    cell_that_made,
    environment,
    load,
    pandoc,
    value_of,
)  # fmt: skip
from report.crate import write_crate
from report.explorer import write_explorer
from report.walkthrough import write_walkthrough
from xai_utils.run.files import output_root
from xai_utils.study.wording import printed

HERE = Path(__file__).resolve().parent
KEPT = (".html", ".tex", ".pdf", ".log")
FIGURE_SUFFIX = {"html": ".svg", "latex": ".pdf", "typst": ".svg"}


def build(profile):
    """Build everything in a folder of its own, then put it in the place of the last."""
    found = load(profile)
    target = output_root() / "report" / "build" / profile
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"partial-{profile}-") as place:
        folder = Path(place) / "new"
        folder.mkdir()
        shutil.copy(HERE / "refs.bib", folder)
        copy_figures(output_root() / "figures" / profile, found.notebooks, folder)
        texts = {form: fill(found, form, folder) for form in FIGURE_SUFFIX}
        write_html(texts["html"][0], folder)
        write_latex(texts["latex"][0], folder)
        write_pdf(texts["typst"][0], folder)
        for file in folder.glob("report.*"):
            if file.suffix not in KEPT:
                file.unlink()
        places = {name: f"{kind} {count}" for name, (kind, count) in texts["html"][1].items()}
        places |= sections((folder / "report.html").read_text())
        write_walkthrough(found, folder / "walkthrough", places)
        write_explorer(found, folder / "explorer")
        write_crate(found, folder)
        if target.exists():
            target.rename(Path(place) / "old")
        folder.rename(target)
    return target


def copy_figures(made, notebooks, folder):
    """The figures of these notebooks and, apart, their numbers."""
    places = {".pdf": folder / "figures", ".svg": folder / "figures", ".csv": folder / "data"}
    for suffix, place in places.items():
        place.mkdir(exist_ok=True)
        for file in (file for name in notebooks for file in (made / name).glob(f"*{suffix}")):
            shutil.copy(file, place)


def sections(html):
    """``{name: "Section 3.1"}`` of the numbered headings of a page."""
    heads = re.findall(r'<h\d\s+data-number="([\d.]+)"\s+id="([^"]+)"', html)
    return {name: f"Section {number}" for number, name in heads}


def fill(found, form, folder):
    """The Markdown of the report with every number, table and figure in it, and what it numbers.

    The first pass finds out the order of figures and tables, the second knows their numbers.
    """
    numbers, rows = {}, found.tables["methods"]
    titles = {row[0]: row[1] for row in rows["data"]}  # its columns begin with name and title
    for _ in range(2):
        numbers, known = {}, numbers
        page = Page(form, folder, found, numbers, known)
        template = environment(jinja2.FileSystemLoader(HERE)).get_template("report.md")
        text = template.render(
            value=page.value,
            has=found.values.__contains__,
            figure=page.figure,
            table=page.table,
            ref=page.ref,
            run=found.run,
            titles=titles,
            claims=lambda: claims.check(found.values, claims.read()[0]),
        )
    if forgotten := numbers.keys() - page.referred:
        raise ReportError(f"report.md shows {', '.join(sorted(forgotten))} and never refers to it")
    return text, numbers


class Page:
    """What ``report.md`` can call, for one output format.

    Figures and tables start with an empty line: Jinja swallows the one after a block, and Markdown
    knows no table without it.
    """

    def __init__(self, form, folder, found, numbers, known):
        self.form, self.folder, self.found = form, folder, found
        self.numbers, self.known = numbers, known
        self.referred = set()

    def value(self, key):
        return value_of(self.found, key)

    def ref(self, name):
        """A link to a figure or table, wherever it stands: ``Fig. 3``."""
        if self.known and name not in self.known:
            raise ReportError(f"report.md refers to {name!r}, which it does not show")
        self.referred.add(name)
        kind, number = self.known.get(name, ("Fig.", 0))
        if self.form == "latex":
            return f"`{kind}~\\ref{{{name}}}`{{=latex}}"
        return f"[{kind} {number}](#{name})"

    def figure(self, name, caption, wide=False):
        """A figure with its caption; ``wide`` ones span both columns in LaTeX."""
        path = f"figures/{name}{FIGURE_SUFFIX[self.form]}"
        if not (self.folder / path).exists():
            raise ReportError(f"report.md shows the figure {name!r}, which no notebook made")
        label = self._label("Fig.", name, caption)
        if self.form == "latex":
            return "\n" + _latex_figure(name, path, label, wide)
        if self.form == "html":
            cell, number = cell_that_made(self.found, name), self.numbers[name][1]
            made = (
                f'[cell]({cell}){{aria-label="The cell that made Fig. {number}"}}'
                if cell
                else "by hand"
            )
            label += (
                f" [{made} · [data](data/{name}.csv)"
                f'{{aria-label="The numbers of Fig. {number}, as CSV"}}]{{.source}}'
            )
        width = "100%" if wide else "65%"
        return f'\n![{label}]({path}){{#{name} width={width} alt="{caption.split(". ")[0]}"}}\n'

    def table(self, name, caption, columns, wide=False):
        """The columns of a recorded table: ``{column: heading}`` or ``{column: (heading, format)}``.

        The format ``"cite"`` makes a citation of a key. ``wide`` ones span both columns in LaTeX.
        """
        if name not in self.found.tables:
            raise ReportError(f"report.md shows the table {name!r}, which no notebook recorded")
        recorded = self.found.tables[name]
        rows = [dict(zip(recorded["columns"], row)) for row in recorded["data"]]
        heads = [head if isinstance(head, str) else head[0] for head in columns.values()]
        cell = _latex_cell if self.form == "latex" else _cell
        body = [[cell(row[column], columns[column]) for column in columns] for row in rows]
        right = [bool(rows) and not isinstance(rows[0][column], str) for column in columns]
        label = self._label("Table", name, caption)
        if self.form == "latex":
            return "\n" + _latex_table(name, label, heads, body, right, wide)
        return "\n" + _pipe_table(name, label, heads, body, right)

    def _label(self, kind, name, caption):
        """Take the next number; HTML needs it in the caption, the others count by themselves."""
        if name in self.numbers:
            raise ReportError(f"report.md shows two things named {name!r}")
        count = 1 + sum(known == kind for known, _ in self.numbers.values())
        self.numbers[name] = (kind, count)
        return f"**{kind} {count}.** {caption}" if self.form == "html" else caption


def write_html(text, folder):
    options = ["--toc", "--toc-depth=2", "--number-sections", *HTML, *_citeproc(folder)]
    options.append(f"--include-before-body={TEMPLATES / 'report_head.html'}")
    pandoc(text, "html5", folder / "report.html", [*options, f"--resource-path={folder}"])


def write_latex(text, folder):
    options = [f"--template={TEMPLATES / 'ieee.tex'}", "--natbib"]
    pandoc(text, "latex", folder / "report.tex", options)


def write_pdf(typst_text, folder):
    """Through LaTeX where it is installed; Typst, when it is not, is said to the reader."""
    if has_tex():
        command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        if done.returncode:
            kept = shutil.copy(folder / "report.log", folder.parents[1] / "failed.log")
            raise ReportError(f"LaTeX failed; its log is {kept}")
        return
    print("LaTeX is not installed: the PDF is made with Typst", file=sys.stderr)
    options = ["-Vfontsize=10pt", "-Vpapersize=a4", "--number-sections", *_citeproc(folder)]
    pandoc(typst_text, "typst", folder / "report.typ", options)
    typst.compile(folder / "report.typ", output=folder / "report.pdf", root=folder)


def has_tex():
    """Whether LaTeX with the IEEE class is installed."""
    if not (shutil.which("latexmk") and shutil.which("kpsewhich")):
        return False
    return subprocess.run(["kpsewhich", "IEEEtran.cls"], capture_output=True).returncode == 0


def _citeproc(folder):
    style = [f"--csl={TEMPLATES / 'numeric.csl'}", f"--bibliography={folder / 'refs.bib'}"]
    return ["--citeproc", *style, "-Mlink-citations=true"]


def _cell(value, column):
    if value is None:
        return "undefined"
    if isinstance(column, str):
        return str(value)
    if column[1] == "cite":
        return f"[@{value}]" if value else ""
    return printed(value, column[1])


def _latex_cell(value, column):
    """Pandoc leaves LaTeX alone, so that citations are to be written in it."""
    if value and column[1:] == ("cite",):
        return rf"\cite{{{value}}}"
    return _escape_latex(_cell(value, column))


def _pipe_table(name, caption, heads, body, right):
    rule = ["---:" if is_right else ":---" for is_right in right]
    lines = ["| " + " | ".join(row) + " |" for row in (heads, rule, *body)]
    return "\n".join(lines) + f"\n\n: {caption} {{#{name}}}\n"


def _latex_figure(name, path, caption, wide):
    kind = "figure*" if wide else "figure"
    lines = [
        rf"\begin{{{kind}}}[!htbp]",
        rf"\centering\includegraphics{{{path}}}",
        rf"\caption{{{_escape_latex(caption)}}}\label{{{name}}}",
        rf"\end{{{kind}}}",
    ]
    return _raw_latex(lines)


def _latex_table(name, caption, heads, body, right, wide):
    kind = "table*" if wide else "table"
    rows = [" & ".join(row) + r" \\" for row in (map(_escape_latex, heads), *body)]
    lines = [
        rf"\begin{{{kind}}}[!htbp]",
        rf"\caption{{{_escape_latex(caption)}}}\label{{{name}}}",
        r"\centering\footnotesize",
        rf"\begin{{tabular}}{{{''.join('r' if is_right else 'l' for is_right in right)}}}",
        r"\toprule",
        rows[0],
        r"\midrule",
        *rows[1:],
        r"\bottomrule",
        r"\end{tabular}",
        rf"\end{{{kind}}}",
    ]
    return _raw_latex(lines)


def _raw_latex(lines):
    return "\n".join(["```{=latex}", *lines, "```", ""])


def _escape_latex(text):
    for mark in "&%#_$":
        text = text.replace(mark, "\\" + mark)
    return text.replace("→", r"$\rightarrow$").replace("−", "$-$").replace("×", r"$\times$")


def main():
    parser = argparse.ArgumentParser(description="Build the report of a profile.")
    parser.add_argument("profile")
    started = time.time()
    try:
        target = build(parser.parse_args().profile)
    except (ReportError, jinja2.TemplateError) as error:
        sys.exit(f"error: {error}")
    print(f"report  {time.time() - started:.0f} s  {target / 'report.html'}", file=sys.stderr)


if __name__ == "__main__":
    main()

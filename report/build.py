"""Fill ``report.md`` with what a run found and turn it into HTML, LaTeX and PDF.

``python report/build.py quick`` builds ``report/build/quick/report.{html,tex,pdf}``. The PDF is
made by LaTeX where TeX is installed, else by Typst, which comes with the environment.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jinja2
import pypandoc
import typst

from xai_utils.results import output_root
from xai_utils.wording import listed

HERE = Path(__file__).resolve().parent
TEMPLATES = HERE / "templates"
FIGURE_SUFFIX = {"html": ".svg", "latex": ".pdf", "typst": ".svg"}


class ReportError(Exception):
    """A report that cannot be built; the message says what is missing."""


def build(profile):
    """Build the three outputs in a folder of their own, then put them in their place at once."""
    target = output_root() / "report" / "build" / profile
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix="partial-") as folder:
        folder = Path(folder)
        shutil.copy(HERE / "refs.bib", folder)
        copy_figures(output_root() / "figures" / profile, folder / "figures")
        source = {form: fill(profile, form, folder) for form in FIGURE_SUFFIX}
        write_html(source["html"], folder)
        write_latex(source["latex"], folder)
        write_pdf(source["typst"], folder)
        for name in ("report.html", "report.tex", "report.pdf", "refs.bib"):
            (folder / name).rename(target / name)
        shutil.rmtree(target / "figures", ignore_errors=True)
        (folder / "figures").rename(target / "figures")
    return target


def copy_figures(made, folder):
    folder.mkdir()
    for file in sorted(made.glob("*/*.*")):
        shutil.copy(file, folder)


def fill(profile, form, folder):
    """The Markdown of the report with every number, table and figure in it.

    The first pass finds out the order of figures and tables, the second knows their numbers.
    """
    results = output_root() / "results" / profile
    values, tables, run = (
        json.loads((results / f"{name}.json").read_text()) for name in ("values", "tables", "run")
    )
    numbers = {}
    for _ in range(2):
        numbers, known = {}, numbers
        page = Page(form, folder, values, tables, numbers, known)
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "percent": lambda share, digits=1: f"{100 * share:.{digits}f} %",
            "fixed": lambda number, digits=3: printed(number, f".{digits}f"),
            "signed": lambda number, digits=2: printed(number, f"+.{digits}f"),
            "percents": lambda shares: listed(f"{100 * share:.1f}" for share in shares) + " %",
            "interval": lambda ends: f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %",
            "pvalue": lambda p: "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}",
            "listed": listed,
        }
        text = environment.get_template("report.md").render(
            value=page.value,
            has=values.__contains__,
            figure=page.figure,
            table=page.table,
            ref=page.ref,
            run=run,
        )
    return text


class Page:
    """What ``report.md`` can call, for one output format.

    Figures and tables start with an empty line: Jinja swallows the one after a block, and Markdown
    knows no table without it.
    """

    def __init__(self, form, folder, values, tables, numbers, known):
        self.form, self.folder = form, folder
        self.values, self.tables = values, tables
        self.numbers, self.known = numbers, known

    def value(self, key):
        if key not in self.values:
            raise ReportError(f"report.md asks for the value {key!r}, which no notebook recorded")
        return self.values[key]

    def ref(self, name):
        """A link to a figure or table, wherever it stands: ``Fig. 3``."""
        if self.known and name not in self.known:
            raise ReportError(f"report.md refers to {name!r}, which it does not show")
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
        width = "100%" if wide else "65%"
        return f"\n![{label}]({path}){{#{name} width={width} alt=\"{caption.split('. ')[0]}\"}}\n"

    def table(self, name, caption, columns, where=None, wide=False):
        """The columns of a recorded table: ``{column: heading}`` or ``{column: (heading, format)}``.

        The format ``"cite"`` makes a citation of a key. ``where`` keeps the rows whose columns have
        those values. ``wide`` ones span both columns in LaTeX.
        """
        if name not in self.tables:
            raise ReportError(f"report.md shows the table {name!r}, which no notebook recorded")
        recorded = self.tables[name]
        rows = [dict(zip(recorded["columns"], row)) for row in recorded["data"]]
        rows = [row for row in rows if all(row[key] == v for key, v in (where or {}).items())]
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


def printed(number, form):
    """A number in a format, with a real minus, and none before a zero."""
    sign, rest = ("+", form[1:]) if form.startswith("+") else ("", form)
    return format(number, sign + "z" + rest).replace("-", "−")


def write_html(text, folder):
    options = ["--mathml", "--toc", "--toc-depth=2", "--embed-resources", "--number-sections"]
    options += [f"--css={TEMPLATES / 'style.css'}", "-Vdocument-css=false", *_citeproc()]
    _pandoc(text, "html5", folder / "report.html", options, folder)


def write_latex(text, folder):
    options = [f"--template={TEMPLATES / 'ieee.tex'}", "--natbib"]
    _pandoc(text, "latex", folder / "report.tex", options, folder)


def write_pdf(typst_text, folder):
    """Through LaTeX where it is installed; Typst, when it is not, is said to the reader."""
    if has_tex():
        command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        if done.returncode:
            kept = folder.parent / "report.log"
            shutil.copy(folder / "report.log", kept)
            raise ReportError(f"LaTeX failed; its log is {kept}")
        return
    print("LaTeX is not installed: the PDF is made with Typst", file=sys.stderr)
    options = ["-Vfontsize=10pt", "-Vpapersize=a4", "--number-sections"]
    _pandoc(typst_text, "typst", folder / "report.typ", [*options, *_citeproc()], folder)
    typst.compile(folder / "report.typ", output=folder / "report.pdf", root=folder)


def has_tex():
    """Whether LaTeX with the IEEE class is installed."""
    if not (shutil.which("latexmk") and shutil.which("kpsewhich")):
        return False
    return subprocess.run(["kpsewhich", "IEEEtran.cls"], capture_output=True).returncode == 0


def _pandoc(text, form, path, options, folder):
    common = ["--standalone", f"--resource-path={folder}", f"--bibliography={folder / 'refs.bib'}"]
    common.append("--columns=1000")  # a table with longer lines would get columns of equal width
    pypandoc.convert_text(
        text,
        form,
        format="markdown+smart+link_attributes+table_attributes",
        outputfile=str(path),
        extra_args=[*common, *options],
    )


def _citeproc():
    return ["--citeproc", f"--csl={TEMPLATES / 'numeric.csl'}", "-Mlink-citations=true"]


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

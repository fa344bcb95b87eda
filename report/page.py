"""What the Markdown of the report and of its supplement can call, for one output format."""

import html
import json
import re
from typing import NamedTuple

from PIL import Image

from report.common import ReportError, cell_that_made, escaped, unescaped, value_of
from xai_utils.run.part import SAVED_WITH
from xai_utils.study.wording import printed

SUFFIXES = {
    "html": (".webp", ".svg"),
    "single": (".webp", ".svg"),
    "latex": (".pdf",),
    "typst": (".pdf",),
}
PREFIX = {"report": "", "supplement": "S"}  # of what a document numbers
PLACEMENT = {"report": "!tbp", "supplement": "!htbp"}  # of floats in LaTeX
FLOAT = re.compile(
    r'^<figure id="(?P<figure>[\w-]+)".*?^</figure>$|^\|.*?^: [^\n]*\{#(?P<table>[\w-]+)\}$',
    re.S | re.M,
)
CSS_PIXELS = 96  # an inch on the screen
# What stands for a mark in LaTeX, where "<" twice is a quotation mark, and "[" or "*" after a row an option of it.
LATEX = dict(zip("&%#_${}", (r"\&", r"\%", r"\#", r"\_", r"\$", r"\{", r"\}"))) | {
    "[": "{[}",
    "*": "{*}",
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "→": r"$\rightarrow$",
    "−": "$-$",
    "×": r"$\times$",
}


class Place(NamedTuple):
    """Where something is that can be referred to: the document, ``Fig.``, ``Table`` or ``Section``, and
    its number there."""

    document: str
    kind: str
    number: str

    @property
    def label(self):
        return f"{self.kind} {self.number}"


class Page:
    """A document being filled, for one output format.

    ``found`` is what the run left; ``places`` ``{name: Place}`` are what is numbered on the way, ``known``
    what a pass before has numbered in all documents. Figures and tables start with an empty line: Jinja
    swallows the one after a block, and Markdown knows no table without it. Captions and headings are
    Markdown in which nothing is marked, so that they are a text in every format.
    """

    def __init__(self, form, document, folder, found, places, known):
        self.form, self.document, self.folder, self.found = form, document, folder, found
        self.places, self.known = places, known
        self.referred = set()

    def value(self, key):
        """A value of the run; in a sentence a p-value is not broken across lines."""
        found = value_of(self.found, key)
        return re.sub(r"\bp (\\[<=]) ", "p\u00a0\\1\u00a0", found) if isinstance(found, str) else found

    def ref(self, name):
        """A link to a figure, a table or a section of the supplement, wherever it stands: ``Fig. 3``."""
        if self.known and name not in self.known:
            raise ReportError(f"{self.document}.md refers to {name!r}, which is not shown")
        self.referred.add(name)
        place = self.known.get(name, Place(self.document, "Fig.", "0"))
        if place.document != self.document and self.form in ("latex", "typst"):
            return place.label.replace(" ", "\u00a0")
        if self.form == "latex":
            return f"`{place.kind}~\\ref{{{name}}}`{{=latex}}"
        elsewhere = self.form == "html" and place.document != self.document
        return f"[{place.label}]({place.document + '.html' if elsewhere else ''}#{name})"

    def figure(self, name, caption, wide=False, parts=()):
        """A figure with its caption, made of ``parts``, figures of the run, by default the one of its
        name; ``wide`` ones span both columns in LaTeX, and their parts stand beside each other."""
        files = [self._file(part) for part in parts or [name]]
        self._take("Fig.", name)
        if self.form == "latex":
            return "\n" + _latex_figure(name, files, caption, wide, PLACEMENT[self.document])
        if self.form == "typst":
            return "\n" + _typst_figure(name, files, caption, wide)
        label = f"**{self.places[name].label}.** {caption}"
        if self.form == "html":  # a page that is mailed has nothing beside it
            sources = " · ".join(self._sources(part) for part in parts or [name])
            label += f" [[{sources}]]{{.source}}"
        shown = [self._picture(file, caption) for file in files]
        return "\n" + _html_figure(name, shown, label, wide)

    def _file(self, name):
        for suffix in SUFFIXES[self.form]:
            if (self.folder / f"figures/{name}{suffix}").exists():
                return f"figures/{name}{suffix}"
        raise ReportError(f"{self.document}.md shows the figure {name!r}, which no notebook made")

    def _picture(self, file, caption):
        """An image that is loaded when it comes into view; its size keeps the place until then."""
        width, height = _size(self.folder / file)
        alt = html.escape(unescaped(caption).split(". ")[0])
        return f'<img src="{file}" alt="{alt}" width="{width}" height="{height}" loading="lazy">'

    def _sources(self, name):
        """Links to the cell that made a figure, and to its numbers."""
        label = self.places.get(name)
        of = label.label if label else name.replace("_", " ")
        cell = cell_that_made(self.found, name)
        links = [f'[cell]({cell}){{aria-label="The cell that made {of}"}}' if cell else "by hand"]
        for suffix in (".csv", ".npz"):
            if (self.folder / f"data/{name}{suffix}").exists():
                about = f'aria-label="The numbers of {of}, {suffix[1:]}"'
                links.append(f"[{suffix[1:]}](data/{name}{suffix}){{{about}}}")
        return " ".join(links)

    def table(self, name, caption, columns, wide=False):
        """The columns of a recorded table: ``{column: heading}`` or ``{column: (heading, format)}``.

        The format ``"cite"`` makes a citation of a key. ``wide`` ones span both columns in LaTeX.
        """
        if name not in self.found.tables:
            raise ReportError(
                f"{self.document}.md shows the table {name!r}, which no notebook recorded"
            )
        recorded = self.found.tables[name]
        rows = [dict(zip(recorded["columns"], row)) for row in recorded["data"]]
        heads = [head if isinstance(head, str) else head[0] for head in columns.values()]
        cell = _latex_cell if self.form == "latex" else _cell
        body = [[cell(row[column], columns[column]) for column in columns] for row in rows]
        right = [bool(rows) and not isinstance(rows[0][column], str) for column in columns]
        self._take("Table", name)
        if self.form == "latex":
            return "\n" + _latex_table(
                name, caption, heads, body, right, wide, PLACEMENT[self.document]
            )
        if self.form == "typst":  # it counts by itself
            return "\n" + _pipe_table(name, caption, heads, body, right)
        return "\n" + _pipe_table(name, f"**{self.places[name].label}.** {caption}", heads, body, right)

    def _take(self, kind, name):
        """Take the next number of this document."""
        if name in self.places:
            raise ReportError(f"{self.document}.md shows two things named {name!r}")
        count = 1 + sum(
            (place.document, place.kind) == (self.document, kind) for place in self.places.values()
        )
        self.places[name] = Place(self.document, kind, f"{PREFIX[self.document]}{count}")


def placed(text):
    """A page's Markdown with each figure and table behind the paragraph that mentions it first, where it came
    before: LaTeX finds places by itself and is given them early, a page shows them where they stand."""
    floats = {}

    def marked(found):
        name = found["figure"] or found["table"]
        floats[name] = found[0]
        return f"\n\n@@{name}@@\n\n"

    blocks = re.split(r"\n{2,}", FLOAT.sub(marked, text))
    for name in floats:
        place = next(i for i, block in enumerate(blocks) if block == f"@@{name}@@")
        mention = next(i for i, block in enumerate(blocks) if f"](#{name})" in block)
        if mention > place:
            moved = blocks.pop(place)
            while mention < len(blocks) and blocks[mention].startswith("@@"):
                mention += 1
            blocks.insert(mention, moved)
    return re.sub(r"@@([\w-]+)@@", lambda marker: floats[marker[1]], "\n\n".join(blocks))


def sections_of(text, document):
    """The places of the named headings of a document in Markdown, numbered as pandoc and LaTeX do."""
    counts, found = [0, 0, 0], {}
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for marks, title in re.findall(r"^(#{1,3}) (.*)$", text, flags=re.M):
        if "{-}" in title or ".unnumbered" in title:
            continue
        level = len(marks)
        counts[level - 1 :] = [counts[level - 1] + 1, *[0] * (3 - level)]
        if name := re.search(r"\{#([\w-]+)", title):
            number = PREFIX[document] + ".".join(map(str, counts[:level]))
            found[name[1]] = Place(document, "Section", number)
    return found


def _size(file):
    """The width and height of a picture in CSS pixels."""
    if file.suffix == ".svg":
        head = file.read_text()[:2000]
        return [round(float(re.search(rf'{side}="([\d.]+)pt"', head)[1]) / 72 * CSS_PIXELS)
                for side in ("width", "height")]  # fmt: skip
    with Image.open(file) as picture:
        return [round(side / SAVED_WITH[".webp"]["dpi"] * CSS_PIXELS) for side in picture.size]


def _cell(value, column):
    if value is None:
        return "undefined"
    if isinstance(column, str):
        return escaped(str(value))
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


def _html_figure(name, shown, caption, wide):
    kinds = " ".join(["wide"] * wide + ["parts"] * (len(shown) > 1))
    pictures = "\n".join(shown)
    return (
        f'<figure id="{name}" class="{kinds}">\n<div>\n{pictures}\n</div>\n<figcaption>\n\n{caption}\n\n'
        "</figcaption>\n</figure>\n"
    )


def _latex_figure(name, files, caption, wide, placement):
    kind = "figure*" if wide else "figure"
    shown = [rf"\includegraphics{{{file}}}" for file in files]
    if wide and len(files) > 1:  # their tops beside each other
        pictures = r"\hfill".join(rf"\raisebox{{-\height}}{{{one}}}" for one in shown)
    else:
        pictures = r"\\[2pt]".join(shown)
    lines = [
        rf"\begin{{{kind}}}[{placement}]",
        rf"\centering{pictures}",
        rf"\caption{{{_escape_latex(caption)}}}\label{{{name}}}",
        rf"\end{{{kind}}}",
    ]
    return _raw("latex", lines)


def _typst_figure(name, files, caption, wide):
    pictures = ", ".join(f'image("{file}")' for file in files)
    columns = len(files) if wide else 1
    width = "100%" if wide else "65%"
    body = f"block(width: {width}, grid(columns: {columns}, gutter: 4pt, {pictures}))"
    return _raw(
        "typst",
        [f"#figure({body}, caption: {json.dumps(unescaped(caption), ensure_ascii=False)}) <{name}>"],
    )


def _latex_table(name, caption, heads, body, right, wide, placement):
    kind = "table*" if wide else "table"
    rows = [" & ".join(row) + r" \\" for row in (map(_escape_latex, heads), *body)]
    lines = [
        rf"\begin{{{kind}}}[{placement}]",
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
    return _raw("latex", lines)


def _raw(form, lines):
    return "\n".join([f"```{{={form}}}", *lines, "```", ""])


def _escape_latex(markdown):
    """Markdown in which nothing is marked, as LaTeX."""
    text = unescaped(markdown).translate(str.maketrans(LATEX))
    return re.sub("-(?=-)", "-{}", text)  # else a dash

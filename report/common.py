"""What the pages of the report share: what a run left behind, and the words to print it with."""

import base64
import hashlib
import html
import json
import os
import re
import string
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import jinja2
import nbformat
import pypandoc

from xai_utils.run.errors import UsageError
from xai_utils.run.files import output_root
from xai_utils.study.wording import chance, listed, printed

TEMPLATES = Path(__file__).resolve().parent / "templates"
HTML = ["--mathml", "-Vdocument-css=false", "--lua-filter=scroll.lua"]
EMBEDDED = [*HTML, "--embed-resources", "--css=style.css"]  # a page of one file
MARKDOWN = "markdown+smart+link_attributes+table_attributes"
# Of a page that loads nothing from elsewhere and runs nothing: its styles are a file beside it, or known by hash.
POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self' {}; base-uri 'none'; form-action 'none'"
)
# Characters that nobody sees, that turn the text behind them around, or that are none.
UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MARKS = re.escape(string.punctuation.replace("'", ""))  # Markdown may read a meaning in any of these


class ReportError(UsageError):
    """A report that cannot be built; the message says what is missing."""


def load(profile):
    """The values, tables and facts of a run, and its executed notebooks.

    ``made_in`` says which notebook and which of its executions made a figure or table.
    """
    results = output_root() / "results" / profile
    if not (results / "made_in.json").exists():
        raise ReportError(f"there are no results in {results}: run ./run_all.sh --profile {profile}")
    names = ("values", "tables", "made_in", "run")
    found = {name: json.loads((results / f"{name}.json").read_text()) for name in names}
    executed = [results / "notebooks" / f"{name}.ipynb" for name in found["run"]["parameters"]]
    notebooks = {path.stem: split_at_headings(nbformat.read(path, 4)) for path in executed}
    return SimpleNamespace(**found, notebooks=notebooks, folder=results)


def split_at_headings(notebook):
    """The notebook with a cell of its own for each heading, so that each can be led to."""
    cells = []
    for cell in notebook.cells:
        parts = re.split(r"\n(?=#+ )", cell.source) if cell.cell_type == "markdown" else [cell.source]
        for count, part in enumerate(parts):
            name = f"{cell.id}-{count}" if count else cell.id
            cells.append(nbformat.from_dict(cell | {"id": name, "source": part.strip()}))
    return nbformat.from_dict(notebook | {"cells": cells})


def ended(found):
    """When a run ended, in seconds since 1970: by ``SOURCE_DATE_EPOCH``, else when its last notebook did."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    papermill = [notebook.metadata.get("papermill", {}) for notebook in found.notebooks.values()]
    ends = [datetime.fromisoformat(about["end_time"]) for about in papermill if "end_time" in about]
    return int(max(ends).timestamp()) if ends else 0  # where all was done by hand


def value_of(found, key):
    """A value of the run; a text, or the texts of a list, as Markdown that shows them."""
    if key not in found.values:
        raise ReportError(f"the value {key!r} is asked for, and no notebook recorded it")
    return _texts_escaped(found.values[key])


def _texts_escaped(value):
    if isinstance(value, list):
        return [_texts_escaped(own) for own in value]
    return escaped(value) if isinstance(value, str) else value


def plain(text):
    """A text in one line, of characters that stay in their places: names of files may hold any."""
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.splitlines()))


def escaped(text):
    """Markdown that shows a text as it is, whatever stands in it."""
    return re.sub(f"[{MARKS}]", r"\\\g<0>", plain(text))


def unescaped(markdown):
    """The text that Markdown shows in which nothing is marked."""
    return re.sub(rf"\\([{MARKS}])", r"\1", markdown)


def cell_that_made(found, name):
    """The address, within the report's folder, of the cell that made a figure or table; "" for what was
    made by hand, whose notebook the report does not have."""
    notebook, count = found.made_in[name]
    if found.run["provenance"][notebook]["by_hand"]:
        return ""
    for cell in found.notebooks[notebook].cells:
        if cell.get("execution_count") == count:
            return f"walkthrough/{notebook}.html#{cell.id}"
    raise ReportError(f"{notebook} was executed again after it made {name!r}")


def environment(loader=None):
    """Jinja with the filters that print numbers."""
    made = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        comment_start_string="<!--",  # "{#" begins the name of a heading
        comment_end_string="-->",
    )
    made.filters |= {
        "percent": lambda share, digits=1: f"{100 * share:.{digits}f}\u00a0%",
        "fixed": lambda number, digits=3: printed(number, f".{digits}f"),
        "signed": lambda number, digits=2: printed(number, f"+.{digits}f"),
        "percents": lambda shares: listed(f"{100 * share:.1f}" for share in shares) + "\u00a0%",
        "interval": lambda ends: f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}\u00a0%",
        "pvalue": chance,
        "count": lambda number: f"{number:,}",
        "listed": listed,
        "tile": lambda name: escaped(tile(unescaped(name))),
        "text": escaped,
    }
    return made


def tile(name):
    """A tile of HMT in words, from the name of its file; names of synthetic tiles stay."""
    file = r"(\w+?)_CRC-Prim-HE-(\w+)\.tif_Row_(\d+)_Col_(\d+)(\.tif)?"
    return re.sub(file, r"tile \1 (image \2, row \3, column \4)", name)


def pandoc(text, form, path, options, source=MARKDOWN):
    """Write ``text`` as a page of its own.

    Files are named as seen from the templates: pandoc takes paths for addresses, and for it a folder whose name
    has ``%20`` or ``#`` in it is another one.
    """
    wide = "--columns=100000"  # a table with longer lines would get columns of equal width
    options = ["--standalone", wide, *options]
    try:
        pypandoc.convert_text(
            text, form, source, outputfile=str(path), extra_args=options, cworkdir=TEMPLATES
        )
    except RuntimeError as error:
        raise ReportError(f"{path.name} could not be made: {str(error).splitlines()[0]}") from error
    if form == "html5":
        path.write_text(guarded(path.read_text()))


def guarded(page):
    """A page of pandoc under the policy. It allows no attribute of style: each becomes a rule of the page."""
    looks = {}
    page = re.sub(
        r'(<[a-z][^<>]*) style="([^"<>]*)"',
        lambda tag: f'{tag[1]} data-style="{looks.setdefault(tag[2], len(looks))}"',
        page,
    )
    rules = [f'[data-style="{number}"] {{ {html.unescape(look)} }}' for look, number in looks.items()]
    page = page.replace("</head>", "\n".join(["  <style>", *rules, "  </style>", "</head>"]), 1)
    styles = sorted(set(re.findall(r"<style[^>]*>(.*?)</style>", page, flags=re.S)))
    policy = POLICY.format(" ".join(f"'sha256-{_sha256(style)}'" for style in styles))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
    charset = '<meta charset="utf-8" />'  # comes first, within the bytes that a browser searches for it
    return page.replace(charset, f"{charset}\n  {meta}", 1)


def _sha256(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

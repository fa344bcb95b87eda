"""What the pages of the report share: what a run left behind, and the words to print it with."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import nbformat
import pypandoc

from xai_utils.run.errors import UsageError
from xai_utils.run.files import output_root
from xai_utils.study.wording import chance, listed, printed

TEMPLATES = Path(__file__).resolve().parent / "templates"
HTML = ["--mathml", "-Vdocument-css=false", f"--lua-filter={TEMPLATES / 'scroll.lua'}"]
EMBEDDED = [*HTML, "--embed-resources", f"--css={TEMPLATES / 'style.css'}"]  # a page of one file
MARKDOWN = "markdown+smart+link_attributes+table_attributes"


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


def value_of(found, key):
    if key not in found.values:
        raise ReportError(f"the value {key!r} is asked for, and no notebook recorded it")
    return found.values[key]


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
        "tile": tile,
    }
    return made


def tile(name):
    """A tile of HMT in words, from the name of its file; names of synthetic tiles stay."""
    file = r"(\w+?)_CRC-Prim-HE-(\w+)\.tif_Row_(\d+)_Col_(\d+)(\.tif)?"
    return re.sub(file, r"tile \1 (image \2, row \3, column \4)", name)


def pandoc(text, form, path, options, source=MARKDOWN):
    """Write ``text`` as a page of its own."""
    wide = "--columns=1000"  # a table with longer lines would get columns of equal width
    options = ["--standalone", wide, *options]
    try:
        pypandoc.convert_text(text, form, source, outputfile=str(path), extra_args=options)
    except RuntimeError as error:
        raise ReportError(f"{path.name} could not be made: {str(error).splitlines()[0]}") from error

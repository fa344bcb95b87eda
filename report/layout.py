"""Measure how the PDFs of a built report are laid out, and say which rules they break.

``python -m report.layout report/build/standard`` looks at ``report.pdf``, in two columns, and at
``supplement.pdf``, in one. LaTeX with hyperref leaves a destination at the caption of each figure and
table and at the head of each section; ``pdfinfo`` says where they lie, ``pdftotext`` where the words are
and ``pdftoppm`` where there is ink. A mention inside the caption of another figure or table counts like
one in the text.
"""

import argparse
import html
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import groupby, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from PIL import Image

from report.common import ReportError
from report.page import PREFIX

PAGES = 14  # of the paper, at most
EXCEPTIONS = 2  # figures and tables that may stand far from their first mention
EMPTY = 0.3  # of a page, at most
GAP = 24  # points: what is higher and white is empty
DPI = 40
INK = 250  # grey values below are ink
TOOLS = ("pdfinfo", "pdftotext", "pdftoppm")
KINDS = {"figure": ("Fig.", "Fig."), "table": ("Table", "TABLE")}  # in the text, and as captions begin
WRITTEN = {begins: kind for kind, capital in KINDS.values() for begins in (kind, capital)}


class Word(NamedTuple):
    """A word of a PDF: where it stands, in the order of reading, and what it says."""

    page: int
    column: int
    y: float  # of its middle, from the top of the page
    x: float
    text: str


def measured(folder):
    """How a built report is laid out.

    ``pages`` and, for each page, the share that is ``empty``, are of the paper; so are the ``floats``,
    each with its label, its page, the page where it is first mentioned (or None) and whether that is ok.
    ``misplaced`` are the labels of the supplement that stand in a section that does not mention them
    first, or are mentioned nowhere.
    """
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        raise ReportError(f"{' and '.join(missing)} cannot be found: install poppler-utils")
    paper = read(Path(folder) / "report.pdf", columns=2)
    supplement = read(Path(folder) / "supplement.pdf", columns=1)
    return {
        "pages": paper.pages,
        "floats": floats(paper),
        "empty": emptiness(rendered(Path(folder) / "report.pdf")),
        "misplaced": misplaced(supplement),
    }


def faults(found):
    """What breaks a rule, in sentences."""
    said = []
    if found["pages"] > PAGES:
        said.append(f"The paper has {found['pages']} pages; {PAGES} are allowed.")
    silent = [one["label"] for one in found["floats"] if one["mentioned"] is None]
    said += [f"{label} is never mentioned." for label in silent]
    far = [
        f"{one['label']} (page {one['page']}, mentioned on page {one['mentioned']})"
        for one in found["floats"]
        if not one["ok"] and one["mentioned"] is not None
    ]
    if len(far) > EXCEPTIONS:
        said.append(
            f"{len(far)} figures and tables stand neither on the page of their first mention nor on the "
            f"next; {EXCEPTIONS} may: {', '.join(far)}."
        )
    for page, share in enumerate(found["empty"][:-1], 1):
        if share > EMPTY:
            said.append(f"Page {page} is {share:.0%} empty; {EMPTY:.0%} are allowed.")
    for label in found["misplaced"]:
        said.append(f"{label} does not stand in the section of the supplement that first mentions it.")
    return said


def read(path, columns):
    """The words of a PDF, its number of pages, and its destinations ``{name: (page, column, y, x)}``."""
    if not path.exists():
        raise ReportError(f"there is no {path}: build the report first")
    text = _run("pdftotext", "-bbox", path, "-")
    sizes = re.findall(r'<page width="([\d.]+)" height="([\d.]+)"', text)
    middles = [float(width) / 2 if columns == 2 else np.inf for width, _ in sizes]
    places = {}
    for page, x, y, name in destinations(_run("pdfinfo", "-dests", path)):
        top = float(sizes[page - 1][1]) - y
        places[name] = (page, int(x >= middles[page - 1]), top, x)
    if "Doc-Start" not in places:
        raise ReportError(
            f"{path} was not made by LaTeX with hyperref: it does not say where figures are"
        )
    if any(name.startswith(("figure.caption", "table.caption")) for name in places):
        raise ReportError(f"{path} was made with the caption package, which counts figures otherwise")
    return SimpleNamespace(words=words(text, middles), pages=len(sizes), places=places, path=path)


def destinations(text):
    """``(page, x, y, name)`` of each named destination; y goes up from the foot of the page."""
    line = r'^\s*(\d+) \[ XYZ\s+(-?\d+)\s+(-?\d+).*\] "(.+)"$'
    for page, x, y, name in re.findall(line, text, flags=re.M):
        yield int(page), int(x), int(y), name


def words(text, middles):
    """The words of all pages; those right of the middle of a page are in its second column."""
    found, page = [], 0
    word = r'xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>'
    for is_page, *box, said in re.findall(rf"<(?:(page )|word {word})", text, flags=re.S):
        if is_page:
            page += 1
            continue
        left, top, right, bottom = map(float, box)
        column = int((left + right) / 2 >= middles[page - 1])
        found.append(Word(page, column, (top + bottom) / 2, left, html.unescape(said)))
    return found


def labelled(said):
    """Every ``Fig. 3`` and ``Table S2`` among the words, with the word that it begins with."""
    found = []
    for word, following in pairwise(said):
        kind = WRITTEN.get(re.sub(r"^\W+", "", word.text))
        number = re.match(r"(S?\d+)[a-z]?\b", following.text)
        if kind and number:
            found.append((f"{kind} {number[1]}", word))
    return found


def captions(document):
    """``{label: word}``, the word that each caption of a document begins with."""
    letter, known = PREFIX[document.path.stem], labelled(document.words)
    found = {}
    for name, (page, _, y, x) in document.places.items():
        if not (numbered := re.fullmatch(r"(figure|table)\.(\d+)", name)):
            continue
        kind, begins = KINDS[numbered[1]]
        label = f"{kind} {letter}{numbered[2]}"
        near = [
            word
            for other, word in known
            if (other, word.page, word.text) == (label, page, begins)
            and begins_line(word, document.words)
        ]
        if not near:
            raise ReportError(f"the caption of {label} is not found on page {page} of {document.path}")
        found[label] = min(near, key=lambda word: abs(word.y - y) + abs(word.x - x))
    return found


def begins_line(word, page_words):
    """Whether nothing stands left of a word, in its column."""
    return not any(
        other[:2] == word[:2] and other.x < word.x and abs(other.y - word.y) < 4 for other in page_words
    )


def first_mentions(document, begun):
    """``{label: word}``, where each figure and table is mentioned first, outside its caption."""
    found = {}
    for label, word in sorted(labelled(document.words), key=lambda pair: pair[1]):
        if word != begun.get(label):
            found.setdefault(label, word)
    return found


def floats(paper):
    """Each figure and table in the order of reading, with its page and that of its first mention."""
    begun = captions(paper)
    mentions = first_mentions(paper, begun)
    found = []
    for label, caption in sorted(begun.items(), key=lambda pair: pair[1]):
        mentioned = mentions[label].page if label in mentions else None
        ok = mentioned is not None and caption.page - mentioned in (0, 1)
        found.append({"label": label, "page": caption.page, "mentioned": mentioned, "ok": ok})
    return found


def misplaced(supplement):
    """The labels that stand outside the section that first mentions them, or are mentioned nowhere."""
    begun = captions(supplement)
    mentions = first_mentions(supplement, begun)
    heads = [place for name, place in supplement.places.items() if re.fullmatch(r"section\.\w+", name)]

    def section(word):
        return sum(head[:3] <= word[:3] for head in heads)

    return [
        label
        for label, caption in sorted(begun.items(), key=lambda pair: pair[1])
        if label not in mentions or section(caption) != section(mentions[label])
    ]


def rendered(path):
    """The pages of a PDF as arrays of grey values."""
    with tempfile.TemporaryDirectory() as folder:
        _run("pdftoppm", "-gray", "-r", str(DPI), path, f"{folder}/page")
        return [np.asarray(Image.open(file)) for file in sorted(Path(folder).iterdir())]


def emptiness(pages):
    """The share of each page that is white: the mean over its columns, the halves of the body.

    The body is the box around the ink of all pages; lines of text stand closer than ``GAP``.
    """
    inked = np.stack(pages) < INK
    rows, columns = (np.flatnonzero(inked.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    body = inked[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return [float(np.mean([_white(half) for half in np.array_split(page, 2, axis=1)])) for page in body]


def _white(column):
    """The share of a column's height that lies in white runs higher than ``GAP``."""
    runs = [len(list(run)) for has_ink, run in groupby(column.any(axis=1)) if not has_ink]
    return sum(run for run in runs if run * 72 / DPI > GAP) / len(column)


def _run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise ReportError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description="Measure the layout of a built report.")
    parser.add_argument("folder", help="with report.pdf and supplement.pdf")
    try:
        found = measured(parser.parse_args().folder)
    except ReportError as error:
        sys.exit(f"error: {error}")
    for one in found["floats"]:
        mark = "" if one["ok"] else "  far"
        print(f"{one['label']:<9} page {one['page']:>2}  mentioned {one['mentioned'] or '-'}{mark}")
    for page, share in enumerate(found["empty"], 1):
        print(f"page {page:>2}   {share:>4.0%} empty")
    said = faults(found)
    print("\n".join(said) or "no rule is broken")
    sys.exit(1 if said else 0)


if __name__ == "__main__":
    main()

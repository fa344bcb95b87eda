"""Find in the running text of a built page what reads as if a machine had written it.

``python -m report.prose report/build/standard/report.html`` prints what breaks a rule. Looked at are the
paragraphs of the text and of the abstract, not captions, tables, contents and references. A formula
counts as one word, a citation such as [3] as none.
"""

import argparse
import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

WORDS = 45  # of a sentence, at most
ITEMS = 4  # of a list, at most
COMMA_ITEM, SEMICOLON_ITEM = 4, 6  # words of an item, at most: what is longer is no list
QUOTED = 12  # words of a quotation
SKIPPED = ("header", "nav", "figure", "figcaption", "table")
VOID = ("area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
ABBREVIATIONS = r"Figs?|Sec|Eqs?|Tab|Refs?|e\.g|i\.e|cf|vs|al|approx"
INITIALS = r"(?:[A-Z]\.)*[A-Z]"
OPENERS = (  # of a clause or an adverbial: what begins so is no item of a list
    "after|although|and|as|at|because|before|besides|beyond|but|by|for|from|given|here|hence|however|if|in"
    "|into|like|no|not|of|on|once|only|or|over|perhaps|since|so|still|such|than|that|then|there|therefore"
    "|though|through|thus|to|too|under|unless|until|upon|when|where|whereas|whether|which|while|who|whose"
    "|why|with|within|without|yet"
)
REPORTS = r"\bp [=<] |\[[+−]|(?=.*\d\.\d).*(?:\bbeats? every control|\bundecided\b)"  # these two with a number
NETWORK = r"network|VGG-7|CNN|MobileNetV2"
NUMBERED = r"\b(?:Fig\.|Table|Section|VOC) S?[\d.]+"  # their numbers count nothing
SAMPLES = (
    r"(?<![\w.-])\d[\d,]*\s+(?:\w+[\s-]+){0,3}"
    r"(?:signals|tiles|mosaics|images|pairs|photographs|pictures|samples|maps|seeds)\b|\bn = \d"
)


def faults(html):
    """What breaks a rule on a page, in the order of its paragraphs."""
    found, openings = [], []
    for section, text in paragraphs(html):
        parts = sentences(text)
        found += [fault for sentence in parts for fault in (*too_long(sentence), *too_many(sentence))]
        found += repeated_sentences(parts)
        found += bare_claims(text)
        openings = [*openings, (section, opening(text))][-3:]
        if len(openings) == 3 and len(set(openings)) == 1 and opening(text):
            found.append(_fault("Three paragraphs with the same opening", text))
    return found


def paragraphs(html):
    """``(section, text)`` of each paragraph of running text; sections are counted by their headings."""
    page = Page()
    page.feed(html)
    page.close()
    return page.paragraphs


class Page(HTMLParser):
    """Reads a page of pandoc and keeps its paragraphs of running text.

    ``open`` holds the elements that enclose what is read, each with whether it is skipped.
    """

    def __init__(self):
        super().__init__()
        self.open, self.paragraphs = [], []
        self.section, self.text, self.formula = 0, None, None

    def handle_starttag(self, tag, attributes):
        if tag in VOID:
            return self.handle_data(" ")
        named = dict(attributes)
        classes = (named.get("class") or "").split()
        skipped = bool(self.open) and self.open[-1][1]
        skipped |= tag in SKIPPED or named.get("id") == "refs" or "back" in classes
        self.open.append((tag, skipped and "abstract" not in classes))
        if tag in HEADINGS:
            self.section += 1
        elif tag == "p" and not skipped:
            self.text = ""
        elif tag == "math" and self.text is not None:
            self.formula = ""
            self.text += " MATH" if named.get("display") == "block" else "MATH"

    def handle_endtag(self, tag):
        if tag not in (known for known, _ in self.open):
            return
        while self.open.pop()[0] != tag:
            pass
        if tag == "p" and self.text is not None:
            self.paragraphs.append((self.section, cleaned(self.text)))
            self.text = None
        elif tag == "math" and self.formula is not None:
            self.text += re.search(r"[.,;:]?\s*$", self.formula)[0]  # "$$a = b.$$" ends a sentence
            self.formula = None

    def handle_data(self, data):
        if self.formula is not None:
            self.formula += data
        elif self.text is not None:
            self.text += data


def cleaned(text):
    """The text in one line, with plain spaces and without citations."""
    text = re.sub(r"\s*\[\d+(?:[,–-]\s*\d+)*\]", "", text)
    return " ".join(text.split())


def sentences(text):
    """The sentences of a paragraph.

    One ends with a full stop, a question or an exclamation mark before a capital letter, a digit, a quote
    or a bracket. Initials and abbreviations as in "Fig. 3" end none.
    """
    found, begin = [], 0
    for end in re.finditer(r"[.!?][)\]”’\"']*\s+(?=[A-Z0-9“‘\"'(\[])", text):
        last = re.search(r"[^\s(“]*$", text[begin : end.start()])[0]
        if end[0].startswith(".") and re.fullmatch(rf"{ABBREVIATIONS}|{INITIALS}", last):
            continue
        found.append(text[begin : end.end()].strip())
        begin = end.end()
    return [*found, text[begin:]] if text[begin:] else found


def too_long(sentence):
    """The fault of a sentence with too many words."""
    if (count := len(sentence.split())) > WORDS:
        yield _fault(f"Long sentence ({count} words)", sentence)


def too_many(sentence):
    """The fault of a sentence with a list of too many items."""
    aside = re.findall(r"\(([^()]*)\)", sentence)
    plain = re.sub(r"\s*\([^()]*\)", "", sentence)
    pieces = [piece for part in (plain, *aside) for piece in re.split(r"[;:]\s", part)]
    most = max(_between_semicolons(sentence), *map(_between_commas, pieces))
    if most > ITEMS:
        yield _fault(f"List of {most} items", sentence)


def _between_semicolons(sentence):
    """The items of a list with semicolons; six are one even where they are long."""
    items = sentence.split(";")
    are_short = all(len(item.split()) <= SEMICOLON_ITEM for item in items[1:-1])
    return len(items) if are_short or len(items) > ITEMS + 1 else 0


def _between_commas(piece):
    """The items of the longest list "a, b, c and d" or "a, b, c, and d".

    It is counted from its end: items of few words up to one that is longer, of which the last words may be
    the first item, or to what begins as a clause does.
    """
    parts, longest = re.split(r",\s+", piece), 0
    for place, part in enumerate(parts):
        joined = re.fullmatch(r"(.*?)\b(?:and|or)\s+\S.*", part)
        if not joined or not _is_item(joined[1]):
            continue
        count = 2 if joined[1].strip() else 1
        for before in reversed(parts[:place]):
            is_clause = re.match(rf"\W*(?:{OPENERS})\b", before, flags=re.I)
            count += not is_clause
            if is_clause or not _is_item(before) or re.search(r"\b(and|or)\b", before):
                break
        longest = max(longest, count if place else 0)
    return longest


def _is_item(text):
    return len(text.split()) <= COMMA_ITEM


def repeated_sentences(parts):
    """The faults of sentences that begin as the one before them."""
    for before, after in pairwise(parts):
        if opening(after) and opening(before) == opening(after):
            yield _fault("Same opening as the sentence before", after)


def opening(text):
    """The first two words in small letters, or None of a text of one."""
    begun = [word for word in (re.sub(r"^\W+|\W+$", "", word) for word in text.split()) if word]
    return tuple(word.casefold() for word in begun[:2]) if len(begun) > 1 else None


def bare_claims(text):
    """The faults of a paragraph that reports a test and does not say of which network and how many
    samples."""
    if not re.search(REPORTS, text, flags=re.I | re.S):
        return
    if not re.search(NETWORK, text, flags=re.I):
        yield _fault("Claim without its network", text)
    if not re.search(SAMPLES, re.sub(NUMBERED, "", text), flags=re.I):
        yield _fault("Claim without its sample size", text)


def _fault(rule, text):
    begun = text.split()
    more = " …" if len(begun) > QUOTED else ""
    return f"{rule}: “{' '.join(begun[:QUOTED])}{more}”"


def main():
    parser = argparse.ArgumentParser(description="Find in a built page what reads like a machine.")
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    if not page.exists():
        sys.exit(f"error: there is no {page}: build the report first")
    found = faults(page.read_text())
    print("\n".join(found) or "no rule is broken")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

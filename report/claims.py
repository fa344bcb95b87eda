"""What this project claims, and whether a run bears it out.

``claims.yaml`` is the one source: a claim names a value of a run, what it is expected to be and how near
it has to come. The report and the walkthrough show the table, the README tells the findings with the
expected values, and ``./run_all.sh --check-claims`` compares a run with it.
``python -m report.claims --readme`` writes the README's findings again.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import yaml

from xai_utils.run.files import REPOSITORY, results
from xai_utils.study.wording import printed

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- findings -->", "<!-- end of findings -->"
STAND_INS = {
    "tiles": ("hmt.source", "synthetic"),
    "VOC": ("voc.source", "generated"),
    "photographs": ("photographs.source", "generated"),
}


def read():
    """The claims by name, each with the minutes that its notebook takes, and the findings that are told with
    them."""
    known = yaml.safe_load((HERE / "claims.yaml").read_text())
    claims = {
        claim["name"]: claim | {"minutes": known["minutes"][claim["notebook"]]}
        for claim in known["claims"]
    }
    return claims, known["findings"]


def check(values, claims):
    """Whether the values of a run bear out the claims: a row a claim, as it is printed.

    The verdict is "holds", "fails", or "not tried", where the run lacks the data that the claim is about.
    """
    rows = []
    for claim in claims.values():
        lacking = [need for need in claim.get("needs", ()) if not _has(values, need)]
        found = None if lacking else values[claim["value"]]
        near = found is not None and _near(found, claim)
        verdict = f"not tried: no {' and '.join(lacking)}" if lacking else "holds" if near else "fails"
        samples = claim["samples"]
        rows.append(
            {
                "claim": claim["claim"],
                "network": claim["network"],
                "data": claim["data"],
                "samples": str(samples if isinstance(samples, int) else values.get(samples, "")),
                "shown": claim["shown"],
                "command": f"./run_all.sh -- --until results/standard/parts/{claim['notebook']}.json",
                "minutes": claim["minutes"],
                "expected": _expected(claim),
                "found": "" if found is None else _printed(claim, found),
                "verdict": verdict,
            }
        )
    return rows


def findings():
    """The findings as the README tells them, with the expected values."""
    claims, told = read()
    numbers = {name: _printed(claim, claim["expected"]) for name, claim in claims.items()}
    return "\n".join(_bullet(text.strip().format(**numbers)) for text in told)


def _bullet(text):
    """A list item in lines of up to 112 letters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 112:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "- " + "\n  ".join(lines)


def _has(values, need):
    if need == "course weights":
        return "hmt.over_course" in values
    name, stand_in = STAND_INS[need]
    return values[name] != stand_in


def _near(found, claim):
    """Whether a number is as near as it has to come, or a verdict the one that is expected."""
    if isinstance(claim["expected"], str):
        return found == claim["expected"]
    return abs(float(found) - claim["expected"]) <= claim["tolerance"]


def _expected(claim):
    if isinstance(claim["expected"], str):
        return claim["expected"]
    return f"{_printed(claim, claim['expected'])} ± {_printed(claim, claim['tolerance'])}"


def _printed(claim, found):
    return (
        found if isinstance(found, str) else printed(float(found), claim["format"]).replace("%", " %")
    )


def write_readme():
    path = REPOSITORY / "README.md"
    text = path.read_text()
    pattern = f"{re.escape(BEGIN)}.*?{re.escape(END)}"
    path.write_text(re.sub(pattern, lambda _: f"{BEGIN}\n{findings()}\n{END}", text, flags=re.DOTALL))


def main():
    parser = argparse.ArgumentParser(description="Compare a run with what the project claims.")
    parser.add_argument("profile", nargs="?")
    parser.add_argument("--readme", action="store_true", help="write the README's findings again")
    options = parser.parse_args()
    if options.readme:
        return write_readme()
    file = results(options.profile or "standard") / "values.json"
    if not file.exists():
        sys.exit(f"error: there is no {file}: run ./run_all.sh first")
    rows = check(json.loads(file.read_text()), read()[0])
    for row in rows:
        print(f"{row['verdict']:<12} {row['found']:>9}  expected {row['expected']:<18} {row['claim']}")
    failed = sum(row["verdict"] == "fails" for row in rows)
    tried = sum(not row["verdict"].startswith("not tried") for row in rows)
    print(f"{tried - failed} of {tried} claims hold; {len(rows) - tried} were not tried")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""What a campaign found, as the table of ``docs/reliability.md``.

A module of the campaign has ``pytestmark = pytest.mark.campaign("what its tests show")``, a row of the table. Each of
its tests is one trial, unless it makes several by the fixture ``record_trials``, or names another row by
``record_property("row", "what it shows")``.
"""

import re
import subprocess
from pathlib import Path

from xai_utils.run.provenance import commit, processor

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
TABLE = re.compile(r"(?<=<!-- campaign -->\n).*?(?=<!-- end of campaign -->)", re.S)


class Trials:
    """How many trials were made and held, ``{row: [tried, held]}``, as reports of tests come in."""

    def __init__(self):
        self.rows = {}

    def add(self, report):
        about = dict(report.user_properties)
        if "campaign" not in about or report.skipped or (report.when != "call" and report.passed):
            return
        several = [trial for name, trial in report.user_properties if name == "trial"]
        for row, held in several or [(about.get("row", about["campaign"]), report.passed)]:
            counts = self.rows.setdefault(row, [0, 0])
            counts[0] += 1
            counts[1] += held

    def table(self, seconds):
        lines = ["", "| what was tried | tried | held |", "| --- | ---: | ---: |"]
        lines += [f"| {row} | {tried} | {held} |" for row, (tried, held) in sorted(self.rows.items())]
        where = f"{processor()}, {_cores()} cores"
        return "\n".join(
            [*lines, "", f"At the commit {commit()}, on {where}, in {seconds / 60:.0f} minutes.", ""]
        )

    def write(self, seconds):
        """Put the table in its page."""
        PAGE.write_text(TABLE.sub(lambda _: self.table(seconds), PAGE.read_text()))


def _cores():
    return subprocess.run(["nproc"], capture_output=True, text=True).stdout.strip()

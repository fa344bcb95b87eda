"""What a campaign found, as the table of ``docs/reliability.md``.

A module of the campaign has ``pytestmark = pytest.mark.campaign("what its tests show")``, a row of the table. Each of
its tests is one trial, unless it makes several by the fixture ``record_trials``, or names another row by
``record_property("row", "what it shows")``.
"""

import os
import re
from pathlib import Path

from xai_utils.run.provenance import commit, processor

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
TABLE = re.compile(r"(?<=<!-- campaign -->\n).*?(?=<!-- end of campaign -->)", re.S)


class Trials:
    """How many trials were made and held, ``{row: [tried, held]}``, as reports of tests come in."""

    def __init__(self):
        self.rows, self.page_is_wanted = {}, False

    def add(self, report):
        about = dict(report.user_properties)
        if "campaign" not in about or report.skipped or (report.when != "call" and report.passed):
            return
        several = [trial for name, trial in report.user_properties if name == "trial"]
        for row, held in several or [(about.get("row", about["campaign"]), report.passed)]:
            counts = self.rows.setdefault(row, [0, 0])
            counts[0] += 1
            counts[1] += held
        if self.page_is_wanted:
            self.write()

    def write(self):
        """Put the table in its page. Rows of what was not tried now stay."""
        page = PAGE.read_text()
        rows = dict(re.findall(r"^\| ([^|]+) \| (\d.*)$", TABLE.search(page)[0], re.M))
        where = f"{commit()} | {processor()}, {os.cpu_count()} cores |"
        rows |= {row: f"{tried} | {held} | {where}" for row, (tried, held) in self.rows.items()}
        lines = [
            "",
            "| what was tried | tried | held | at the commit | on |",
            "| --- | ---: | ---: | --- | --- |",
        ]
        lines += [f"| {row} | {found}" for row, found in sorted(rows.items())]
        PAGE.write_text(TABLE.sub(lambda _: "\n".join([*lines, "", ""]), page))

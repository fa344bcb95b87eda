"""How soon the explorer's page answers: from the move of its slider to the probabilities that it shows.

``python benchmarks/explorer.py`` asks, in Chromium, the explorer of the standard run about a signal and a
tile, with the mean in the place of the removed points, when the curves have filled in; another folder may
be given.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from xai_utils.run.files import output_root

TIMES = 20
FILLED = "document.querySelectorAll('#curves circle:not(.mark)').length >= 42"
MOVE = """(percent) => new Promise((resolve) => {
    const slider = document.getElementById("fraction"), started = performance.now();
    const table = document.querySelector("#probabilities tbody");
    const watch = new MutationObserver(() => {
        if (!table.querySelector("td.method data")) return;
        watch.disconnect();
        resolve(performance.now() - started);
    });
    slider.value = percent;
    slider.dispatchEvent(new Event("input"));
    watch.observe(table, { childList: true });
})"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    folder = output_root() / "report" / "build" / "standard" / "explorer"
    parser.add_argument("explorer", type=Path, nargs="?", default=folder)
    page = parser.parse_args().explorer.resolve() / "index.html"
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page()
        tab.goto(page.as_uri())
        for dataset in ("mnist1d", "hmt"):
            tab.select_option("#dataset", dataset)
            tab.select_option("#fill", "mean")
            tab.wait_for_function(FILLED)
            # Shares that the curves have not asked about.
            percents = [percent for percent in range(1, 100) if percent % 5][:: 80 // TIMES]
            taken = [tab.evaluate(MOVE, percent) for percent in percents]
            middle, slowest = np.median(taken), max(taken)
            print(f"{dataset}: {middle:.0f} ms in the median of {len(taken)}, {slowest:.0f} ms at most")
        browser.close()


if __name__ == "__main__":
    main()

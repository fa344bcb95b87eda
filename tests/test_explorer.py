"""The explorer's data, and the page in a real browser."""

import base64
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xai_utils.results import REPOSITORY, SCORE_COLUMNS

sys.path.insert(0, str(REPOSITORY / "report"))
import explorer  # noqa: E402

METHODS = [["grad_cam", "Grad-CAM", "class activation"], ["rise", "RISE", "masks"]]
METRICS = [["drop_rate", "Drop rate", False], ["adcc", "ADCC", True]]


def decoded(made):
    levels = np.frombuffer(base64.b64decode(made["levels"]), np.uint8)
    return levels, np.frombuffer(base64.b64decode(made["values"]), "<f4")


def test_a_small_map_keeps_its_order_and_values():
    made = explorer.encoded(np.array([0.5, -1.0, 2.0, 0.5]))
    levels, values = decoded(made)
    assert levels.tolist() == [1, 3, 0, 2], "of equal points the first comes first"
    assert values.tolist() == [2.0, 0.5, 0.5, -1.0] and made["signed"]


def test_a_large_map_keeps_shares_of_its_points_and_the_middles_of_its_levels():
    values = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    levels, middles = decoded(explorer.encoded(values))
    assert np.bincount(levels).tolist() == [16] * 256
    assert np.abs(middles[levels].reshape(values.shape) - values).max() < 0.02


def a_run(folder):
    """What two datasets of a few samples left behind; HMT's second tile has one map and no score."""
    rng = np.random.default_rng(0)
    (folder / "parts").mkdir(parents=True)
    shapes = {"mnist1d": ("03_mnist1d_explain", (4, 40, 1)), "hmt": ("05_hmt_explain", (4, 16, 16, 3))}
    rows = []
    for dataset, (notebook, shape) in shapes.items():
        names = np.array([f"{dataset}_{i}" for i in range(4)])
        maps = {"map grad_cam": rng.random(shape[:-1]), "map rise": rng.normal(size=shape[:-1])}
        maps["map rise"][1] = np.nan
        x = rng.normal(size=shape) if dataset == "mnist1d" else rng.integers(0, 256, shape)
        np.savez(
            folder / f"parts/{notebook}_{dataset}.npz",
            x=x,
            y=np.array([0, 0, 1, 1]),
            names=names,
            classes=np.array(["zero", "one"]),
            probabilities=np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6]]),
            **maps,
        )
        share = explorer.ABOUT[dataset]["fraction"]
        for name, drop in zip(names[[0, 2, 3]], (0.1, 0.5, 0.9)):
            for method in ("grad_cam", "rise"):
                rows.append([dataset, "ours", method, "drop_rate", share, "black", "exact", name, drop])
                rows.append([dataset, "ours", method, "adcc", "", "", "", name, 0.25])
    pd.DataFrame(rows, columns=SCORE_COLUMNS).to_csv(folder / "scores.csv", index=False)
    tables = {
        "methods": {"columns": ["name", "title", "family"], "data": METHODS},
        "metrics": {"columns": ["name", "title", "higher_is_better"], "data": METRICS},
    }
    return SimpleNamespace(tables=tables, values={"hmt.source": "synthetic"}, folder=folder)


@pytest.fixture
def page(tmp_path):
    explorer.write_explorer(a_run(tmp_path / "run"), tmp_path / "explorer")
    return tmp_path / "explorer"


def content(file):
    name, data = file.read_text().removeprefix("explorer.receive(").removesuffix(");\n").split(", ", 1)
    assert json.loads(name) == file.stem
    return json.loads(data)


def test_the_index_knows_all_samples_and_the_parts_hold_them(page):
    own = content(page / "data/index.js")["datasets"]["hmt"]
    assert own["title"].startswith("Synthetic tissue")
    assert own["settings"] == [
        "Drop rate, top 90 %, black (lower is better)", "ADCC (higher is better)",
    ]  # fmt: skip
    assert [sample[:5] for sample in own["samples"]][:2] == [
        ["hmt_0", 0, 0, 0.9, 0.1], ["hmt_1", 0, 1, 0.7, None],
    ]  # fmt: skip
    first, second = (content(page / f"data/{own['samples'][i][5]}.js")[f"hmt_{i}"] for i in (0, 1))
    assert first["scores"] == [{"grad_cam": 0.1, "rise": 0.1}, {"grad_cam": 0.25, "rise": 0.25}]
    assert list(first["maps"]) == ["grad_cam", "rise"] and list(second["maps"]) == ["grad_cam"]
    assert second["scores"] == []


def test_nothing_is_loaded_from_elsewhere(page):
    for file in page.glob("*.*"):
        assert "http" not in file.read_text()


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def tab(browser, page):
    """The page, opened from the file system; anything on its console fails the test."""
    opened, said = browser.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto((page / "index.html").as_uri())
    opened.wait_for_selector(".panel")
    yield opened
    assert said == []


def listed(tab):
    return tab.eval_on_selector_all("#samples option", "options => options.map(o => o.value)")


def test_the_filters_leave_what_they_say(tab):
    assert listed(tab) == ["mnist1d_0", "mnist1d_1", "mnist1d_2", "mnist1d_3"]
    tab.select_option("#outcome", "wrong")
    assert listed(tab) == ["mnist1d_1"]
    tab.select_option("#outcome", "")
    tab.select_option("#true", "1")
    tab.fill("#confidence-low", "0.7")
    assert listed(tab) == ["mnist1d_2"]
    tab.fill("#confidence-low", "0")
    tab.fill("#drop-high", "0.6")
    assert listed(tab) == ["mnist1d_2"]
    tab.fill("#drop-high", "0.2")
    assert listed(tab) == [] and not tab.is_visible("#sample")
    tab.select_option("#predicted", "1")
    tab.select_option("#dataset", "hmt")
    assert len(listed(tab)) == 4


def visible_pixels(tab):
    """How many pixels of the first masked tile are not black."""
    return tab.evaluate(
        """() => {
            const canvas = document.querySelectorAll(".panel canvas")[1];
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let i = 0; i < data.length; i += 4) count += data[i] + data[i + 1] + data[i + 2] > 0;
            return count;
        }"""
    )


def test_the_slider_keeps_that_share_of_the_pixels(tab):
    tab.select_option("#dataset", "hmt")
    tab.wait_for_function("document.getElementById('name').textContent.startsWith('hmt_0')")
    assert tab.input_value("#fraction") == "90" and visible_pixels(tab) == 230
    tab.fill("#fraction", "25")
    assert tab.text_content("#kept") == "25 %" and visible_pixels(tab) == 64


def test_the_keyboard_walks_through_the_samples_and_the_address_keeps_the_place(tab):
    tab.focus("#samples")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    assert tab.text_content("#name").startswith("mnist1d_2")
    assert tab.url.endswith("#mnist1d/mnist1d_2")
    tab.reload()
    tab.wait_for_selector(".panel")
    assert tab.input_value("#samples") == "mnist1d_2"


def test_scores_and_missing_maps_are_said(tab):
    assert tab.text_content(".panel[data-method=rise] p") == "score 0.100"
    tab.select_option("#score", "1")
    assert tab.text_content(".panel[data-method=rise] p") == "score 0.250"
    tab.select_option("#samples", "mnist1d_1")
    assert "Not computed for this sample: RISE" in tab.text_content("#methods")


def test_it_fits_a_telephone(tab):
    tab.set_viewport_size({"width": 400, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400

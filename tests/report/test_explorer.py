"""The explorer's data, and the page in a real browser."""

import base64
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from report import explorer
from report.common import ReportError
from xai_utils.metrics import faithfulness
from xai_utils.run.part import SCORE_COLUMNS

METHODS = [["grad_cam", "Grad-CAM", "class activation"], ["rise", "RISE", "masks"]]
METRICS = [
    ["drop_rate", "Drop rate", False],
    ["adcc", "ADCC", True],
    ["multiplied_drop_rate", "Drop rate, multiplied", False],
]


def decoded(made):
    levels = np.frombuffer(base64.b64decode(made["levels"]), np.uint8)
    return levels, np.frombuffer(base64.b64decode(made["values"]), "<f4")


def test_a_small_map_keeps_its_order_and_values():
    made = explorer.encoded(np.array([0.5, -1.0, 2.0, 0.5]))
    levels, values = decoded(made)
    drawn = faithfulness.tie_order(4).tolist()
    equal = [1, 2] if drawn.index(0) < drawn.index(3) else [2, 1]
    assert levels.tolist() == [equal[0], 3, 0, equal[1]], "equal points come as they are drawn"
    assert values.tolist() == [2.0, 0.5, 0.5, -1.0]


@pytest.mark.parametrize("percent", [1, 25, 33, 90, 100])
@pytest.mark.parametrize("shape", [(40,), (150, 150)])
def test_the_slider_keeps_what_the_exact_mask_rule_keeps(percent, shape):
    values = np.random.default_rng(0).integers(0, 50, shape).astype(np.float32)  # many are equal
    levels, middles = decoded(explorer.encoded(values))
    kept = levels < int(percent / 100 * len(middles) + 0.5)
    expected = faithfulness.salient_points(values[np.newaxis], percent / 100, "exact")
    np.testing.assert_array_equal(kept, expected.ravel())
    assert np.abs(middles[levels] - values.ravel()).max() <= 1


def a_run(folder):
    """What the datasets left behind, a few samples of each. The second sample of each has one map and no
    score, the third a score that is undefined, and a name that is long."""
    rng = np.random.default_rng(0)
    (folder / "parts").mkdir(parents=True)
    shapes = {"mnist1d": ("03_mnist1d_explain", (4, 40, 1)), "hmt": ("05_hmt_explain", (4, 16, 16, 3))}
    shapes |= {name: (f"notebook_{name}", (4, 16, 16, 3)) for name in ("photographs", "voc")}
    rows = []
    for dataset, (notebook, shape) in shapes.items():
        names = np.array([f"{dataset}_{i}" for i in range(4)], "U80")
        names[2] += "_" + 60 * "x" + " %"
        maps = {"map grad_cam": rng.random(shape[:-1]), "map rise": rng.normal(size=shape[:-1])}
        maps["map rise"][1] = np.nan
        x = rng.normal(size=shape) if dataset == "mnist1d" else rng.integers(0, 256, shape)
        np.savez(
            folder / f"parts/{notebook}_samples.npz",
            dataset=dataset,
            x=x,
            y=np.array([0, 0, 1, 1]),
            names=names,
            classes=np.array(["zero", "one"]),
            probabilities=np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6]]),
            **maps,
        )
        usual = explorer.ABOUT[dataset]["usual"]
        for name, drop in zip(names[[0, 2, 3]], (0.1, 0.5, 0.9)):
            for method in ("grad_cam", "rise"):
                rows.append([dataset, "ours", method, *usual, name, drop])
                adcc = np.nan if name == names[2] else 0.25
                rows.append([dataset, "ours", method, "adcc", np.nan, "", "", name, adcc])
            rows.append([dataset, "ours", "random", *usual, name, 0.0])
    pd.DataFrame(rows, columns=SCORE_COLUMNS).to_csv(folder / "scores.csv", index=False)
    np.savez(folder / "parts/01_train_samples.npz")  # most notebooks hand on none
    tables = {
        "methods": {"columns": ["name", "title", "family"], "data": METHODS},
        "metrics": {"columns": ["name", "title", "higher_is_better"], "data": METRICS},
    }
    names = [file.name.removesuffix("_samples.npz") for file in sorted(folder.glob("parts/*.npz"))]
    return SimpleNamespace(
        tables=tables,
        values={"hmt.source": "synthetic"},
        folder=folder,
        notebooks=dict.fromkeys(names),
    )


@pytest.fixture
def page(tmp_path, monkeypatch):
    """An explorer whose samples stand in several files."""
    monkeypatch.setattr(explorer, "PART_LETTERS", 700)
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
    assert len({sample[5] for sample in own["samples"]}) > 1
    assert own["signed"] == {"grad_cam": False, "rise": True} and own["usual"] == 0
    held = [content(page / f"data/{sample[5]}.js")[sample[0]] for sample in own["samples"]]
    assert held[0]["scores"] == [{"grad_cam": 0.1, "rise": 0.1}, {"grad_cam": 0.25, "rise": 0.25}]
    assert list(held[0]["maps"]) == ["grad_cam", "rise"] and list(held[1]["maps"]) == ["grad_cam"]
    assert held[1]["scores"] == [] and held[2]["scores"][1] == {}, "undefined scores are left out"


def test_samples_of_which_none_was_scored_have_their_maps_alone(tmp_path):
    """A small run shows other photographs than the few that it scores."""
    arrays = {
        "x": np.zeros((1, 4, 4, 3), np.uint8), "y": np.array([1]), "names": np.array(["shown"]),
        "probabilities": np.array([[0.2, 0.8]]), "classes": np.array(["a", "b"]),
        "map grad_cam": np.arange(16.0).reshape(1, 4, 4),
    }  # fmt: skip
    usual = ["multiplied_drop_rate", "", "", ""]
    scores = pd.DataFrame([["grad_cam", "other", *usual, 0.5]])
    scores.columns = ["method", "item", *explorer.SETTING, "value"]
    about = explorer.write_parts(arrays, scores, "photographs", usual, tmp_path)
    assert about["settings"] == [] and about["usual"] is None and len(about["samples"]) == 1
    scored = explorer.write_parts(arrays, scores.assign(item="shown"), "photographs", usual, tmp_path)
    assert scored["usual"] == 0 and scored["settings"] == [usual]


def test_a_run_without_samples_is_said(tmp_path):
    run = a_run(tmp_path)
    np.savez(tmp_path / "parts/05_hmt_explain_samples.npz")
    with pytest.raises(ReportError, match="samples of hmt"):
        explorer.write_explorer(run, tmp_path / "explorer")


def test_nothing_is_loaded_from_elsewhere(page):
    for file in page.glob("*.*"):
        assert "http" not in file.read_text()


@pytest.fixture
def tab(browser, page):
    """The page, opened from the file system; an error on its console fails the test."""
    opened, said = browser.new_page(), []
    opened.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto((page / "index.html").as_uri())
    opened.wait_for_selector(".panel")
    yield opened
    assert said == []


def listed(tab):
    """The numbers of the samples in the list."""
    names = tab.eval_on_selector_all("#samples option", "options => options.map(o => o.value)")
    return [int(name.split("_")[1]) for name in names]


@pytest.mark.parametrize(
    "filters, left",
    [
        ({}, [0, 1, 2, 3]),
        ({"outcome": "wrong"}, [1]),
        ({"outcome": "correct"}, [0, 2, 3]),
        ({"true": "1"}, [2, 3]),
        ({"predicted": "1"}, [1, 2, 3]),
        ({"true": "1", "confidence-low": "0.7"}, [2]),
        ({"confidence-high": "0.75"}, [1, 3]),
        ({"drop-low": "0.4"}, [2, 3]),  # the sample without a drop is out
        ({"drop-high": "0.6"}, [0, 2]),
        ({"true": "0", "drop-low": "0.4"}, []),
    ],
)
def test_the_filters_leave_what_they_say(tab, filters, left):
    for name, value in filters.items():
        tab.fill(f"#{name}", value) if "-" in name else tab.select_option(f"#{name}", value)
    assert listed(tab) == left
    assert tab.is_visible("#sample") == bool(left)
    said = f"{len(left)} of 4" if left else "No sample passes these filters"
    assert tab.text_content("#count").startswith(said)


def test_a_filter_that_is_cleared_gives_the_chosen_sample_back(tab):
    tab.select_option("#samples", index=3)
    tab.fill("#confidence-low", "0.99")
    assert listed(tab) == []
    tab.fill("#confidence-low", "")
    assert listed(tab) == [0, 1, 2, 3]
    tab.wait_for_function("document.getElementById('name').textContent.startsWith('mnist1d_3')")


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
    assert tab.input_value("#fraction") == "90" and visible_pixels(tab) == 231  # of 256, 200 levels
    tab.fill("#fraction", "25")
    assert tab.text_content("#kept") == "25 %" and visible_pixels(tab) == 64


def test_the_keyboard_walks_through_the_samples_and_the_address_keeps_the_place(tab):
    tab.focus("#samples")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    tab.wait_for_function("document.getElementById('name').textContent.startsWith('mnist1d_2')")
    tab.wait_for_url("**/index.html#mnist1d/mnist1d_2*")
    tab.reload()
    tab.wait_for_selector(".panel")
    assert tab.input_value("#samples").startswith("mnist1d_2_xxx")


def test_a_part_that_is_missing_is_said(browser, page):
    part = content(page / "data/index.js")["datasets"]["mnist1d"]["samples"][3][5]
    (page / f"data/{part}.js").unlink()
    tab = browser.new_page()
    tab.goto((page / "index.html").as_uri())
    tab.wait_for_selector(".panel")
    tab.select_option("#samples", index=3)
    tab.wait_for_function("document.getElementById('name').textContent.includes('could not be loaded')")
    assert tab.query_selector(".panel") is None


def test_scores_and_missing_maps_are_said(tab):
    assert tab.text_content(".panel[data-method=rise] p") == "score 0.100"
    tab.select_option("#score", "1")
    assert tab.text_content(".panel[data-method=rise] p") == "score 0.250"
    tab.select_option("#samples", index=1)
    tab.wait_for_selector("#methods .hint")
    assert tab.text_content("#methods .hint") == "Not computed for this sample: RISE."


def test_it_fits_a_telephone(tab):
    tab.select_option("#samples", index=2)  # of a long name
    tab.set_viewport_size({"width": 400, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400

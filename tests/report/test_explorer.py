"""The explorer's data, and the page in a real browser."""

import functools
import itertools
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from report import explorer
from report.common import ReportError
from tests.conftest import small_network
from tests.report import built
from xai_utils.data import mnist1d, synthetic_tissue, unit_range
from xai_utils.metrics import faithfulness
from xai_utils.models import predict
from xai_utils.networks.architectures import shallow_cnn, vgg7
from xai_utils.networks.weights import load_weights, shipped_weights
from xai_utils.run.part import SCORE_COLUMNS

METHODS = [
    ["grad_cam", "Grad-CAM", "class activation"],
    ["rise", "RISE", "masks"],
    ["random", "Random", "controls"],
]
METRICS = [
    ["drop_rate", "Drop rate", False],
    ["adcc", "ADCC", True],
    ["multiplied_drop_rate", "Drop rate, multiplied", False],
]
NOTEBOOKS = {"mnist1d": "03_mnist1d_explain", "hmt": "05_hmt_explain"}
ASKED = "#probabilities td.method data"  # the answers to what is asked now


def hand_on(folder, dataset, x, y, names, classes, probabilities, maps, network=None, fills=None):
    """What a notebook leaves of its samples; ``maps`` is ``{method: (places, maps)}``."""
    arrays = {"dataset": dataset, "x": x, "y": y, "names": names, "classes": classes}
    for method, (places, own) in maps.items():
        arrays |= {f"places {method}": places, f"map {method}": own}
    for name, fill in (fills or {}).items():
        arrays[f"fill {name}"] = fill.__name__ if callable(fill) else fill
    if network is not None:
        arrays["network"] = network.to_json()
        arrays |= {f"weights {i}": own for i, own in enumerate(network.get_weights())}
    notebook = NOTEBOOKS.get(dataset, f"notebook_{dataset}")
    np.savez(folder / f"parts/{notebook}_samples.npz", probabilities=probabilities, **arrays)


def a_run(folder):
    """What the datasets left behind, a few samples of each. The second sample of each has no map by RISE and
    no score, the third a score that is undefined, and a name that is long."""
    rng = np.random.default_rng(0)
    (folder / "parts").mkdir(parents=True)
    rows = []
    for dataset in explorer.ABOUT:
        shape = (4, 40, 1) if dataset == "mnist1d" else (4, 16, 16, 3)
        names = np.array([f"{dataset}_{i}" for i in range(4)], "U80")
        names[2] += "_" + 60 * "x" + " %"
        every, all_but_one = np.arange(4), np.array([0, 2, 3])
        maps = {
            "grad_cam": (every, rng.random(shape[:-1])),
            "rise": (all_but_one, rng.normal(size=(3, *shape[1:-1]))),
            "random": (every, rng.random(shape[:-1])),
        }
        maps["random"][1][3, 0] = np.nan
        x = rng.normal(size=shape) if dataset == "mnist1d" else rng.integers(0, 256, shape)
        probabilities = np.array([[0.9, 0.1, 0], [0.3, 0.7, 0], [0.2, 0.8, 0], [0.4, 0.6, 0]])
        given = {}
        if dataset in NOTEBOOKS:
            given["network"] = small_network(1 if dataset == "mnist1d" else 2)
            given["fills"] = {"black": 0.0, "mean": np.full(shape[1:], 0.5)}
        classes = np.array(["zero", "one", "two"])
        hand_on(
            folder, dataset, x, np.array([0, 0, 1, 1]), names, classes, probabilities, maps, **given
        )
        usual = explorer.ABOUT[dataset]["usual"]
        for name, drop in zip(names[[0, 2, 3]], (0.1, 0.5, 0.9)):
            for method in ("grad_cam", "rise"):
                rows.append([dataset, "ours", method, *usual, name, drop])
                adcc = np.nan if name == names[2] else 0.25
                rows.append([dataset, "ours", method, "adcc", np.nan, "", "", name, adcc])
            rows.append([dataset, "ours", "center", *usual, name, 0.0])
    pd.DataFrame(rows, columns=SCORE_COLUMNS).to_csv(folder / "scores.csv", index=False)
    np.savez(folder / "parts/01_train_samples.npz")  # most notebooks hand on none
    return found_in(folder)


def found_in(folder):
    """The run whose parts lie in a folder, as the report reads it."""
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
    return json.loads(data, strict=False)  # packed arrays are texts of any letters


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
    assert own["signed"] == {"grad_cam": False, "rise": True, "random": False} and own["usual"] == 0
    assert own["answers"] and own["fills"] == ["black", "mean"]
    held = [content(page / f"data/{sample[5]}.js")[sample[0]] for sample in own["samples"]]
    assert held[0]["scores"] == {"0": [0.1, 0.1, None], "1": [0.25, 0.25, None]}
    assert [list(one["maps"]) for one in held] == [
        ["grad_cam", "rise", "random"], ["grad_cam", "random"], ["grad_cam", "rise", "random"],
        ["grad_cam", "rise"],
    ]  # fmt: skip
    assert held[1]["scores"] == {} and held[2]["scores"].keys() == {"0"}, (
        "undefined scores are left out"
    )


def test_samples_of_which_none_was_scored_have_their_maps_alone(tmp_path):
    """A small run shows other photographs than the few that it scores."""
    arrays = {
        "x": np.zeros((1, 4, 4, 3), np.uint8), "y": np.array([1]), "names": np.array(["shown"]),
        "probabilities": np.array([[0.2, 0.8]]), "classes": np.array(["a", "b"]),
        "places grad_cam": np.array([0]), "map grad_cam": np.arange(16.0).reshape(1, 4, 4),
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
        assert not re.search("https?:", file.read_text())


def opened(browser, page, **options):
    """The page, opened from the file system, and what its console says."""
    tab, said = browser.new_page(**options), []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto((page / "index.html").as_uri())
    tab.wait_for_selector(".panel")
    return tab, said


def shows(tab, text):
    """Wait until a text stands above the sample, which is loaded; the page's policy lets no expression be
    waited for."""
    loaded = re.compile(f"^(?!Loading).*{re.escape(text)}")
    tab.locator("#name", has_text=loaded).wait_for()


@pytest.fixture
def tab(browser, page):
    """The page; a message on its console fails the test."""
    tab, said = opened(browser, page)
    yield tab
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
    shows(tab, "mnist1d_3")


def visible_pixels(tab):
    """How many pixels of the first masked tile are not black."""
    return tab.evaluate(
        """() => {
            const canvas = document.querySelectorAll(".panel canvas")[1];
            const copy = new OffscreenCanvas(canvas.width, canvas.height);
            const context = copy.getContext("2d", { willReadFrequently: true });
            context.drawImage(canvas, 0, 0);
            const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let i = 0; i < data.length; i += 4) count += data[i] + data[i + 1] + data[i + 2] > 0;
            return count;
        }"""
    )


def test_the_slider_keeps_that_share_of_the_pixels(tab):
    tab.select_option("#dataset", "hmt")
    shows(tab, "hmt_0")
    assert tab.input_value("#fraction") == "90" and visible_pixels(tab) == 230  # of 256
    tab.fill("#fraction", "25")
    assert tab.text_content("#kept") == "25 %" and visible_pixels(tab) == 64


def test_the_keyboard_walks_through_the_samples_and_the_address_keeps_the_place(tab):
    tab.focus("#samples")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    shows(tab, "mnist1d_2")
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
    shows(tab, "could not be loaded")
    assert tab.query_selector(".panel") is None


def test_scores_and_missing_maps_are_said(tab):
    assert tab.text_content(".panel[data-method=rise] p") == "score 0.100"
    tab.select_option("#score", "1")
    assert tab.text_content(".panel[data-method=rise] p") == "score 0.250"
    tab.select_option("#samples", index=1)
    tab.wait_for_selector(".panel")
    assert tab.text_content("#methods .hint") == "Not computed for this sample: RISE."


@pytest.mark.parametrize("dataset", ["mnist1d", "hmt", "voc"])
def test_it_fits_a_telephone(tab, dataset):
    tab.set_viewport_size({"width": 400, "height": 800})
    tab.select_option("#dataset", dataset)
    tab.select_option("#samples", index=2)  # of a long name
    tab.wait_for_selector(".panel")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400


def test_where_no_network_was_handed_on_none_is_asked(tab):
    tab.select_option("#dataset", "voc")
    tab.wait_for_selector(".panel")
    assert tab.query_selector("#probabilities td.method") is None
    assert (
        not tab.is_visible("#curves") and not tab.is_visible("#asked") and not tab.is_visible("#fill")
    )
    assert tab.query_selector(".panel button") is None


TIED = {
    "equal": lambda rng, shape: np.ones(shape),
    "two": lambda rng, shape: rng.integers(0, 2, shape),
    "clipped": lambda rng, shape: np.maximum(rng.normal(size=shape), 0),
    "few": lambda rng, shape: rng.integers(-9, 9, shape),
    "all apart": lambda rng, shape: rng.normal(size=shape),
    "one": lambda rng, shape: np.arange(np.prod(shape)).reshape(shape) == 3,
}


@pytest.mark.parametrize("shape", [(40,), (23, 19)])
def test_the_page_keeps_what_the_rules_keep(tab, shape):
    order = faithfulness.tie_order(np.prod(shape)).tolist()
    script = """([level, order, rule]) => Array.from({ length: 101 }, (_, percent) =>
        Array.from(masks.kept(Uint8Array.from(level), percent, rule, order)))"""
    for kind, rule in itertools.product(TIED, faithfulness.RULES):
        values = TIED[kind](np.random.default_rng(0), shape).astype(np.float32)
        level, means = explorer.levels_of(values)
        assert (np.diff(means) < 0).all()
        kept = np.array(tab.evaluate(script, [level.ravel().tolist(), order, rule]))
        assert not kept[0].any(), "of none of the points nothing is kept"
        for percent in range(1, 101):
            expected = faithfulness.salient_points(values[np.newaxis], percent / 100, rule)
            np.testing.assert_array_equal(kept[percent], expected.ravel(), f"{kind} {rule} {percent}")


@pytest.mark.parametrize("size", range(9))
def test_bytes_are_texts_that_stand_between_quotation_marks(size):
    content = bytes(np.random.default_rng(size).integers(0, 256, size + 1000 * (size == 8)).tolist())
    text = explorer.text_of(content)
    assert set(text).isdisjoint('\0\n\r"\\') and len(text) == -(-len(content) * 8 // 7)
    bits = "".join(f"{ord(letter) & 127:07b}" for letter in text)
    assert bytes(int(bits[i : i + 8], 2) for i in range(0, 8 * len(content), 8)) == content


@pytest.mark.parametrize("size", [50, 101, 150, 399, 22_500, 50_176])
def test_a_byte_holds_the_levels_of_points_that_all_differ(size):
    level, means = explorer.levels_of(np.random.default_rng(0).permutation(size))
    assert level.max() + 1 == len(means) <= 256 and (np.diff(means) < 0).all()


PICTURES = {
    "noise": lambda rng, shape: rng.integers(0, 256, shape),
    "black": lambda rng, shape: np.zeros(shape),
    "white": lambda rng, shape: np.full(shape, 255),
    "slope": lambda rng, shape: np.arange(np.prod(shape)).reshape(shape) // 7 % 256,
    "tissue": lambda rng, shape: synthetic_tissue.generate(1, seed=0)[0][0][: shape[0], : shape[1]],
}


@pytest.mark.parametrize("shape", [(1, 5, 3), (31, 17, 3), (150, 150, 3)])
def test_pictures_and_levels_are_decoded_to_the_byte(tab, shape):
    rng, signed = np.random.default_rng(0), {"smooth": False, "rough": True}
    script = """async ([made, shape]) => {
        const { input, maps } = await decode.sample(made, shape);
        const found = Object.entries(maps).map(([name, { level, colours }]) =>
            [name, [Array.from(level), Array.from(colours)]]);
        return [Array.from(input), Object.fromEntries(found)];
    }"""
    for draw in PICTURES.values():
        picture = draw(rng, shape).astype(np.uint8)
        maps = {"smooth": picture.mean(axis=-1), "rough": rng.normal(size=picture.shape[:-1])}
        made = explorer.encoded(picture, maps, signed)
        made["data"] = explorer.text_of(made["data"])
        input, found = tab.evaluate(script, [made, list(picture.shape[:2])])
        np.testing.assert_array_equal(np.float32(input), unit_range(picture).ravel())
        for name, own in maps.items():
            level, values = explorer.levels_of(own)
            np.testing.assert_array_equal(found[name][0], level.ravel())
            np.testing.assert_array_equal(found[name][1], explorer.colour_of(values, own, signed[name]))


def test_colours_run_from_the_lowest_to_the_highest():
    map_ = np.array([-2.0, 0.0, 1.0, 2.0])
    assert explorer.colour_of(map_, map_, signed=True).tolist() == [0, 128, 192, 255]
    assert explorer.colour_of(map_, np.abs(map_), signed=False).tolist() == [0, 0, 128, 255]
    assert explorer.colour_of(np.zeros(2), np.zeros(2), signed=False).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(40, 1), (30, 20, 3)])
def test_the_page_blurs_as_the_study_does(tab, shape):
    x = np.random.default_rng(0).random(shape, np.float32)
    script = """([width, input, space]) =>
        Array.from(masks.filled({ blur: width }, Float32Array.from(input), space))"""
    blur = explorer.described_fill(np.array("blurred"), shape)["blur"]
    space = [1, 40] if len(shape) == 2 else list(shape[:2])
    made = tab.evaluate(script, [blur, x.ravel().tolist(), space])
    np.testing.assert_allclose(made, faithfulness.blurred(x[np.newaxis]).ravel(), atol=1e-6)


def test_a_fill_that_the_page_does_not_know_is_said():
    with pytest.raises(ReportError, match="does not know the fill inpainted"):
        explorer.described_fill(np.array("inpainted"), (40, 1))


SHIPPED = {
    "mnist1d": (shallow_cnn, "shallow_cnn"),
    "hmt": (vgg7, "vgg7_synthetic"),
}


@functools.cache
def shipped(dataset):
    """Fifty samples, the shipped network, two maps of each sample, the first with equal points, and fills."""
    build, name = SHIPPED[dataset]
    network, rng = load_weights(build(), shipped_weights(name, 0)), np.random.default_rng(0)
    if dataset == "mnist1d":
        x = seen = mnist1d.load().test.x[:50].astype(np.float32)
    else:
        x = synthetic_tissue.generate(7, seed=1)[0][:50]
        seen = unit_range(x)
    maps = {
        "grad_cam": np.maximum(rng.normal(size=x.shape[:-1]), 0),
        "random": rng.random(x.shape[:-1]),
    }
    maps = {method: own.round(3).astype(np.float32) for method, own in maps.items()}
    fills = {"black": 0.0, "mean": seen.mean(axis=0), "blur": faithfulness.blurred}
    return SimpleNamespace(x=x, seen=seen, network=network, maps=maps, fills=fills)


def answer(own, place, mask, fill):
    """What TensorFlow says of a sample with these points kept, ``(classes,)``."""
    x, other = own.seen[[place]], own.fills[fill]
    other = other(x) if callable(other) else np.float32(other)
    return predict(own.network, np.where(mask[np.newaxis, ..., np.newaxis], x, other))[0]


def mask_of(own, place, method, percent, rule):
    if percent == 0:
        return np.zeros(own.seen.shape[1:-1], bool)
    return faithfulness.salient_points(own.maps[method][[place]], percent / 100, rule)[0]


@pytest.fixture(scope="module")
def shipped_page(tmp_path_factory):
    """An explorer of both datasets with the networks that are shipped."""
    folder = tmp_path_factory.mktemp("shipped")
    (folder / "parts").mkdir()
    for dataset in SHIPPED:
        own = shipped(dataset)
        said = predict(own.network, own.seen)
        names = np.array([f"{dataset}_{i}" for i in range(len(own.x))])
        classes = np.arange(said.shape[1]).astype(str)
        maps = {method: (np.arange(len(names)), found) for method, found in own.maps.items()}
        given = own.x, said.argmax(axis=1), names, classes, said, maps, own.network, own.fills
        hand_on(folder, dataset, *given)
    pd.DataFrame(columns=SCORE_COLUMNS).to_csv(folder / "scores.csv", index=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(explorer, "ABOUT", {name: explorer.ABOUT[name] for name in SHIPPED})
        explorer.write_explorer(found_in(folder), folder / "explorer")
    return folder / "explorer"


@pytest.fixture(params=SHIPPED)
def asking(request, browser, shipped_page):
    """The page at a dataset, and what it shows there; a message on its console fails the test."""
    tab, said = opened(browser, shipped_page, viewport={"width": 1280, "height": 1000})
    tab.select_option("#dataset", request.param)
    shows(tab, f"{request.param}_0")
    yield tab, shipped(request.param)
    assert said == []


def answered(tab):
    """The probabilities that the network gives what is asked now, ``(classes,)``."""
    tab.wait_for_selector(ASKED)
    return np.array(tab.eval_on_selector_all(ASKED, "all => all.map((one) => Number(one.value))"))


def change(tab, pause=0, **controls):
    """Change controls as a user does, one after the other."""
    script = """async ([controls, pause]) => {
        for (const [id, value] of controls) {
            const control = document.getElementById(id);
            control.value = value;
            for (const event of ["input", "change"]) control.dispatchEvent(new Event(event));
            if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
        }
    }"""
    tab.evaluate(script, [[[name, str(value)] for name, value in controls.items()], pause])


def test_the_network_in_the_page_answers_as_tensorflow_does(asking):
    tab, own = asking
    questions = np.random.default_rng(0)
    for place in range(50):
        tab.select_option("#samples", index=place)
        tab.wait_for_selector(".panel")
        method, rule = questions.choice(list(own.maps)), questions.choice(faithfulness.RULES)
        fill, percent = questions.choice(list(own.fills)), int(questions.integers(0, 101))
        change(tab, method=method, rule=rule, fill=fill, fraction=percent)
        expected = answer(own, place, mask_of(own, place, method, percent, rule), fill)
        np.testing.assert_allclose(answered(tab), expected, atol=1e-4)
        change(tab, rule="exact", fraction=100)  # nothing is masked
        whole = answer(own, place, np.ones(own.seen.shape[1:-1], bool), fill)
        np.testing.assert_allclose(answered(tab), whole, atol=1e-4)
        recorded = tab.eval_on_selector_all(
            "#probabilities td.recorded data", "all => all.map((one) => Number(one.value))"
        )
        np.testing.assert_allclose(recorded, whole, atol=1e-4)


def disc(shape, centers, width):
    """The points under a brush at any of the centers, bool ``shape``."""
    row, column = np.indices(shape if len(shape) == 2 else (1, *shape))
    under = [(row - y) ** 2 + (column - x) ** 2 <= (width / 2) ** 2 for y, x in centers]
    return np.any(under, axis=0).reshape(shape)


def test_a_mask_painted_by_mouse_is_what_is_asked(asking):
    tab, own = asking
    shape = own.seen.shape[1:-1]
    height, width = shape if len(shape) == 2 else (1, *shape)
    row, start, end = height // 3, width // 4, width // 2
    tab.select_option("#fill", "mean")
    tab.click("#clear")
    nothing = np.zeros(shape, bool)
    np.testing.assert_allclose(answered(tab), answer(own, 0, nothing, "mean"), atol=1e-4)
    tab.fill("#brush", "5")
    tab.check("[name=stroke][value='1']")
    box = tab.locator("#asked").bounding_box()
    unit = box["width"] / width, box["height"] / height
    for move, column in (("down", start), ("up", end)):
        tab.mouse.move(box["x"] + (column + 0.5) * unit[0], box["y"] + (row + 0.5) * unit[1])
        getattr(tab.mouse, move)()
    kept = disc(shape, [(row, column) for column in range(start, end + 1)], 5)
    np.testing.assert_allclose(answered(tab), answer(own, 0, kept, "mean"), atol=1e-4)
    assert f"{kept.sum()} of {kept.size} points kept, painted by hand" in tab.text_content("#answer")
    assert tab.input_value("#method") == ""
    tab.click("#invert")
    np.testing.assert_allclose(answered(tab), answer(own, 0, ~kept, "mean"), atol=1e-4)
    tab.fill("#fraction", "40")  # leads back to the map
    expected = answer(own, 0, mask_of(own, 0, "grad_cam", 40, "exact"), "mean")
    np.testing.assert_allclose(answered(tab), expected, atol=1e-4)


def test_a_mask_painted_by_keyboard_is_what_is_asked(asking):
    tab, own = asking
    shape = own.seen.shape[1:-1]
    height, width = shape if len(shape) == 2 else (1, *shape)
    tab.select_option("#fill", "mean")
    tab.fill("#fraction", "60")
    tab.fill("#brush", "7")
    tab.focus("#asked")
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowLeft", "ArrowUp", "Space"):
        tab.keyboard.press(key)
    center = max(height // 2 - 1, 0), width // 2 + 2 - 10
    kept = mask_of(own, 0, "grad_cam", 60, "exact") & ~disc(shape, [center], 7)
    np.testing.assert_allclose(answered(tab), answer(own, 0, kept, "mean"), atol=1e-4)
    assert tab.is_visible("#brush-cursor")


def test_every_control_is_reached_by_the_keyboard(asking):
    tab, _ = asking
    reached = set()
    tab.focus("#samples")
    for _ in range(25):
        tab.keyboard.press("Tab")
        script = "(one) => one.id || one.name || one.closest('.panel')?.dataset.method"
        reached.add(tab.evaluate(script, tab.evaluate_handle("document.activeElement")))
    controls = {"fraction", "method", "fill", "rule", "brush", "stroke", "clear", "whole", "invert"}
    assert reached >= controls | {"asked", "score", "grad_cam", "random"}


def test_pressing_a_method_asks_about_its_mask(asking):
    tab, own = asking
    tab.focus(".panel[data-method=random] button")
    tab.keyboard.press("Enter")
    percent = int(tab.input_value("#fraction"))
    assert tab.input_value("#method") == "random"
    assert tab.get_attribute(".panel[data-method=random] button", "aria-pressed") == "true"
    assert tab.get_attribute(".panel[data-method=grad_cam] button", "aria-pressed") == "false"
    expected = answer(own, 0, mask_of(own, 0, "random", percent, "exact"), "black")
    np.testing.assert_allclose(answered(tab), expected, atol=1e-4)


def test_both_curves_fill_in_by_themselves(asking):
    """A point each five percent for the map and for the random one, and what is asked as a mark."""
    tab, own = asking
    tab.select_option("#fill", "mean")
    tab.fill("#fraction", "47")
    tab.locator("#curves circle:not(.mark)").nth(43).wait_for()
    said = predict(own.network, own.seen[[0]])[0].argmax()
    percents = sorted([*range(0, 101, 5), 47])
    for name, method in {"method": "grad_cam", "random": "random"}.items():
        circles = tab.eval_on_selector_all(
            f"#curves circle.{name}:not(.mark)",
            "all => all.map((one) => [one.cx.baseVal.value, one.cy.baseVal.value])",
        )
        across, down = np.transpose(circles)
        np.testing.assert_allclose(np.interp(percents, [0, 100], across[[0, -1]]), across, rtol=1e-4)
        expected = [answer(own, 0, mask_of(own, 0, method, p, "exact"), "mean")[said] for p in percents]
        zero, one = 178, 8  # where these confidences are drawn
        np.testing.assert_allclose((zero - down) / (zero - one), expected, atol=1e-3)
    beside = answer(own, 0, mask_of(own, 0, "random", 47, "exact"), "mean")[said]
    [number] = re.findall(r"; ([\d.]+) by the random map at 47 %", tab.text_content("#answer"))
    assert abs(float(number) - beside) < 1e-3


def test_an_answer_to_another_question_is_never_shown(asking):
    """Whatever changes while the worker is at work: what stands beside a question is its answer."""
    tab, own = asking
    tab.evaluate("""() => {
        window.seen = [];
        const table = document.getElementById("probabilities");
        const look = () => { // whenever the page is painted
            const given = [...table.querySelectorAll("td.method data")].map((one) => Number(one.value));
            const asked = ["samples", "fill", "fraction"].map((id) => document.getElementById(id).value);
            if (given.length && getComputedStyle(table).visibility === "visible") window.seen.push([...asked, given]);
            requestAnimationFrame(look);
        };
        look();
    }""")
    names = tab.eval_on_selector_all("#samples option", "all => all.map((one) => one.value)")[:3]
    for pause in (0, 10, 150):
        for percent in range(0, 100, 7):
            change(tab, pause, fraction=percent)
        for name in names:
            change(tab, pause, samples=name, fill="mean", fraction=33)
            change(tab, pause, fill="black")
    answered(tab)
    seen = {json.dumps(one) for one in tab.evaluate("window.seen")}
    assert len(seen) >= 5
    for name, fill, percent, given in map(json.loads, seen):
        place = int(name.split("_")[1])
        mask = mask_of(own, place, "grad_cam", int(percent), "exact")
        np.testing.assert_allclose(given, answer(own, place, mask, fill), atol=1e-4)


def test_the_tile_that_is_drawn_is_the_tile(browser, shipped_page):
    tab, _ = opened(browser, shipped_page)
    tab.select_option("#dataset", "hmt")
    tab.select_option("#samples", index=3)
    shows(tab, "hmt_3")
    drawn = tab.evaluate("""() => {
        const canvas = document.getElementById("input");
        return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
    }""")
    drawn = np.reshape(drawn, (150, 150, 4))[..., :3]
    np.testing.assert_array_equal(drawn, shipped("hmt").x[3])


def test_from_a_server_too_it_keeps_its_policy(browser, shipped_page):
    """No script but its files, a worker of its own, nothing from elsewhere."""
    assert built.offences((shipped_page / "index.html").read_text()) == []
    tab, said, asked = browser.new_page(), [], []

    def serve(route):
        asked.append(route.request.url)
        path = shipped_page / route.request.url.removeprefix("http://explorer.test/")
        route.fulfill(path=path)

    tab.route("http://explorer.test/**", serve)
    tab.on("console", lambda message: said.append(message.text))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto("http://explorer.test/index.html")
    own = shipped("mnist1d")
    expected = answer(own, 0, mask_of(own, 0, "grad_cam", 30, "exact"), "black")
    np.testing.assert_allclose(answered(tab), expected, atol=1e-4)
    assert said == []
    assert {url.split(":")[0] for url in asked} <= {"http", "blob", "data"}
    assert all(
        url.startswith(("http://explorer.test/", "blob:http://explorer.test/", "data:,"))
        for url in asked
    )

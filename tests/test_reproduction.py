import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import reproduction
from xai_utils.attributions import explain
from xai_utils.attributions.gradients import tf_explain_mean_gradient
from xai_utils.data import Samples


def test_published_numbers_are_paired_with_ours():
    numbers = {("grad_cam", "drop_rate", "top90%"): 0.5029}
    rows = reproduction.compare("hmt", numbers, "the course's weights")
    assert rows.published.tolist() == [0.503]
    assert rows.difference.tolist() == pytest.approx([-0.0001])
    assert rows.weights.tolist() == ["course"]
    other = reproduction.compare("hmt", numbers, "ours", reproduction.ABLATION_CAM, weights="ours")
    assert other.published.tolist() == [0.47436] and other.weights.tolist() == ["ours"]


@pytest.mark.parametrize("reproduced, agrees", [(0.8449, False), (0.8451, True), (0.8549, True), (0.856, False)])
def test_agreement_is_at_the_printed_digits(reproduced, agrees):
    """0.85 was printed with two digits, as was 1.00, of which the file keeps one."""
    published = pd.Series([0.85, 1.0])
    rows = pd.DataFrame({"source": "s", "dataset": "d", "metric": "m", "published": published})
    rows["difference"] = pd.Series([reproduced, 1.004]) - published
    assert list(reproduction.agrees_as_printed(rows)) == [agrees, True]


@pytest.mark.parametrize("dataset", reproduction.STEPS)
def test_each_step_changes_one_thing(dataset):
    """Either the maps or one of fraction, fill and rule; None leaves a method out of a step."""
    steps = reproduction.STEPS[dataset]
    maps, setting = steps[0][1:3], steps[0][3:]
    for title, *own, fraction, fill, rule in steps[1:]:
        now = tuple(new or old for new, old in zip(own, maps))
        changed = [a != b for a, b in zip(setting, (fraction, fill, rule))]
        assert sum(changed) + (now != maps) == 1, title
        maps, setting = now, (fraction, fill, rule)
    assert [step[1:3] for step in steps[-4:]] == [(reproduction.SOUND, reproduction.CAM)] * 4
    assert len({step[0] for step in steps}) == len(steps)


@pytest.fixture
def step_maps(output):
    model, x, target = small_network(2), some_inputs(2), np.array([0, 1, 2, 0, 1])
    slope = tf_explain_mean_gradient(model, x, target, steps=10)
    maps = reproduction.maps_of_the_steps(model, x, target, slope, {}, {"upsampling": "cubic_spline"})
    return model, x, target, maps


def test_the_steps_lead_from_the_library_to_the_definition(step_maps):
    """The first map is the library's, the last that of the method; the sums of the path rule agree."""
    model, x, target, maps = step_maps
    library = explain(model, x, target, "tf_explain_integrated_gradients")
    assert np.array_equal(maps[reproduction.LIBRARY], library)
    assert (maps[reproduction.ABSOLUTE] >= 0).all() and (maps[reproduction.TIMES_INPUT] >= 0).all()
    assert (np.abs(maps[reproduction.SIGNED]) <= maps[reproduction.TIMES_INPUT] + 1e-6).all()
    sound = explain(model, x, target, "integrated_gradients", score="probability", steps=100)
    close = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps[reproduction.SIGNED], sound)]
    assert min(close) > 0.95
    np.testing.assert_allclose(maps[reproduction.REFINED], sound, atol=0.05 * np.abs(sound).max())


def test_every_step_is_scored_and_stands_in_its_order(step_maps):
    model, x, target, maps = step_maps
    samples = Samples(x, target, np.array(list("abcde")))
    fills = {"black": 0.0, "mean": x.mean(axis=0)}
    scores = reproduction.take_apart(model, samples, target, maps, "hmt", fills)
    table = reproduction.table_of_steps(scores, "hmt")
    assert list(dict.fromkeys(table.step)) == [step[0] for step in reproduction.STEPS["hmt"]]
    assert (table["mean"].between(table.low - 1e-9, table.high + 1e-9)).all()
    first = reproduction.as_published(model, samples, target, maps, "hmt", "a small network")
    found = table[table.step == "as published"].set_index(["method", "metric"])["mean"]
    for row in first.itertuples():
        assert row.reproduced == pytest.approx(found[row.method, row.metric])
    assert len(first) == 4


def test_orders_are_from_the_best_to_the_worst():
    rows = pd.DataFrame(
        [("s", "d", "drop_rate", "a", 0.1, 0.5), ("s", "d", "drop_rate", "b", 0.2, 0.4),
         ("s", "d", "increase_rate", "a", 0.1, 0.5), ("s", "d", "increase_rate", "b", 0.2, 0.6)],
        columns=["source", "dataset", "metric", "method", "published", "reproduced"],
    )  # fmt: skip
    better = {"drop_rate": False, "increase_rate": True}
    table = reproduction.orders(rows, better, {"a": "A", "b": "B"})
    assert table.published.tolist() == ["A > B", "B > A"]
    assert table.found.tolist() == ["B > A", "B > A"] and table.same.tolist() == [False, True]


@pytest.mark.parametrize("dataset", reproduction.STEPS)
def test_recorded_results_name_their_weights(dataset):
    published, sha256 = reproduction.recorded(dataset, "published")
    assert len(sha256) == 64 and set(published.weights) == {"recorded"}
    differences = published.reproduced - published.published
    np.testing.assert_allclose(published.difference, differences, atol=1e-5)
    steps, _ = reproduction.recorded(dataset, "steps")
    assert list(dict.fromkeys(steps.step)) == [step[0] for step in reproduction.STEPS[dataset]]


def test_a_run_without_the_weights_records_nothing(output, monkeypatch):
    folder = output / "results" / "standard"
    folder.mkdir(parents=True)
    pd.DataFrame(columns=reproduction.results.REPRODUCTION_COLUMNS).to_csv(
        folder / "reproduction.csv", index=False
    )
    (folder / "tables.json").write_text(json.dumps({}))
    monkeypatch.setenv("XAI_COURSE_MODELS", str(output))
    monkeypatch.setattr(reproduction, "RECORDED", output / "recorded.json")
    with pytest.raises(SystemExit, match="no course weights for mnist1d"):
        reproduction.record("standard")
    assert not (output / "recorded.json").exists()


def test_recording_needs_to_know_the_weights(monkeypatch):
    monkeypatch.delenv("XAI_COURSE_MODELS", raising=False)
    with pytest.raises(SystemExit, match="XAI_COURSE_MODELS"):
        reproduction.record("standard")


def test_what_was_recorded_is_read_again(output, monkeypatch):
    folder = output / "results" / "standard"
    folder.mkdir(parents=True)
    rows, tables = [], {}
    for dataset, file in (("mnist1d", "MNIST1D.h5"), ("hmt", "HMT.h5")):
        rows.append(reproduction.compare(dataset, {("", "accuracy", "all"): 0.5}, "the weights"))
        tables[f"{dataset}_steps"] = {"columns": ["step", "mean"], "data": [["as published", 0.5]]}
        (output / file).write_text(dataset)
    ours = reproduction.compare("hmt", {("", "accuracy", "all"): 0.9}, "ours", weights="ours")
    pd.concat([*rows, ours]).to_csv(folder / "reproduction.csv", index=False)
    (folder / "tables.json").write_text(json.dumps(tables))
    monkeypatch.setenv("XAI_COURSE_MODELS", str(output))
    monkeypatch.setattr(reproduction, "RECORDED", output / "recorded.json")
    reproduction.record("standard")
    published, sha256 = reproduction.recorded("hmt", "published")
    assert published.reproduced.tolist() == [0.5] and published.weights.tolist() == ["recorded"]
    assert sha256 == hashlib.sha256(b"hmt").hexdigest()
    steps, _ = reproduction.recorded("mnist1d", "steps")
    assert steps.to_dict("list") == {"step": ["as published"], "mean": [0.5]}

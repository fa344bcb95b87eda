import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain
from xai_utils.attributions.gradients import tf_explain_mean_gradient
from xai_utils.data import Samples
from xai_utils.run.part import REPRODUCTION_COLUMNS
from xai_utils.study import published, statistics
from xai_utils.study.samples import SampleSet


def test_published_numbers_are_paired_with_ours():
    numbers = {("grad_cam", "drop_rate", "top90%"): 0.5029}
    rows = published.compare("hmt", numbers, "the course's weights")
    assert rows.published.tolist() == [0.503]
    assert rows.difference.tolist() == pytest.approx([-0.0001])
    assert rows.weights.tolist() == ["course"]
    other = published.compare("hmt", numbers, "ours", published.ABLATION_CAM, weights="ours")
    assert other.published.tolist() == [0.47436] and other.weights.tolist() == ["ours"]


@pytest.mark.parametrize(
    "reproduced, agrees", [(0.8449, False), (0.8451, True), (0.8549, True), (0.856, False)]
)
def test_agreement_is_at_the_printed_digits(reproduced, agrees):
    """0.85 was printed with two digits, as was 1.00, of which the file keeps one."""
    printed = pd.Series([0.85, 1.0])
    rows = pd.DataFrame({"source": "s", "dataset": "d", "metric": "m", "published": printed})
    rows["difference"] = pd.Series([reproduced, 1.004]) - printed
    assert list(published.agrees_as_printed(rows)) == [agrees, True]


@pytest.mark.parametrize("dataset", published.STEPS)
def test_each_step_changes_one_thing(dataset):
    """Either the maps or one of fraction, fill and rule; None leaves a method out of a step."""
    steps = published.STEPS[dataset]
    maps, setting = steps[0][1:3], steps[0][3:]
    for title, *own, fraction, fill, rule in steps[1:]:
        now = tuple(new or old for new, old in zip(own, maps))
        changed = [a != b for a, b in zip(setting, (fraction, fill, rule))]
        assert sum(changed) + (now != maps) == 1, title
        maps, setting = now, (fraction, fill, rule)
    assert [step[1:3] for step in steps[-4:]] == [(published.SOUND, published.CAM)] * 4
    assert len({step[0] for step in steps}) == len(steps)


@pytest.fixture
def own(output, monkeypatch):
    """Images as the course's network of tissue sees them, for a network without its pooling layer."""
    monkeypatch.setitem(published.CAM_OPTIONS, "hmt", {"upsampling": "cubic_spline"})
    x, target = some_inputs(2), np.array([0, 1, 2, 0, 1])
    samples = Samples(x, target, np.array(list("abcde")))
    fills = {"black": 0.0, "mean": x.mean(axis=0)}
    return SampleSet("hmt", small_network(2), samples, target, {}, fills)


def test_the_steps_lead_from_the_library_to_the_definition(own):
    """The first map is the library's, the last that of the method; the sums of the path rule agree."""
    model, x, target = own.model, own.samples.x, own.target
    maps = {name: made[:] for name, made in published.step_maps(own).items()}
    library = explain(model, x, target, "tf_explain_integrated_gradients")
    assert np.array_equal(maps[published.LIBRARY], library)
    assert (maps[published.ABSOLUTE] >= 0).all() and (maps[published.TIMES_INPUT] >= 0).all()
    assert (np.abs(maps[published.SIGNED]) <= maps[published.TIMES_INPUT] + 1e-6).all()
    sound = explain(model, x, target, "integrated_gradients", score="probability", steps=100)
    close = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps[published.SIGNED], sound)]
    assert min(close) > 0.95
    np.testing.assert_allclose(maps[published.REFINED], sound, atol=0.05 * np.abs(sound).max())


def test_the_maps_of_some_steps_are_those_of_all_in_any_part(own):
    every = published.step_maps(own)
    for name in every:
        (some,) = published.step_maps(own, [name]).values()
        np.testing.assert_array_equal(some[1:3], every[name][:][1:3])


def test_the_first_and_last_maps_of_the_signals_are_the_librarys_and_the_methods(output):
    """Asked in the way of report 001: the mean gradient of twenty steps, its absolute values summed."""
    model, x, target = small_network(1), some_inputs(1), np.array([0, 1, 2, 0, 1])
    samples = Samples(x, target, np.array(list("abcde")))
    maps = published.step_maps(SampleSet("mnist1d", model, samples, target, {}))
    slope = tf_explain_mean_gradient(model, x, target, steps=20)
    np.testing.assert_allclose(maps[published.ABSOLUTE][:], np.abs(slope[..., 0]), atol=1e-6)
    for name in (published.SOUND, published.CAM, "random"):
        np.testing.assert_allclose(maps[name][:], explain(model, x, target, name), atol=1e-6)
    cam = explain(model, x, target, "grad_cam", score="probability")
    np.testing.assert_allclose(maps[published.PROBABILITY_CAM][:], cam, atol=1e-6)


def test_every_step_is_scored_and_stands_in_its_order(own):
    scores = published.take_apart(own)
    table = published.table_of_steps(scores, "hmt")
    assert list(dict.fromkeys(table.step)) == [step[0] for step in published.STEPS["hmt"]]
    assert (table["mean"].between(table.low - 1e-9, table.high + 1e-9)).all()
    first = published.as_published("hmt", published.first_step(own), "a small network")
    found = table[table.step == "as published"].set_index(["method", "metric"])["mean"]
    for row in first.itertuples():
        assert row.reproduced == pytest.approx(found[row.method, row.metric])
    assert len(first) == 4


def test_gaps_are_those_of_the_printed_means_with_methods_carried_forward(own):
    scores = published.take_apart(own)
    gaps = published.gaps_of_steps(scores, "hmt")
    means = published.table_of_steps(scores, "hmt").set_index(["step", "method", "metric"])["mean"]
    assert len(gaps) == 2 * len(published.STEPS["hmt"])
    for row in gaps.itertuples():
        assert row.gap == pytest.approx(row.integrated_gradients - row.grad_cam)
        for method in ("integrated_gradients", "grad_cam", "random"):
            if (row.step, method, row.metric) in means:
                assert getattr(row, method) == pytest.approx(means[row.step, method, row.metric])
    carried = gaps[gaps.metric == "drop_rate"].set_index("step").grad_cam
    assert carried["signed"] == carried["as published"]


def planted_gaps(shift):
    """Scores of twenty samples at every step: Integrated Gradients loses more by ``shift``."""
    rng = np.random.default_rng(0)
    rows = []
    for _, gradients, cam, fraction, fill, rule in published.STEPS["mnist1d"]:
        names = {published.ABSOLUTE: shift, published.PROBABILITY_CAM: 0.0, "random": 1.0}
        names |= {gradients: shift} | ({cam: 0.0} if cam else {})
        for name, level in names.items():
            for item in range(20):
                drop = level + rng.normal(scale=0.01)
                rows += [
                    (name, "drop_rate", fraction, fill, rule, item, drop),
                    (name, "increase_rate", fraction, fill, rule, item, rng.normal(scale=0.01)),
                ]
    columns = ["method", *statistics.SETTING, "item", "value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.drop_duplicates([*columns[:5], "item"])


def test_gaps_are_tested_in_one_family():
    gaps = published.gaps_of_steps(planted_gaps(0.2), "mnist1d")
    drops, increases = (gaps[gaps.metric == name] for name in published.RATES)
    assert (drops.gap > 0.15).all() and (drops.p < 0.05).all()
    assert (increases.p > 0.05).sum() >= len(increases) - 1
    assert set(drops.random_is) == {"worse"} and set(increases.random_is) == {""}
    lost = published.gaps_of_steps(planted_gaps(3.0), "mnist1d")
    assert set(lost.random_is) == {""}, "between the two methods"
    best = planted_gaps(0.2)
    best.loc[best.method != "random", "value"] += 2 * (best.metric == "drop_rate")
    assert set(published.gaps_of_steps(best, "mnist1d").random_is) == {"", "better"}
    nothing = published.gaps_of_steps(planted_gaps(0.0), "mnist1d")
    assert (nothing.p > 0.05).all()


def test_orders_are_from_the_best_to_the_worst():
    rows = pd.DataFrame(
        [("s", "d", "drop_rate", "a", 0.1, 0.5), ("s", "d", "drop_rate", "b", 0.2, 0.4),
         ("s", "d", "increase_rate", "a", 0.1, 0.5), ("s", "d", "increase_rate", "b", 0.2, 0.6)],
        columns=["source", "dataset", "metric", "method", "published", "reproduced"],
    )  # fmt: skip
    better = {"drop_rate": False, "increase_rate": True}
    table = published.orders(rows, better, {"a": "A", "b": "B"})
    assert table.published.tolist() == ["A > B", "B > A"]
    assert table.found.tolist() == ["B > A", "B > A"] and table.same.tolist() == [False, True]


def test_orders_of_networks_that_share_our_column_count_once():
    """Two networks publish the same order of energies and another one of drops; ours is one."""
    printed = {
        "one": {"energy": (0.2, 0.1), "drop_rate": (0.2, 0.1)},
        "two": {"energy": (0.9, 0.8), "drop_rate": (0.1, 0.2)},
    }
    rows = pd.DataFrame(
        [
            ("s", f"d/{network}", metric, method, value, found)
            for network, metrics in printed.items()
            for metric, values in metrics.items()
            for method, value, found in zip("ab", values, (0.5, 0.4))
        ],
        columns=["source", "dataset", "metric", "method", "published", "reproduced"],
    )
    table = published.orders(rows, {"energy": True, "drop_rate": False}, {"a": "A", "b": "B"})
    assert table.dataset.tolist() == ["d"] * 3
    assert table.networks.tolist() == ["one, two", "one", "two"]
    assert table.on.tolist() == ["d: one, two", "d: one", "d: two"]
    assert table.same.tolist() == [True, True, False]


@pytest.mark.parametrize("dataset", published.STEPS)
def test_recorded_results_name_their_weights(dataset):
    rows, sha256 = published.recorded(dataset, "published")
    assert len(sha256) == 64 and set(rows.weights) == {"recorded"}
    differences = rows.reproduced - rows.published
    np.testing.assert_allclose(rows.difference, differences, atol=1e-5)
    steps, _ = published.recorded(dataset, "steps")
    assert list(dict.fromkeys(steps.step)) == [step[0] for step in published.STEPS[dataset]]


def test_a_run_without_the_weights_records_nothing(output, monkeypatch):
    folder = output / "results" / "standard"
    folder.mkdir(parents=True)
    pd.DataFrame(columns=REPRODUCTION_COLUMNS).to_csv(folder / "reproduction.csv", index=False)
    (folder / "tables.json").write_text(json.dumps({}))
    monkeypatch.setenv("XAI_COURSE_MODELS", str(output))
    monkeypatch.setattr(published, "RECORDED", output / "recorded.json")
    with pytest.raises(SystemExit, match="no course weights for mnist1d"):
        published.record("standard")
    assert not (output / "recorded.json").exists()


def test_recording_needs_to_know_the_weights(monkeypatch):
    monkeypatch.delenv("XAI_COURSE_MODELS", raising=False)
    with pytest.raises(SystemExit, match="XAI_COURSE_MODELS"):
        published.record("standard")


def test_what_was_recorded_is_read_again(output, monkeypatch):
    folder = output / "results" / "standard"
    folder.mkdir(parents=True)
    rows, tables = [], {}
    for dataset, file in (("mnist1d", "MNIST1D.h5"), ("hmt", "HMT.h5")):
        rows.append(published.compare(dataset, {("", "accuracy", "all"): 0.5}, "the weights"))
        tables[f"{dataset}_steps"] = {"columns": ["step", "mean"], "data": [["as published", 0.5]]}
        tables[f"{dataset}_gaps"] = {"columns": ["step", "gap"], "data": [["as published", 0.25]]}
        (output / file).write_text(dataset)
    tables["hmt_networks"] = {"columns": ["network", "random"], "data": [["course", 0.1]]}
    ours = published.compare("hmt", {("", "accuracy", "all"): 0.9}, "ours", weights="ours")
    pd.concat([*rows, ours]).to_csv(folder / "reproduction.csv", index=False)
    (folder / "tables.json").write_text(json.dumps(tables))
    monkeypatch.setenv("XAI_COURSE_MODELS", str(output))
    monkeypatch.setattr(published, "RECORDED", output / "recorded.json")
    published.record("standard")
    found, sha256 = published.recorded("hmt", "published")
    assert found.reproduced.tolist() == [0.5] and found.weights.tolist() == ["recorded"]
    assert sha256 == hashlib.sha256(b"hmt").hexdigest()
    steps, _ = published.recorded("mnist1d", "steps")
    assert steps.to_dict("list") == {"step": ["as published"], "mean": [0.5]}
    networks, _ = published.recorded("hmt", "networks")
    assert networks.to_dict("list") == {"network": ["course"], "random": [0.1]}
    gaps, _ = published.recorded("mnist1d", "gaps")
    assert gaps.to_dict("list") == {"step": ["as published"], "gap": [0.25]}

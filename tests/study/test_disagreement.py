"""What lies between two networks, on networks whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from xai_utils.data import Samples
from xai_utils.models import predict
from xai_utils.networks.architectures import vgg7
from xai_utils.study import conclusions, disagreement
from xai_utils.study.samples import SampleSet

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def network():
    """Random weights, of which the last are large, so that the network is sure."""
    model = vgg7()
    weights = [RNG.normal(0, 0.1, w.shape) for w in model.get_weights()]
    weights[0], weights[1] = np.full(3, 0.4), np.full(3, 0.05)  # mean and variance of the channels
    weights[-2] = RNG.normal(0, 30, weights[-2].shape)
    model.set_weights([np.asarray(w, np.float32) for w in weights])
    model.get_layer("normalization").finalize_state()
    return model


@pytest.fixture(scope="module")
def tiles():
    x = RNG.random((16, 24, 24, 3), np.float32)
    return Samples(x, np.repeat(np.arange(8), 2), np.array([f"tile {i}" for i in range(16)]))


def test_a_temperature_of_two_takes_the_root_of_the_odds(network, tiles):
    before = predict(network, tiles.x)
    after = predict(disagreement.softened(network, 2), tiles.x)
    roots = np.sqrt(before)
    np.testing.assert_allclose(after, roots / roots.sum(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("confidence", [0.4, 0.9])
def test_the_temperature_gives_the_confidence_asked_for(confidence):
    logits = RNG.normal(0, 3, (50, 8))
    found = disagreement.temperature_for(softmax(logits, axis=1), confidence)
    sure = softmax(logits / found, axis=1).max(axis=1)
    assert sure.mean() == pytest.approx(confidence, abs=1e-6)


def test_the_temperature_of_softened_answers_is_found_again():
    logits = RNG.normal(0, 3, (50, 8))
    sure = softmax(logits / 1.7, axis=1).max(axis=1).mean()
    assert disagreement.temperature_for(softmax(logits, axis=1), sure) == pytest.approx(1.7, rel=1e-6)


def test_a_network_that_looks_nowhere_loses_nothing(tiles, output):
    """Its answer is its bias, whatever is black; so no difference of the methods either."""
    constant = vgg7()
    weights = [0 * w for w in constant.get_weights()]
    weights[1], weights[-1] = weights[1] + 1, np.arange(8) / 2
    constant.set_weights(weights)
    every = dict.fromkeys(("course", "ours"), (constant, tiles))
    few = tiles.take(np.arange(0, 16, 2))
    views = {name: (lambda: constant, few) for name in every}
    own = SampleSet("hmt", constant, few, few.y, {}, views=views)
    clusters = {name: place // 4 for place, name in enumerate(tiles.names)}
    table = disagreement.compared(every, disagreement.drops(own), clusters).set_index("network")
    assert table.accuracy.tolist() == [0.125, 0.125] and (table.samples == 8).all()
    confidence = softmax(np.arange(8) / 2).max()
    assert table.confidence.tolist() == pytest.approx([confidence] * 2)
    assert table.calibration_error.tolist() == pytest.approx([confidence - 0.125] * 2)
    of_zero = ["random", "blocks", "grad_cam", "integrated_gradients", "gap", "change"]
    assert (table[of_zero] == 0).all(axis=None)
    assert (table[["p", "change_p"]] == 1).all(axis=None)


def test_a_network_that_averages_blocks_answers_to_blocks():
    """Blocks of three by three, cut off where the map ends."""
    maps = RNG.random((2, 8, 7))
    blocks = disagreement.random_blocks(maps)
    assert blocks.shape == maps.shape and len(np.unique(blocks[0])) == 9
    assert (blocks[0, :3, 3:6] == maps[0, 0, 3]).all() and (blocks[1, 6:, 6:] == maps[1, 6, 6]).all()


def test_what_changes_between_networks_is_tested_beside_the_methods(tiles, output):
    """Planted drops of eight tiles: a network loses all to a random map, another nothing."""

    def drops(**levels):
        rows = {name: level + 0.01 * np.arange(8) for name, level in levels.items()}
        return pd.DataFrame(rows, index=pd.Index(tiles.names[:8], name="item"))

    levels = {"integrated_gradients": 0.5, "grad_cam": 0.2, "random": 0.1, "blocks": 0.3}
    tables = {"course": drops(**levels), "ours": drops(**levels | {"grad_cam": 0.5, "random": 0.9})}
    every = {name: (vgg7(), tiles) for name in tables}
    clusters = dict(zip(tiles.names, range(16)))
    table = disagreement.compared(every, tables, clusters).set_index("network")
    course, ours = table.loc["course"], table.loc["ours"]
    assert (course.gap, course.low, course.high) == pytest.approx((0.3, 0.3, 0.3)) and course.p < 0.05
    assert ours.gap == pytest.approx(0, abs=1e-9) and ours.p == 1
    assert ours[["change", "change_low", "change_high"]].tolist() == pytest.approx([0.8] * 3)
    assert ours.change_p < 0.05 and course.change == 0 and course.change_p == 1


def planted(**changes):
    """Seven networks and their random drops; on the course's Grad-CAM is ahead, on ours the other."""
    rows = pd.DataFrame(disagreement.TITLES.items(), columns=["network", "title"])
    rows["random"] = [0.1, 0.2, 0.6, 0.5, 0.35, 0.62, 0.12]
    rows["blocks"] = rows.random / 2
    rows["gap"], rows["p"] = [0.3, 0.0, -0.2, 0.0, 0.0, 0.0, 0.0], [0.01, 0.5, 0.02, 1, 1, 1, 1]
    before = rows.network.map(disagreement.BEFORE).fillna(rows.network)
    rows["change"] = rows.random - rows.set_index("network").random[before].to_numpy()
    rows = rows.assign(change_low=rows.change - 0.1, change_high=rows.change + 0.1, change_p=0.01)
    return rows.assign(**changes)


SHORT = {"grad_cam": "CAM", "integrated_gradients": "IG"}


def test_changes_are_told_by_whether_they_bring_the_two_networks_nearer():
    """Ours comes from 0.6 nearer to the course's 0.1 with three of the changes; so does the course's to ours."""
    said = conclusions.on_networks(planted(), SHORT)
    assert (
        "0.100 on the course's network and of 0.600 on ours (difference +0.500 [+0.400, +0.600]" in said
    )
    assert (
        "tests find it nearer with the course's on smaller tiles (0.100 to 0.200, p = 0.01), ours"
        in said
    )
    assert "further" not in said and "Nothing is found" not in said and "the cause" not in said
    assert said.endswith("CAM has the lower drop on 1 of the 7 networks, IG on 1.")


def test_a_change_that_leads_away_explains_nothing():
    rows = planted(change_p=[1, 1, 0.2, 0.01, 0.2, 1, 0.2])
    away = rows.network == "large"
    rows.loc[away, ["random", "change"]] = 0.8, 0.2
    said = conclusions.on_networks(rows, SHORT)
    assert "tests find it further away with ours on larger tiles (0.600 to 0.800, p = 0.01)." in said
    assert (
        "nearer" not in said
        and "Nothing is found with" in said
        and "So the cause is not found." in said
    )


def test_no_method_is_ahead_where_no_test_finds_it():
    said = conclusions.on_networks(planted(p=0.2, change_p=0.2), SHORT)
    assert "tests find" not in said and "So the cause is not found." in said
    assert said.endswith("CAM has the lower drop on 0 of the 7 networks, IG on 0.")

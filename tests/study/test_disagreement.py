"""What lies between two networks, on networks whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from xai_utils.data import Samples
from xai_utils.models import predict
from xai_utils.networks.architectures import vgg7
from xai_utils.study import conclusions, disagreement

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def network():
    """Random weights, of which the last are large, so that the network is sure."""
    model = vgg7()
    weights = [RNG.normal(0, 0.1, w.shape) for w in model.get_weights()]
    weights[0], weights[1] = np.zeros(3), np.ones(3)  # mean and variance of the channels
    weights[-2] = RNG.normal(0, 30, weights[-2].shape)
    model.set_weights([np.asarray(w, np.float32) for w in weights])
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
    every = {name: (constant, tiles, {}) for name in ("course", "ours")}
    clusters = {name: place // 4 for place, name in enumerate(tiles.names)}
    table = disagreement.compared(every, 1, clusters).set_index("network")
    assert table.accuracy.tolist() == [0.125, 0.125] and (table.samples == 8).all()
    confidence = softmax(np.arange(8) / 2).max()
    assert table.confidence.tolist() == pytest.approx([confidence] * 2)
    assert table.calibration_error.tolist() == pytest.approx([confidence - 0.125] * 2)
    assert (table[["random", "grad_cam", "integrated_gradients", "gap"]] == 0).all(axis=None)
    assert (table.p == 1).all()


def planted(**changes):
    """Seven networks and their random drops; on the course's Grad-CAM is ahead, on ours the other."""
    rows = pd.DataFrame(disagreement.TITLES.items(), columns=["network", "title"])
    rows["random"] = [0.1, 0.2, 0.6, 0.5, 0.35, 0.62, 0.12]
    rows["gap"], rows["p"] = [0.3, 0.0, -0.2, 0.0, 0.0, 0.0, 0.0], [0.01, 0.5, 0.02, 1, 1, 1, 1]
    return rows.assign(**changes)


def test_what_closes_the_distance_is_told_in_shares():
    said = conclusions.on_networks(planted(), {"grad_cam": "CAM", "integrated_gradients": "IG"})
    assert "0.100 on the course's network and of 0.600 on ours" in said
    assert "larger tiles 20 % (0.600 to 0.500), the course's confidence 50 % (0.600 to 0.350)" in said
    assert "black in the training 100 % (0.620 to 0.120)" in said
    assert (
        "CAM has the lower drop on the course's network; IG has the lower drop on our network" in said
    )
    assert "No difference is found on the course's, tiles as they are, ours, tiles as large" in said


def test_no_method_is_ahead_where_no_test_finds_it():
    said = conclusions.on_networks(planted(p=0.2), {"grad_cam": "CAM", "integrated_gradients": "IG"})
    assert "neither is ahead anywhere" in said and "lower drop on" not in said

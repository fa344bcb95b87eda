"""The same network and input, explained here and by Captum and pytorch-grad-cam (make_oracles.py)."""

from pathlib import Path

import keras
import numpy as np
import pytest

from xai_utils.attributions import explain

ORACLES = np.load(Path(__file__).with_name("oracles.npz"))
CAPTUM = ["gradient", "integrated_gradients", "guided_backprop", "grad_cam"]
PYTORCH_GRAD_CAM = ["grad_cam_pp", "xgrad_cam", "score_cam", "ablation_cam"]


@pytest.fixture(scope="module")
def model():
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dense(3),
        ]
    )
    network.set_weights([ORACLES[f"weight_{index}"] for index in range(8)])
    return network


def explained(model, method, **options):
    return explain(model, ORACLES["x"], ORACLES["target"].astype(int), method, **options)


@pytest.mark.parametrize("method", CAPTUM)
def test_captum_agrees(model, method):
    options = {"steps": 1500} if method == "integrated_gradients" else {}
    maps, expected = explained(model, method, **options), ORACLES[method]
    np.testing.assert_allclose(maps, expected, atol=1e-3 * np.abs(expected).max())


def test_captum_nearly_agrees_at_the_default_settings(model):
    """Whose sums are right to 1 %; single points, with errors that cancel, to a tenth of the largest."""
    maps, expected = explained(model, "integrated_gradients"), ORACLES["integrated_gradients"]
    np.testing.assert_allclose(maps, expected, atol=0.1 * np.abs(expected).max())


@pytest.mark.parametrize("method", PYTORCH_GRAD_CAM)
def test_pytorch_grad_cam_agrees(model, method):
    maps = explained(model, method)
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose((maps - low) / (high - low), ORACLES[method], atol=1e-3)

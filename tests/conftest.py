import keras
import numpy as np
import pytest
from keras import layers


def small_network(dimensions, kind="functional", softmax=True):
    """A network of one convolution with random weights, for signals (40, 1) or images (16, 16, 3)."""
    keras.utils.set_random_seed(3)
    shape = (40, 1) if dimensions == 1 else (16, 16, 3)
    convolution = layers.Conv1D if dimensions == 1 else layers.Conv2D
    stack = [
        convolution(4, 3, padding="same", activation="relu", name="conv"),
        layers.Flatten(),
        layers.Dense(3, activation="softmax" if softmax else None),
    ]
    if kind == "sequential":
        return keras.Sequential([keras.Input(shape), *stack])
    inputs = keras.Input(shape)
    outputs = inputs
    for layer in stack:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def some_inputs(dimensions, count=5):
    shape = (count, 40, 1) if dimensions == 1 else (count, 16, 16, 3)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture
def output(tmp_path, monkeypatch):
    """A folder that results are written to in place of the repository."""
    monkeypatch.setenv("XAI_OUTPUT", str(tmp_path))
    return tmp_path


def pytest_addoption(parser):
    parser.addoption(
        "--require-standard-run",
        action="store_true",
        help="fail, not skip, where the standard profile was not run with real tiles and weights",
    )

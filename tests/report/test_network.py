"""The layers that the explorer's page runs, in a real browser, beside Keras."""

import keras
import numpy as np
import pytest
from keras import layers

from report.common import ReportError
from report.network import page_layers
from xai_utils.networks.architectures import shallow_cnn, vgg7
from xai_utils.run.files import REPOSITORY

SCRIPT = REPOSITORY / "report/explorer_page/network.js"
RUN = """([layers, inputs, shape]) => {
    for (const layer of layers) for (const [key, value] of Object.entries(layer)) {
        if (value.floats) layer[key] = Float32Array.from(value.floats);
    }
    const network = makeNetwork();
    return inputs.map((input) => Array.from(network.run(layers, Float32Array.from(input), shape)));
}"""


def by_page(browser, model, x):
    """What the page makes of inputs ``(n, *space, channels)``, ``(n, values)``."""
    tab = browser.new_page()
    tab.add_script_tag(path=SCRIPT)
    described = [
        {
            key: {"floats": own.ravel().tolist()} if isinstance(own, np.ndarray) else own
            for key, own in layer.items()
        }
        for layer in page_layers(model)
    ]
    shape = [*x.shape[1:]] if x.ndim == 4 else [1, *x.shape[1:]]
    return np.array(tab.evaluate(RUN, [described, x.reshape(len(x), -1).tolist(), shape]))


def a_chain(shape, *chain):
    """These layers with weights drawn at random, biases too."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(shape), *chain])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=own.shape, scale=0.5) for own in model.get_weights()])
    return model


def normalization():
    made = layers.Normalization()
    made.adapt(np.random.default_rng(2).normal(3, 2, (50, 9, 7, 3)))
    return made


@pytest.mark.parametrize(
    "shape, layer",
    [
        ((9, 7, 3), layers.Conv2D(5, 3, padding="same", activation="relu")),
        ((9, 7, 3), layers.Conv2D(5, (4, 2), padding="same")),
        ((9, 7, 3), layers.Conv2D(4, (2, 5), strides=(3, 2), padding="same")),
        ((9, 7, 3), layers.Conv2D(4, (4, 3), strides=(2, 3), padding="valid", use_bias=False)),
        ((2, 2, 3), layers.Conv2D(4, 5, padding="same")),
        ((41, 2), layers.Conv1D(3, 5, padding="same", activation="relu")),
        ((41, 2), layers.Conv1D(3, 4, strides=3, padding="same")),
        ((41, 2), layers.Conv1D(3, 6, strides=4, padding="valid")),
        ((9, 7, 3), layers.MaxPooling2D(2)),
        ((9, 7, 3), layers.MaxPooling2D((2, 4), strides=(3, 2), padding="same")),
        ((41, 2), layers.MaxPooling1D(4, strides=3, padding="same")),
        ((9, 7, 3), layers.AveragePooling2D(3)),
        ((10, 7, 3), layers.AveragePooling2D((4, 2), strides=3, padding="same")),
        ((41, 2), layers.AveragePooling1D(5, padding="same")),
        ((9, 7, 3), layers.GlobalAveragePooling2D()),
        ((41, 2), layers.GlobalAveragePooling1D()),
        ((3, 2, 3), layers.Flatten()),
        ((9, 7, 3), layers.Dense(4, activation="softmax")),
        ((5,), layers.Dense(4, use_bias=False)),
        ((9, 7, 3), layers.Normalization(mean=0.5, variance=0.0)),
    ],
    ids=lambda value: value.name if isinstance(value, layers.Layer) else None,
)
def test_a_layer_gives_what_keras_gives(browser, shape, layer):
    model = a_chain(shape, layer)
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    expected = model.predict(x, verbose=0).reshape(3, -1)
    seen = x if x.ndim > 2 else x[:, np.newaxis]  # values without places are those of one point
    scale = np.abs(expected).max()
    np.testing.assert_allclose(by_page(browser, model, seen), expected, rtol=1e-5, atol=1e-6 * scale)


def test_what_was_adapted_is_normalized(browser):
    model = keras.Sequential([keras.Input((9, 7, 3)), normalization()])
    x = np.random.default_rng(1).normal(size=(2, 9, 7, 3)).astype(np.float32)
    expected = model.predict(x, verbose=0).reshape(2, -1)
    np.testing.assert_allclose(by_page(browser, model, x), expected, rtol=1e-5, atol=1e-6)


def test_large_scores_do_not_overflow(browser):
    model = a_chain((2,), layers.Dense(3, activation="softmax"))
    x = np.array([[3000.0, -2000.0], [0.0, 0.0]], np.float32)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(by_page(browser, model, x[:, np.newaxis]), expected, atol=1e-6)


@pytest.mark.parametrize(
    "model, shape",
    [
        (shallow_cnn(), (40, 1)),
        (vgg7(), (50, 47, 3)),
        (vgg7(average=1, normalize=False), (21, 18, 3)),
    ],
)
def test_the_networks_of_the_study_are_such_chains(browser, model, shape):
    x = np.random.default_rng(1).random((2, *shape), np.float32)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(by_page(browser, model, x), expected, atol=1e-6)


@pytest.mark.parametrize(
    "layer, message",
    [
        (layers.Conv2DTranspose(2, 3, name="up"), "layer up of the kind Conv2DTranspose"),
        (layers.Conv2D(2, 3, dilation_rate=2, name="wide"), "wide with dilation_rate"),
        (layers.Conv2D(3, 3, groups=3, name="apart"), "apart with groups 3"),
        (layers.Conv2D(2, 3, activation="tanh", name="smooth"), "smooth with activation tanh"),
        (layers.Normalization(mean=0.0, variance=1.0, invert=True, name="back"), "back with invert"),
        (layers.Normalization(axis=1, name="rows"), "rows something else"),
        (layers.Dense(2, dtype="mixed_bfloat16", name="coarse"), "coarse in bfloat16"),
    ],
)
def test_what_the_page_cannot_run_is_said(layer, message):
    with pytest.raises(ReportError, match=message):
        page_layers(keras.Sequential([keras.Input((6, 6, 3)), layer]))


def test_a_signal_that_is_padded_on_one_side_is_said():
    causal = layers.Conv1D(2, 3, padding="causal", name="causal")
    with pytest.raises(ReportError, match="causal with padding causal"):
        page_layers(keras.Sequential([keras.Input((6, 3)), causal]))


def test_a_network_with_two_ways_is_said():
    inputs = keras.Input((6, 6, 3))
    one, other = (layers.Conv2D(2, 3, name=name)(inputs) for name in ("one", "other"))
    model = keras.Model(inputs, layers.Add()([one, other]))
    with pytest.raises(ReportError, match="other takes not just one"):
        page_layers(model)

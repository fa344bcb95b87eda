import json

import numpy as np
import pytest

from xai_utils import models, training
from xai_utils.data import Samples, mnist1d, synthetic_tissue


@pytest.fixture(scope="module")
def few_signals():
    return mnist1d.load().train.take(slice(0, 400))


def test_the_same_seed_gives_the_same_weights(few_signals):
    first, _ = training.train_shallow_cnn(few_signals, epochs=1, seed=1)
    again, _ = training.train_shallow_cnn(few_signals, epochs=1, seed=1)
    other, _ = training.train_shallow_cnn(few_signals, epochs=1, seed=2)
    assert all(map(np.array_equal, first.get_weights(), again.get_weights()))
    assert not all(map(np.array_equal, first.get_weights(), other.get_weights()))


def test_training_learns(few_signals):
    _, history = training.train_shallow_cnn(few_signals, epochs=12, seed=0)
    assert history["loss"][-1] < 0.75 * history["loss"][0]
    assert len(history["val_accuracy"]) == 12


def test_the_vgg7_trains_on_tiles_and_standardizes_them():
    x, y, _ = synthetic_tissue.generate(5, seed=0)
    names = np.array([f"{i}_image-{i}.tif_Row_1" for i in range(len(y))])
    model, history = training.train_vgg7(Samples(x, y, names), epochs=1, seed=0)
    standardized = model.get_layer("normalization")(training.unit_range(x)).numpy()
    np.testing.assert_allclose(standardized.mean(axis=(0, 1, 2)), 0, atol=0.1)
    np.testing.assert_allclose(standardized.std(axis=(0, 1, 2)), 1, atol=0.1)
    assert np.isfinite(history["val_loss"]).all()


def test_scaled_initial_weights_give_unit_variance_before_every_activation():
    tiles = training.unit_range(synthetic_tissue.generate(2, seed=0)[0])
    model = models.vgg7()
    model.get_layer("normalization").adapt(tiles)
    training.scale_initial_weights(model, tiles)
    for name in ("conv2d", "conv2d_3", "dense"):
        layer = model.get_layer(name)
        before = models.keras.Model(model.inputs[0], layer.input)(tiles)
        kernel, bias = layer.get_weights()
        assert not bias.any()
        product = np.dot if name == "dense" else models.keras.ops.conv
        options = {} if name == "dense" else {"padding": "same"}
        pre_activation = product(before.numpy(), kernel, **options)
        assert np.std(pre_activation) == pytest.approx(1, rel=1e-3)


def test_augmented_signals_keep_their_shape_and_change_a_little():
    x = mnist1d.load().train.x[:50]
    augmented = training.augment_signals(x, np.random.default_rng(0))
    assert augmented.shape == x.shape and augmented.dtype == np.float32
    assert 0 < np.abs(augmented.std() / x.std() - 1) < 0.3


def test_augmented_tiles_hold_the_same_pixels_but_for_the_jitter():
    tiles = synthetic_tissue.generate(1, seed=0)[0]
    augmented = training.augment_tiles(tiles, np.random.default_rng(0))
    for tile, turned in zip(training.unit_range(tiles), augmented):
        for channel in range(3):
            before, after = np.sort(tile[..., channel].ravel()), np.sort(turned[..., channel].ravel())
            gain, shift = np.polyfit(before, after, 1)
            assert 0.95 <= gain <= 1.05 and abs(shift) <= 0.03
            np.testing.assert_allclose(after, gain * before + shift, atol=1e-3)


def test_saved_weights_say_how_they_were_made(tmp_path, few_signals):
    model = models.shallow_cnn()
    path = tmp_path / "shallow_cnn.weights.h5"
    training.save(model, path, seed=4, epochs=0)
    made = json.loads((tmp_path / "shallow_cnn.json").read_text())
    assert (made["seed"], made["parameters"]) == (4, 13_960)
    loaded = training.shallow_cnn_at(path, few_signals)
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "shallow_cnn.json",
        "shallow_cnn.weights.h5",
    ]

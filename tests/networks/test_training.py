import dataclasses
from functools import partial

import keras
import numpy as np
import pytest

from xai_utils.data import Samples, hmt, mnist1d, synthetic_tissue, unit_range
from xai_utils.networks import recipes, training
from xai_utils.networks.architectures import vgg7


@pytest.fixture(scope="module")
def few_signals():
    return mnist1d.load().train.take(slice(0, 400))


@pytest.fixture(scope="module")
def few_tiles():
    """160 tiles of as many parent images."""
    x, y, _ = synthetic_tissue.generate(20, seed=0)
    names = [f"{i}_CRC-Prim-HE-{i % 10:02}_{i:03}.tif_Row_1_Col_1.tif" for i in range(len(y))]
    return Samples(x, y, np.array(names))


def shortened(recipe, epochs):
    return dataclasses.replace(recipe, epochs=epochs)


def same_weights(one, other):
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


@pytest.mark.parametrize("recipe", [recipes.COURSE, recipes.STRONG], ids=["course", "strong"])
def test_the_same_seed_gives_the_same_weights(few_signals, recipe):
    train = partial(training.train_shallow_cnn, few_signals, shortened(recipe, 1))
    first, _ = train(seed=1)
    assert same_weights(first, train(seed=1)[0])
    assert not same_weights(first, train(seed=2)[0])


def test_training_learns(few_signals):
    recipe = shortened(recipes.STRONG, 12)
    _, history = training.train_shallow_cnn(few_signals, recipe, seed=0)
    assert history["loss"][-1] < 0.75 * history["loss"][0]
    assert len(history["val_accuracy"]) == 12


def test_the_vgg7_trains_on_tiles_and_standardizes_them(few_tiles):
    recipe = dataclasses.replace(recipes.VGG7, epochs=1, crop=24)
    model, history = training.train_vgg7(few_tiles, recipe, seed=0)
    standardized = model.get_layer("normalization")(unit_range(few_tiles.x)).numpy()
    standardized = standardized.astype(np.float64)
    np.testing.assert_allclose(standardized.mean(axis=(0, 1, 2)), 0, atol=0.03)
    np.testing.assert_allclose(standardized.std(axis=(0, 1, 2)), 1, atol=0.03)
    assert np.isfinite(history["val_loss"]).all()


def test_an_interrupted_training_goes_on_to_the_same_weights(few_tiles, tmp_path, monkeypatch):
    recipe = dataclasses.replace(recipes.VGG7, epochs=2, crop=24)
    tiles, held_out = few_tiles.take(slice(None, None, 4)), np.arange(0, 40, 10)
    train = partial(training.train_vgg7, tiles, recipe, seed=0, held_out=held_out)
    whole, whole_history = train()

    def interrupt(*_):
        raise KeyboardInterrupt

    checkpoint = tmp_path / "training.keras"
    write = training._write_checkpoint
    calls = iter([write, interrupt])
    monkeypatch.setattr(training, "_write_checkpoint", lambda *a: next(calls)(*a))
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint=checkpoint)
    monkeypatch.setattr(training, "_write_checkpoint", write)
    resumed, history = train(checkpoint=checkpoint)
    assert same_weights(whole, resumed)
    assert history == whole_history


def test_bfloat16_convolutions_give_a_float32_network(few_tiles, monkeypatch):
    monkeypatch.setattr(training, "convolution_dtype", lambda: "mixed_bfloat16")
    recipe = dataclasses.replace(recipes.VGG7, epochs=1, crop=24)
    tiles, held_out = few_tiles.take(slice(None, None, 4)), np.arange(0, 40, 10)
    model, history = training.train_vgg7(tiles, recipe, seed=0, held_out=held_out)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.isfinite(history["loss"]).all()


def test_held_out_tiles_have_parent_images_of_their_own_and_many_classes():
    split = [row for row in hmt.read_split() if row["split"] == "train"]
    names = np.array([row["file"] for row in split])
    labels = np.array([synthetic_tissue.CLASSES.index(row["class"]) for row in split])
    held_out = training.hold_out_images(Samples(np.empty(len(names)), labels, names))
    kept = np.setdiff1d(np.arange(len(names)), held_out)
    assert not {*hmt.parent_images(names[kept])} & {*hmt.parent_images(names[held_out])}
    assert len({*labels[kept]}) == 8 and len({*labels[held_out]}) >= 7
    assert 0.03 < len(held_out) / len(names) < 0.06


@pytest.mark.parametrize(
    "flags, dtype",
    [
        ("fma avx512_bf16 amx_tile", "mixed_bfloat16"),
        ("amx_bf16", "mixed_bfloat16"),
        ("fma avx2", "float32"),
    ],
)
def test_bfloat16_is_used_where_the_processor_has_it(monkeypatch, flags, dtype):
    monkeypatch.setattr(training.Path, "exists", lambda path: True)
    monkeypatch.setattr(training.Path, "read_text", lambda path: f"flags : {flags}\n")
    assert training.convolution_dtype() == dtype


def test_the_last_eighth_of_the_epochs_shows_whole_tiles(few_tiles):
    recipe = dataclasses.replace(recipes.VGG7, epochs=16, crop=24)
    sizes = [next(training._batches(few_tiles, recipe, epoch, 0))[0].shape[1] for epoch in range(16)]
    assert sizes == 14 * [24] + 2 * [150]


def test_random_crops_are_squares_of_the_tile():
    tile = np.arange(36).reshape(1, 6, 6, 1)
    crops = recipes.random_crop(np.repeat(tile, 50, axis=0), 3, np.random.default_rng(0))
    corners = {int(crop[0, 0, 0]) for crop in crops}
    assert corners == {6 * row + column for row in range(4) for column in range(4)}
    np.testing.assert_array_equal(
        crops[:, :, :, 0] - crops[:, :1, :1, 0], np.broadcast_to(tile[0, :3, :3, 0], (50, 3, 3))
    )


def test_scaled_initial_weights_give_unit_variance_before_every_activation():
    tiles = unit_range(synthetic_tissue.generate(2, seed=0)[0])
    model = vgg7()
    model.get_layer("normalization").adapt(tiles)
    training.scale_initial_weights(model, tiles)
    for name in ("conv2d", "conv2d_3", "dense"):
        layer = model.get_layer(name)
        before = keras.Model(model.inputs[0], layer.input)(tiles)
        kernel, bias = layer.get_weights()
        assert not bias.any()
        product = np.dot if name == "dense" else keras.ops.conv
        options = {} if name == "dense" else {"padding": "same"}
        pre_activation = product(before.numpy(), kernel, **options)
        assert np.std(pre_activation) == pytest.approx(1, rel=1e-3)


def test_augmented_signals_keep_their_shape_and_change_a_little():
    x = mnist1d.load().train.x[:50]
    augmented = recipes.augment_signals(x, np.random.default_rng(0))
    assert augmented.shape == x.shape and augmented.dtype == np.float32
    assert 0 < np.abs(augmented.std() / x.std() - 1) < 0.3


def test_augmented_tiles_hold_the_same_pixels_but_for_the_jitter():
    tiles = synthetic_tissue.generate(1, seed=0)[0]
    augmented = recipes.augment_tiles(tiles, np.random.default_rng(0))
    for tile, turned in zip(unit_range(tiles), augmented):
        for channel in range(3):
            before, after = np.sort(tile[..., channel].ravel()), np.sort(turned[..., channel].ravel())
            gain, shift = np.polyfit(before, after, 1)
            assert 0.95 <= gain <= 1.05 and abs(shift) <= 0.03
            np.testing.assert_allclose(after, gain * before + shift, atol=1e-3)

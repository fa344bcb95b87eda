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


def test_the_vgg7_trains_on_tiles_and_standardizes_what_it_averages(few_tiles):
    recipe = dataclasses.replace(recipes.VGG7, epochs=1, crop=8)
    model, history = training.train_vgg7(few_tiles, recipe, seed=0, held_out=few_tiles)
    averaged = keras.Model(model.inputs, model.get_layer("average_pooling2d").output)
    standardized = model.get_layer("normalization")(averaged(unit_range(few_tiles.x))).numpy()
    standardized = standardized.astype(np.float64)
    np.testing.assert_allclose(standardized.mean(axis=(0, 1, 2)), 0, atol=0.03)
    np.testing.assert_allclose(standardized.std(axis=(0, 1, 2)), 1, atol=0.03)
    assert model.count_params() == vgg7().count_params()
    assert np.isfinite(history["val_loss"]).all()


def test_what_is_held_out_is_scored_as_the_trained_network_does(few_tiles):
    """Batch normalization folded, tiles averaged by the network: the last of the curves comes out again."""
    recipe = dataclasses.replace(recipes.VGG7, epochs=2, crop=8)
    kept, held_out = few_tiles.take(slice(None, None, 2)), few_tiles.take(slice(1, None, 4))
    model, history = training.train_vgg7(kept, recipe, seed=0, held_out=held_out)
    said = model.predict(unit_range(held_out.x), verbose=0)
    assert np.mean(said.argmax(axis=1) == held_out.y) == pytest.approx(
        history["val_accuracy"][-1], abs=1e-5
    )
    loss = -np.log(said[np.arange(len(said)), held_out.y]).mean()
    assert loss == pytest.approx(history["val_loss"][-1], rel=1e-3)


def test_an_interrupted_training_goes_on_to_the_same_weights(few_tiles, tmp_path, monkeypatch):
    recipe = dataclasses.replace(recipes.VGG7, epochs=2, crop=8)
    tiles = few_tiles.take(slice(None, None, 4))
    train = partial(training.train_vgg7, tiles, recipe, seed=0)
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
    recipe = dataclasses.replace(recipes.VGG7, epochs=1, crop=8)
    model, history = training.train_vgg7(few_tiles.take(slice(None, None, 4)), recipe, seed=0)
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


def test_every_sample_is_drawn_once_without_balance():
    drawn = recipes.draw(np.repeat([0, 1], [30, 10]), 0.0, np.random.default_rng(0))
    assert sorted(drawn) == list(range(40))


@pytest.mark.parametrize("balance, few", [(0.5, 100 * 400 / (300**0.5 + 100**0.5) / 10), (1.0, 200)])
def test_a_rare_class_is_drawn_as_often_as_the_balance_says(balance, few):
    """300 samples of one class and 100 of another, whose share is 100^(1 − balance) of the sum."""
    y, counts = np.repeat([0, 1], [300, 100]), np.zeros(400)
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = recipes.draw(y, balance, rng)
        once = np.bincount(drawn, minlength=400)
        assert len(drawn) == 400
        assert all(len({*once[y == label]}) <= 2 for label in (0, 1)), "rounded up or down"
        counts += once
    assert counts[y == 1].sum() / 50 == pytest.approx(few, rel=0.01)


def test_certain_probabilities_teach_what_classes_do():
    """Tiles with the probability of each class, all of them 0 or 1."""
    x, y, names = synthetic_tissue.generate(8, seed=0)
    recipe = dataclasses.replace(recipes.VGG7, epochs=1, crop=8)
    said = [
        training.train_vgg7(Samples(x, known, names), recipe, seed=0)[1] for known in (y, np.eye(8)[y])
    ]
    assert said[0].keys() == said[1].keys()
    np.testing.assert_allclose(said[0]["loss"], said[1]["loss"], atol=1e-4)
    assert said[0]["accuracy"] == said[1]["accuracy"]


def test_augmented_signals_keep_their_shape_and_change_a_little():
    x = mnist1d.load().train.x[:50]
    augmented = recipes.augment_signals(x, np.random.default_rng(0))
    assert augmented.shape == x.shape and augmented.dtype == np.float32
    assert 0 < np.abs(augmented.std() / x.std() - 1) < 0.3


def test_augmented_tiles_hold_the_same_pixels_but_for_the_jitter():
    tiles = synthetic_tissue.generate(1, seed=0)[0]
    augmented = recipes.augment_tiles(unit_range(tiles), np.random.default_rng(0))
    assert augmented.dtype == np.float32
    for tile, turned in zip(unit_range(tiles), augmented):
        for channel in range(3):
            before, after = np.sort(tile[..., channel].ravel()), np.sort(turned[..., channel].ravel())
            gain, shift = np.polyfit(before, after, 1)
            assert 0.95 <= gain <= 1.05 and abs(shift) <= 0.03
            np.testing.assert_allclose(after, gain * before + shift, atol=1e-3)


def test_half_of_the_blackened_tiles_lose_up_to_a_half():
    """White tiles, of which a point is the share of its nine pixels that is not black."""
    white = np.ones((200, 20, 20, 3), np.float32)
    augmented = recipes.augment_blackened(white, np.random.default_rng(0))
    whole = recipes.augment_tiles(white, np.random.default_rng(0))
    assert augmented.dtype == np.float32
    kept = augmented / whole  # the colours, which no black pixel changes
    ninths = np.round(9 * kept)
    np.testing.assert_allclose(9 * kept, ninths, atol=1e-4)
    np.testing.assert_array_equal(ninths, ninths[..., :1].repeat(3, axis=-1))
    black = 1 - kept.mean(axis=(1, 2, 3))
    touched = black > 1e-4
    assert 70 < touched.sum() < 130 and black.max() < 0.51
    assert black[touched].mean() == pytest.approx(0.25, abs=0.05)

import numpy as np
import pytest

from xai_utils.data import synthetic_tissue
from xai_utils.data.synthetic_tissue import CLASSES


@pytest.fixture(scope="module")
def drawn():
    return synthetic_tissue.generate(3, seed=4)


def test_every_class_is_drawn_as_often(drawn):
    tiles, labels, masks = drawn
    assert tiles.shape == (24, 150, 150, 3) and tiles.dtype == np.uint8
    assert masks.shape == (24, 150, 150) and masks.dtype == bool
    assert np.bincount(labels).tolist() == [3] * len(CLASSES)


def test_the_same_seed_gives_the_same_tiles_and_another_seed_others(drawn):
    again, other = (synthetic_tissue.generate(3, seed=seed)[0] for seed in (4, 5))
    assert np.array_equal(again, drawn[0])
    assert not np.array_equal(other, drawn[0])


@pytest.mark.parametrize("name", ["01_TUMOR", "04_LYMPHO"])
def test_the_mask_of_nuclei_is_where_the_tile_is_darkest(drawn, name):
    tiles, labels, masks = drawn
    for tile, mask in zip(tiles[labels == CLASSES.index(name)], masks[labels == CLASSES.index(name)]):
        brightness = tile.mean(axis=-1)
        assert brightness[mask].mean() < 0.8 * brightness[~mask].mean()


def test_empty_tiles_are_bright_and_their_mask_is_everything(drawn):
    tiles, labels, masks = drawn
    empty = labels == CLASSES.index("08_EMPTY")
    assert tiles[empty].min() > 180
    assert masks[empty].all()


def test_no_other_mask_is_empty_or_everything(drawn):
    _, labels, masks = drawn
    covered = masks[labels != CLASSES.index("08_EMPTY")].mean(axis=(1, 2))
    assert covered.min() > 0 and covered.max() < 1


def test_train_and_test_tiles_differ(monkeypatch):
    monkeypatch.setattr(synthetic_tissue, "TRAIN_PER_CLASS", 3)
    monkeypatch.setattr(synthetic_tissue, "TEST_PER_CLASS", 3)
    data = synthetic_tissue.load()
    train = {tile.tobytes() for tile in data.train.x}
    assert not any(tile.tobytes() in train for tile in data.test.x)
    assert data.source == "synthetic"


def test_the_masks_of_the_test_tiles_are_in_their_order(monkeypatch):
    monkeypatch.setattr(synthetic_tissue, "TRAIN_PER_CLASS", 1)
    monkeypatch.setattr(synthetic_tissue, "TEST_PER_CLASS", 3)
    test, masks = synthetic_tissue.load().test, synthetic_tissue.test_masks()
    assert masks.shape == test.x.shape[:3] and masks.dtype == bool
    for name, tile, mask in zip(test.names, test.x, masks):
        if name.startswith(("01_TUMOR", "04_LYMPHO")):
            assert tile[mask].mean() < 0.8 * tile[~mask].mean()
        assert mask.all() == name.startswith("08_EMPTY")

import numpy as np
import pytest

from xai_utils.data import Samples
from xai_utils.data.mosaics import explained_tiles, grid, linked

HEIGHT, WIDTH = 2, 3


def tiles(labels):
    """Constant tiles: the first channel says the class, the second which tile it is."""
    labels = np.asarray(labels)
    x = np.empty((len(labels), HEIGHT, WIDTH, 2), np.uint8)
    x[..., 0] = labels[:, None, None]
    x[..., 1] = np.arange(len(labels))[:, None, None]
    return Samples(x, labels, np.array([f"tile{index}" for index in range(len(labels))]))


def cells(mosaics):
    """The class and the tile in each of the four cells, two arrays ``(count, 4)``."""
    corners = mosaics[:, ::HEIGHT, ::WIDTH].reshape(len(mosaics), 4, 2)
    whole = np.kron(corners.reshape(-1, 2, 2, 2), np.ones((1, HEIGHT, WIDTH, 1), np.uint8))
    assert np.array_equal(mosaics, whole)
    return corners[..., 0].astype(int), corners[..., 1].astype(int)


@pytest.fixture(params=[False, True], ids=["once", "twice"])
def twice(request):
    return request.param


@pytest.fixture
def drawn(twice):
    """Eight classes of ten tiles, of which the even are correct, the later the surer."""
    samples = tiles(np.repeat(np.arange(8), 10))
    index = np.arange(80)
    return grid(samples, index / 80, index % 2 == 0, 16, twice=twice)


def test_mosaics_are_four_whole_tiles_in_the_type_of_the_input(drawn, twice):
    samples, truth = drawn
    assert samples.x.shape == (16, 2 * HEIGHT, 2 * WIDTH, 2) and samples.x.dtype == np.uint8
    assert truth.shape == ((16, 2, 4, 6) if twice else (16, 4, 6)) and truth.dtype == bool
    _, tile = cells(samples.x)
    assert samples.names.tolist() == ["+".join(f"tile{index}" for index in row) for row in tile]


def test_the_truth_covers_the_cells_of_the_explained_class(drawn, twice):
    samples, truth = drawn
    covered = truth.any(axis=1) if twice else truth
    assert np.array_equal(covered, samples.x[..., 0] == samples.y[:, None, None])
    assert np.all(truth.mean(axis=(-2, -1)) == 1 / 4)
    assert np.all(covered.mean(axis=(-2, -1)) == (1 / 2 if twice else 1 / 4))


def test_the_other_classes_stand_there_once(drawn, twice):
    samples, _ = drawn
    for label, row in zip(samples.y, cells(samples.x)[0]):
        others = row[row != label].tolist()
        assert len(others) == len(set(others)) == (2 if twice else 3)


def test_every_class_is_explained_equally_often(drawn):
    samples, _ = drawn
    assert np.bincount(samples.y).tolist() == [2] * 8


def test_only_correct_tiles_are_used(drawn):
    samples, _ = drawn
    assert np.all(cells(samples.x)[1] % 2 == 0)


def test_the_surest_tiles_of_the_explained_class_come_first(drawn, twice):
    samples, _ = drawn
    classes, tile = cells(samples.x)
    # Class 3 has the tiles 30 to 39, of which 38 is the surest correct one.
    first, second = (sorted(tile[m][classes[m] == 3]) for m in np.flatnonzero(samples.y == 3))
    assert (first, second) == (([36, 38], [32, 34]) if twice else ([38], [36]))


def test_with_two_instances_the_first_mask_is_of_the_surer():
    samples, truth = grid(
        tiles(np.repeat(np.arange(3), 10)), np.arange(30), np.ones(30, bool), 9, twice=True
    )
    for mosaic, masks in zip(samples.x, truth):
        surer, other = (np.unique(mosaic[mask][:, 1]) for mask in masks)
        assert len(surer) == len(other) == 1 and surer > other


def test_no_tile_stands_in_two_mosaics_while_there_are_others(drawn, twice):
    """Of each class twenty are correct; sixteen mosaics need sixty-four tiles of eight classes."""
    samples = tiles(np.repeat(np.arange(8), 20))
    index = np.arange(160)
    every, _ = grid(samples, index / 160, np.ones(160, bool), 16, twice=twice)
    used = cells(every.x)[1].ravel()
    assert len(set(used)) == len(used) == 64


def test_the_explained_tile_is_that_of_the_truth(drawn, twice):
    samples, truth = drawn
    every = truth if twice else truth[:, np.newaxis]
    for names, mosaic, masks in zip(explained_tiles(samples.names, truth), samples.x, every):
        of_masks = [np.unique(mosaic[mask][:, 1]) for mask in masks]
        assert [[name] for name in names] == [[f"tile{index}" for index in own] for own in of_masks]


def test_mosaics_are_linked_by_an_image_that_they_share_and_by_one_between_them():
    labels = linked(np.array([["a", "b"], ["c", "d"], ["b", "e"], ["e", "f"], ["d", "d"], ["g", "h"]]))
    assert labels[0] == labels[2] == labels[3] and labels[1] == labels[4]
    assert len(set(labels)) == 3
    alone = linked(np.array([["a"], ["b"], ["a"]]))
    assert alone[0] == alone[2] != alone[1]


def test_places_and_other_classes_vary(drawn):
    samples, truth = drawn
    assert len(np.unique(truth.reshape(16, -1), axis=0)) > 3
    assert np.unique(cells(samples.x)[0]).tolist() == list(range(8))


def test_the_same_seed_gives_the_same_mosaics_and_another_seed_others(twice):
    samples = tiles(np.repeat(np.arange(5), 6))
    settings = samples, np.linspace(0, 1, 30), np.ones(30, bool), 10
    (first, truth), (again, same), (other, _) = (
        grid(*settings, twice=twice, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.x, again.x) and np.array_equal(truth, same)
    assert not np.array_equal(first.x, other.x)


def test_tiles_come_again_only_when_all_were_used():
    samples, _ = grid(tiles(np.repeat(np.arange(4), 3)), np.zeros(12), np.ones(12, bool), 16)
    classes, tile = cells(samples.x)
    explained = tile[classes == samples.y[:, None]].reshape(4, 4)
    assert explained.T.tolist() == [[0, 1, 2, 0], [3, 4, 5, 3], [6, 7, 8, 6], [9, 10, 11, 9]]


def test_two_instances_are_different_tiles_even_when_tiles_come_again():
    samples, _ = grid(tiles(np.repeat(np.arange(3), 3)), np.zeros(9), np.ones(9, bool), 12, twice=True)
    for label, classes, tile in zip(samples.y, *cells(samples.x)):
        assert len(set(tile[classes == label])) == 2


def test_classes_without_enough_correct_tiles_are_left_out(twice):
    samples = tiles(np.repeat(np.arange(6), 4))
    correct = np.ones(24, bool)
    correct[4:8] = False
    correct[9:12] = False  # class 2 keeps one tile
    mosaics, _ = grid(samples, np.zeros(24), correct, 20, twice=twice)
    expected = [0, 3, 4, 5] if twice else [0, 2, 3, 4, 5]
    assert np.unique(mosaics.x[..., 0]).tolist() == expected
    labels, counts = np.unique(mosaics.y, return_counts=True)
    assert labels.tolist() == expected and np.all(counts == 20 // len(expected))


def test_too_few_classes_are_refused(twice):
    need, enough = ("3 classes", 3) if twice else ("4 classes", 4)
    for classes in (enough, enough - 1):
        samples = tiles(np.repeat(np.arange(classes), 2))
        settings = samples, np.zeros(len(samples)), np.ones(len(samples), bool), 4
        if classes == enough:
            assert len(grid(*settings, twice=twice)[0]) == 4
        else:
            with pytest.raises(ValueError, match=f"{need}.*there are {classes}"):
                grid(*settings, twice=twice)


def test_too_few_tiles_are_refused():
    samples = tiles(np.arange(8))
    with pytest.raises(ValueError, match="2 or more correctly classified tiles"):
        grid(samples, np.zeros(8), np.ones(8, bool), 4, twice=True)

import numpy as np
import pytest

from xai_utils.data import generated_pictures, synthetic_tissue
from xai_utils.data.boxed import Boxed


def boxed(*boxes, size=4):
    """One image with boxes of class 1, and one of class 0."""
    every = np.array([*boxes, (0, 0, size, size)], float)
    labels = np.array([1] * len(boxes) + [0])
    images = np.zeros((1, size, size, 3), np.uint8)
    return Boxed(images, np.array(["one"]), (every,), (labels,), ("a", "b", "c"), "local")


def test_which_classes_stand_in_an_image():
    assert boxed((0, 0, 2, 2)).present().tolist() == [[True, True, False]]


def test_a_pixel_belongs_to_a_box_if_its_middle_does():
    [first, second] = boxed((1, 0, 3, 2), (0.4, 2.6, 1.6, 4)).instances(0, 1)
    assert first.tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert second.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize("box, at", [((1.6, 2.1, 1.7, 2.2), (2, 1)), ((3.8, 3.9, 4, 4), (3, 3))])
def test_a_box_thinner_than_a_pixel_has_the_pixel_of_its_own(box, at):
    [mask] = boxed(box).instances(0, 1)
    assert mask.sum() == 1 and mask[at]


def test_generated_pictures_are_the_same_however_many_and_their_boxes_show_their_classes():
    few, many = generated_pictures.load(5), generated_pictures.load(12)
    assert np.array_equal(few.images, many.images[:5])
    assert all(map(np.array_equal, few.boxes, many.boxes)) and all(
        map(np.array_equal, few.labels, many.labels)
    )
    assert not np.array_equal(few.images, generated_pictures.load(5, seed=1).images)
    for place in range(12):
        masks = [mask for label in range(8) for mask in many.instances(place, label)]
        assert np.sum(masks, axis=0).max() == 1, "no two boxes overlap"
        number = (len(masks), len(np.unique(many.labels[place])))
        assert number == [(2, 2), (2, 1), (1, 1)][place % 3]
    assert not many.present()[:, synthetic_tissue.CLASSES.index("08_EMPTY")].any()


def test_what_is_in_a_box_is_darker_than_the_ground_around_it():
    data = generated_pictures.load(9)
    for place in range(9):
        inside = np.any([m for label in range(7) for m in data.instances(place, label)], axis=0)
        grey = data.images[place].mean(axis=-1)
        assert grey[inside].mean() < grey[~inside].mean() - 10

"""The sets of pictures, on those that are generated where there are no photographs."""

import json

import numpy as np
import pytest

from xai_utils.data import generated_pictures, voc
from xai_utils.models import score_model
from xai_utils.networks import linear_head
from xai_utils.networks.pretrained import identifiers
from xai_utils.study import pictures, plan


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """The quick profile, without photographs, in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAI_OUTPUT", str(tmp_path_factory.mktemp("output")))
        patch.setenv("XAI_VOC_DIR", "synthetic")
        patch.delenv("XAI_PHOTOS", raising=False)
        for function in vars(pictures).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
        yield "quick"


def test_every_image_is_explained_for_every_class_in_it(profile):
    data, own = pictures.boxed(profile), pictures.voc_pairs(profile)
    assert data.source == pictures.GENERATED and len(data) == 30
    assert len(own) == sum(len(np.unique(labels)) for labels in data.labels)
    images = pictures.image_of(own.samples.names)
    for name, label, truth in zip(own.samples.names, own.samples.y, own.truth):
        assert name == f"{images[name]} {data.classes[label]}"
        place = data.names.tolist().index(images[name])
        assert np.array_equal(truth, data.instances(place, label).any(axis=0))


def test_an_image_is_asked_of_the_head_that_did_not_see_it(profile):
    data, own = pictures.boxed(profile), pictures.voc_pairs(profile)
    model, fold, logits, told = pictures.voc_network(profile)
    classes = len(data.classes)
    assert model.output_shape == (None, 5 * classes) and sorted(set(fold)) == [0, 1, 2, 3, 4]
    images = [
        data.names.tolist().index(image) for image in pictures.image_of(own.samples.names).values()
    ]
    assert np.array_equal(own.target // classes, fold[images])
    assert np.array_equal(own.target % classes, own.samples.y)
    heads = model(pictures.voc_pairs(profile).samples.x[:1])[0]
    own_logit = logits[images[0], own.samples.y[0]]
    np.testing.assert_allclose(heads[own.target[0]], 1 / (1 + np.exp(-own_logit)), atol=1e-5)
    assert 0.5 < told["map"] <= 1 and 0.5 < told["top1"] <= 1  # of eight classes, at 1.3 an image
    x = own.samples.x[:3]
    np.testing.assert_allclose(score_model(model, "probability")(x), model(x), atol=1e-5)


def test_where_training_images_are_at_hand_one_head_is_fitted_on_them_once(profile, monkeypatch):
    loaded = []

    def load(path, part):
        loaded.append(part)
        return generated_pictures.load(20, seed=5)

    monkeypatch.setattr(pictures, "_place_of_voc", lambda _: ("a folder", "local"))
    for name, stand_in in {
        "parts": lambda _: ["trainval"],
        "state": lambda *_: "so",
        "load": load,
    }.items():
        monkeypatch.setattr(voc, name, stand_in)
    data = pictures.boxed(profile)
    body = linear_head.body_of(pictures.network(data.source))
    given = profile, body, pictures._features(body, data), data.present()
    kernel, bias, fold = pictures._head(*given)
    assert kernel.shape[1] == len(bias) == len(data.classes) and set(fold) == {-1}
    assert np.array_equal(pictures._head(*given)[0], kernel) and loaded == ["trainval"]
    own = linear_head.quality(given[2] @ kernel + bias, given[3])
    assert own["map"] > 0.5, "of pictures that the head did not see"


def test_the_sets_of_some_images_have_one_pair_each(profile):
    for function, number in ((pictures.voc_some, 4), (pictures.voc_few, 2), (pictures.voc_steps, 4)):
        own = function(profile)
        images = pictures.image_of(own.samples.names)
        assert len(own) == number == len(set(images.values()))
        assert set(own.samples.names) <= set(pictures.voc_pairs(profile).samples.names)


def test_several_instances_are_those_of_one_class_that_is_found(profile):
    own = pictures.voc_several(profile)
    boxes = pictures.instances_of(profile, own)
    assert 5 < len(own) <= 10 and all(len(instances) > 1 for instances in boxes)  # a third of thirty
    assert (own.model(own.samples.x).numpy()[np.arange(len(own)), own.target] > 0.5).all()
    assert all(np.array_equal(b.any(axis=0), truth) for b, truth in zip(boxes, own.truth))


def test_a_photograph_is_explained_for_the_predicted_class_and_the_bears_for_the_second_too(profile):
    answers, every = pictures.photograph_answers()
    own = pictures.photographs_every(profile)
    assert np.array_equal(own.target, answers[:8].argmax(axis=1))
    own = pictures.bears(profile)  # here the first ones
    first, second = own.target[::2], own.target[1::2]
    assert np.array_equal(first, answers[:4].argmax(axis=1)) and (first != second).all()
    rest = answers[:4].copy()
    np.put_along_axis(rest, first[:, np.newaxis], -1, axis=1)
    assert np.array_equal(second, rest.argmax(axis=1))
    assert np.array_equal(own.samples.x[::2], own.samples.x[1::2])
    assert pictures.photograph_names(own).tolist() == np.repeat(every.names[:4], 2).tolist()
    few = pictures.photographs_few(profile)
    assert few.samples.names.tolist() == own.samples.names[:2].tolist()


def test_the_black_bear_comes_first_where_there_are_bears(profile, monkeypatch):
    names = np.array(["n02132136_brown_bear", "n02115641_dingo", "n02133161_American_black_bear"])
    answers, every = pictures.photograph_answers()
    some = every.take(slice(0, 3))
    found = answers[:3], type(some)(some.x, some.y, names)
    monkeypatch.setattr(pictures, "photograph_answers", lambda: found)
    assert pictures._bears_first().tolist() == [2, 0, 1]


def test_whole_numbers_are_those_that_were_read(profile):
    own, data = pictures.voc_some(profile), pictures.boxed(profile)
    assert np.array_equal(pictures.whole_numbers(own.samples).x, data.images[:4])


def test_the_bears_are_classes_of_imagenet():
    assert [identifiers().index(bear) for bear in pictures.BEARS] == [295, 294, 296, 297]


def test_the_images_are_those_that_the_run_was_started_with(output, monkeypatch):
    (output / "results/quick").mkdir(parents=True)
    about = {"path": "somewhere", "source": "local"}
    (output / "results/quick/voc.json").write_text(json.dumps(about))
    monkeypatch.setattr(voc, "load", lambda path, limit: (path, limit))
    pictures.boxed.cache_clear()
    assert pictures.boxed("quick") == ("somewhere", 30)
    pictures.boxed.cache_clear()


def test_every_method_stands_in_one_set_of_voc():
    sets = [plan.WORK[name].methods for name in ("voc", "voc_some", "voc_few")]
    every = [name for methods in sets for name in methods]
    assert sorted(every) == sorted(plan.TILE_METHODS)

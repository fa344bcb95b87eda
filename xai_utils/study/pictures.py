"""Photographs of single objects, and images of VOC with boxes: what is explained, and by which network.

Where there are none on this machine, pictures made of synthetic tissue stand in, and its VGG-7 for the
network that others trained on ImageNet.
"""

import functools
import json

import numpy as np

from xai_utils.data import Samples, generated_pictures, photographs, unit_range, voc
from xai_utils.metrics.faithfulness import blurred
from xai_utils.models import batches, fingerprint
from xai_utils.networks import linear_head
from xai_utils.networks.pretrained import class_names, identifiers, pretrained
from xai_utils.run.files import results, whole, write
from xai_utils.run.store import TRAININGS, described, digest
from xai_utils.study.maps import predictions
from xai_utils.study.samples import SampleSet, count, options_of, synthetic_network

NETWORK = "mobilenet_v2"
GENERATED = "generated"  # the source of pictures that stand in
# The class of the second source first, then the other bears.
BEARS = ("n02133161", "n02132136", "n02134084", "n02134418")
STAND_INS = 60  # pictures at most in the place of photographs
AT_ONCE = 300  # images
FILLS = {"black": 0.0, "blur": blurred}


@functools.cache
def network(source):
    """The network of photographs, or of what stands in for them."""
    return synthetic_network() if source == GENERATED else pretrained(NETWORK)


@functools.cache
def boxed(profile):
    """The first images of VOC that the profile asks for: those that the run was started with, or the
    user's where there is no run."""
    path, source = _place_of_voc(profile)
    number = count(profile, "voc")
    if source == GENERATED:
        return generated_pictures.load(min(number, STAND_INS))
    return voc.load(path, limit=number)


def what_is_wrong(profile):
    """What is known to be wrong with the copy of VOC in use; "" if nothing is."""
    path, source = _place_of_voc(profile)
    return "" if source == GENERATED else voc.spoiled(path)


def _place_of_voc(profile):
    found = results(profile) / "voc.json"
    return json.loads(found.read_text()).values() if found.exists() else voc.find()


@functools.cache
def voc_network(profile):
    """The network of the images with a linear head for several labels, the fold of each image, the
    logits of all classes ``(n, classes)``, each by the head that did not see the image, and how well
    these tell the classes.

    Fitted on ``trainval`` where that is at hand, and then in fold -1; else on four fifths of the images
    themselves, in turn.
    """
    own = boxed(profile)
    body = linear_head.body_of(network(own.source))
    features, present = _features(body, own), own.present()
    kernel, bias, fold = _head(profile, body, features, present)
    classes = present.shape[1]
    columns = np.maximum(fold, 0)[:, np.newaxis] * classes + np.arange(classes)
    logits = np.take_along_axis(features @ kernel + bias, columns, axis=1)
    told = linear_head.quality(logits, present)
    return linear_head.with_head(body, kernel, bias), fold, logits, told


def _features(body, data):
    """The averaged features of images, ``(n, d)``; as floats a few of them at a time are in memory."""
    found = [
        predictions(
            body,
            Samples(
                unit_range(data.images[part]), np.zeros(len(data.names[part]), int), data.names[part]
            ),
        )
        for part in batches(len(data), AT_ONCE)
    ]
    return np.concatenate(found)


def _head(profile, body, features, present):
    """The kernel and the bias of the heads, fitted once, and the fold of each image."""
    path, source = _place_of_voc(profile)
    is_given = source != GENERATED and "trainval" in voc.parts(path)
    fold = np.full(len(features), -1) if is_given else np.arange(len(features)) % linear_head.FOLDS
    data = voc.state(path, "trainval") if is_given else (features, present)
    about, folder = described(
        TRAININGS, "voc_head", {linear_head.fit: ()}, network=fingerprint(body), data=digest(data)
    )
    file = folder / "head.npz"
    if not file.exists():
        if is_given:
            train = voc.load(path, "trainval")
            features, present = _features(body, train), train.present()
        own = np.full(len(features), -1) if is_given else fold
        kernel, bias = linear_head.fit(features, present, own)
        write(folder / "about.json", json.dumps(about, indent=1))
        with whole(file) as partial:
            np.savez(partial, kernel=kernel, bias=bias)
    with np.load(file) as kept:
        return kept["kernel"], kept["bias"], fold


@functools.cache
def _pairs(profile):
    """Every image with every class that stands in it: places and labels, each ``(n,)``."""
    return np.nonzero(boxed(profile).present())


def _set(profile, chosen):
    """The pairs of an image and a class at ``chosen``; the truth is the union of the class's boxes."""
    data, (model, fold, *_) = boxed(profile), voc_network(profile)
    places, labels = (part[chosen] for part in _pairs(profile))
    names = [f"{data.names[i]} {data.classes[label]}" for i, label in zip(places, labels)]
    images = unit_range(data.images[places])
    truth = [data.instances(i, label).any(axis=0) for i, label in zip(places, labels)]
    target = linear_head.own_outputs(fold[places], labels, len(data.classes))
    samples = Samples(images, labels, np.array(names))
    own_options = options_of(profile, "pictures")
    return SampleSet("pictures", model, samples, target, own_options, FILLS, np.array(truth))


def image_of(names):
    """``{pair: image}`` by the names of pairs: pairs of one image are not independent."""
    return {name: name.rsplit(" ", 1)[0] for name in names}


@functools.cache
def voc_pairs(profile):
    """Every image with every class that stands in it."""
    return _set(profile, slice(None))


def _of_first_images(profile, name):
    """Each of the first images with the first class that stands in it, as many as the profile asks for."""
    _, first = np.unique(_pairs(profile)[0], return_index=True)
    return first[: count(profile, name)]


@functools.cache
def voc_some(profile):
    """One pair of each of the first images: what takes many passes is asked of these."""
    return _set(profile, _of_first_images(profile, "voc_some"))


@functools.cache
def voc_few(profile):
    """The same of fewer images: what takes hundreds of passes is asked of these."""
    return _set(profile, _of_first_images(profile, "voc_few"))


@functools.cache
def voc_steps(profile):
    """The same: on these a published implementation is taken apart."""
    return _set(profile, _of_first_images(profile, "voc_steps"))


@functools.cache
def voc_several(profile):
    """The pairs whose class stands there more than once and is found: its logit is above 0.

    What a network does not see it cannot lose, and the share of a tiny probability is any number.
    """
    return _set(profile, _several(profile))


def _several(profile):
    data, (places, labels) = boxed(profile), _pairs(profile)
    number = [np.sum(data.labels[i] == label) for i, label in zip(places, labels)]
    is_found = voc_network(profile)[2][places, labels] > 0
    return np.flatnonzero((np.array(number) > 1) & is_found)


def instances_of(profile, own):
    """The boxes of each pair of a set, masks ``(k, *space)``."""
    data = boxed(profile)
    place_of = {name: place for place, name in enumerate(data.names)}
    images = image_of(own.samples.names)
    return [
        data.instances(place_of[images[name]], label)
        for name, label in zip(own.samples.names, own.samples.y)
    ]


@functools.cache
def _shown():
    """The photographs, where they come from and the names of the classes."""
    path, source = photographs.find()
    if source == GENERATED:
        data = generated_pictures.load(STAND_INS)
        first = np.array([labels[0] for labels in data.labels])
        return Samples(unit_range(data.images), first, data.names), source, data.classes
    data = photographs.load(path, identifiers())
    return Samples(unit_range(data.x), data.y, data.names), source, class_names()


def photograph_source():
    return _shown()[1]


def photograph_classes():
    return _shown()[2]


@functools.cache
def photograph_answers():
    """What the network says of the photographs, and the photographs."""
    samples, source, _ = _shown()
    return predictions(network(source), samples), samples


def _ranked(profile, places, classes):
    """The photographs at ``places``, each for as many classes as are asked for, the most probable first."""
    answers, every = photograph_answers()
    target = np.argsort(-answers, axis=1, kind="stable")[places, :classes].ravel()
    several = every.take(np.repeat(places, classes))
    names = np.array([f"{name} {rank + 1}" for name in every.names[places] for rank in range(classes)])
    samples = Samples(several.x, several.y, names)
    own_options = options_of(profile, "pictures")
    return SampleSet("pictures", network(photograph_source()), samples, target, own_options, FILLS)


@functools.cache
def photographs_every(profile):
    """The first photographs, in the standard profile all, for the predicted class."""
    every = photograph_answers()[1]
    return _ranked(profile, np.arange(min(len(every), count(profile, "photographs"))), 1)


def _bears_first():
    """The places of the photographs, the black bear of the second source first, then the other bears."""
    names = photograph_answers()[1].names
    found = [place for bear in BEARS for place, name in enumerate(names) if name.startswith(bear)]
    return np.array([*found, *(place for place in range(len(names)) if place not in found)])


@functools.cache
def bears(profile):
    """The bears, or, where there are none, the first photographs, for the first and the second class."""
    return _ranked(profile, _bears_first()[: len(BEARS)], 2)


@functools.cache
def photographs_few(profile):
    """The same, as many as the profile asks for: all methods are asked of these."""
    return _ranked(profile, _bears_first()[: count(profile, "photographs_few")], 2)


def photograph_names(own):
    """The photographs of a set, ``(n,)``, each of which may stand there for two classes."""
    return np.array([name.rsplit(" ", 1)[0] for name in own.samples.names])


def whole_numbers(samples):
    """The samples with images of whole numbers, as they were read."""
    return Samples(np.round(255 * samples.x).astype(np.uint8), samples.y, samples.names)


def train_pictures(profile):
    """Get the networks of others, and fit the head."""
    voc_network(profile)
    photograph_answers()

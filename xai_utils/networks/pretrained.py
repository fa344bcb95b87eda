"""Networks that others trained on ImageNet: those of ``keras.applications``, for images in [0, 1]."""

import contextlib
import csv
import difflib
import functools
import inspect
import os
import socket
import sys

import h5py
import keras

from xai_utils.networks.weights import WeightsError, load_weights
from xai_utils.run.files import REPOSITORY

SUFFIX = "_imagenet.weights.h5"


def pretrained(name):
    """A network of ``keras.applications`` with its ImageNet weights: images ``(n, height, width, 3)`` in
    [0, 1] to the probabilities ``(n, 1000)`` of :func:`class_names`.

    ``name`` is that of its constructor, whose capitals and underscores do not matter: ``"mobilenet_v2"``.
    The weights are those of :func:`weights_path`, by default Keras' own, which it downloads once into
    its cache. Raises ValueError for an unknown name, and :class:`WeightsError` for a file that does not
    fit, or where there is neither a file nor a connection.
    """
    constructor, path = _constructor(name), weights_path(name)
    network = _from_file(constructor, path) if path else _downloaded(constructor, f"{name}{SUFFIX}")
    return _for_unit_range(network, constructor)


def is_at_hand(name):
    """Whether ``XAI_PRETRAINED`` holds the weights of that network, so that no connection is needed.

    Keras' own cache does not count: its files are named by no rule. Raises as :func:`weights_path`.
    """
    return weights_path(name) is not None


def weights_path(name):
    """The file of the ImageNet weights of that network, ``mobilenet_v2_imagenet.weights.h5``, in the
    folder ``XAI_PRETRAINED``, a relative one from the root of the repository; None without either.

    Raises ValueError for an unknown name, and :class:`WeightsError` where the folder does not exist.
    """
    known, folder = _plain(_constructor(name).__name__), os.environ.get("XAI_PRETRAINED")
    if not folder:
        return None
    folder = REPOSITORY / folder
    if not folder.is_dir():
        raise WeightsError(f"There is no folder {folder}: correct XAI_PRETRAINED")
    files = sorted(folder.glob(f"*{SUFFIX}"))
    return next((path for path in files if _plain(path.name.removesuffix(SUFFIX)) == known), None)


def class_names():
    """The names of the 1000 classes, in the order of the probabilities; two of them stand twice."""
    return _classes()[1]


def identifiers():
    """The WordNet identifiers of the 1000 classes, ``n01440764``, in the order of the probabilities."""
    return _classes()[0]


@functools.cache
def _classes():
    with open(REPOSITORY / "data" / "imagenet_classes.csv", newline="") as file:
        return tuple(zip(*((row["identifier"], row["name"]) for row in csv.DictReader(file))))


def _constructor(name):
    """The function of ``keras.applications`` that makes the network of that name."""
    known = {
        _plain(constructor.__name__): constructor
        for constructor in vars(keras.applications).values()
        if inspect.isfunction(constructor)
    }
    if _plain(name) not in known:
        near = difflib.get_close_matches(_plain(name), known) or known
        choice = ", ".join(known[one].__name__ for one in near)
        raise ValueError(f"keras.applications has no network {name!r}: choose one of {choice}")
    return known[_plain(name)]


def _plain(name):
    return name.replace("_", "").lower()


def _for_unit_range(network, constructor):
    """The network behind what makes of images in [0, 1] the input that it was trained on."""
    # Where a network preprocesses its input itself, this function of its module changes nothing.
    preprocess = sys.modules[constructor.__module__].preprocess_input
    images = keras.Input(network.input_shape[1:])
    return keras.Model(images, network(preprocess(255 * images)), name=constructor.__name__)


def _from_file(constructor, path):
    """The network with the weights of a file that fits it as it is without Keras' own weights."""
    network = load_weights(constructor(weights=None), path)
    # With its own weights Keras gives EfficientNetB0 to B7 one more layer, which scales and has no
    # weights: those of the longer network load into the shorter, and it computes something else.
    with h5py.File(path) as file:
        stored = len(file.get("layers", network.layers))
    if stored != len(network.layers):
        raise WeightsError(
            f"{path} does not fit {network.name}: it is of {stored} layers, not {len(network.layers)}. "
            "Remove it, and Keras' own weights are downloaded"
        )
    return network


def _downloaded(constructor, file):
    """The network with Keras' own weights, from its cache or downloaded."""
    try:
        with _impatient():
            return constructor(weights="imagenet")
    except Exception as error:  # of no other class, where a download fails
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"The ImageNet weights of {constructor.__name__} are not at hand: set XAI_PRETRAINED to a "
            f"folder that holds {file}, or connect to the internet ({reason})"
        ) from error


@contextlib.contextmanager
def _impatient(seconds=10):
    """Connections opened meanwhile give up when nothing comes for that long.

    Keras sets no limit: behind a firewall that drops packets, each address would take two minutes.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

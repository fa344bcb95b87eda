import inspect
import os
import re
import socket
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from xai_utils.data import unit_range
from xai_utils.models import feature_model, predict, score_model
from xai_utils.networks import pretrained as module
from xai_utils.networks.pretrained import class_names, identifiers, is_at_hand, pretrained, weights_path
from xai_utils.networks.weights import WeightsError

FILE = "mobilenet_v2_imagenet.weights.h5"
GET_FILE = "keras.src.utils.file_utils.get_file"
CONSTRUCTORS = [one for one in vars(keras.applications).values() if inspect.isfunction(one)]
FAMILIES = list({one.__module__: one for one in CONSTRUCTORS}.values())


@pytest.fixture(scope="module")
def network():
    """MobileNetV2 with random weights, as Keras makes it."""
    keras.utils.set_random_seed(0)
    return keras.applications.MobileNetV2(weights=None)


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    """A folder that holds these weights."""
    folder = tmp_path_factory.mktemp("pretrained")
    network.save_weights(folder / FILE)
    return folder


@pytest.fixture
def at_hand(folder, monkeypatch):
    monkeypatch.setenv("XAI_PRETRAINED", str(folder))


@pytest.fixture
def offline(monkeypatch):
    """No weights in XAI_PRETRAINED, none in Keras' cache, and no connection."""

    def get_file(name, address, **options):
        raise Exception(f"URL fetch failure on {address}: None -- no network")  # as Keras does

    monkeypatch.delenv("XAI_PRETRAINED", raising=False)
    monkeypatch.setattr(GET_FILE, get_file)


def some_images(count=2, size=224):
    return np.random.default_rng(0).random((count, size, size, 3), np.float32)


def expected_input(constructor, images):
    """What the network expects of images in [0, 1], by Keras' own function for arrays."""
    return sys.modules[constructor.__module__].preprocess_input(images * 255)


def only_prepared(constructor):
    """What a network would get, as the output of the model."""
    inputs = keras.Input((8, 8, 3))
    return module._for_unit_range(keras.Model(inputs, keras.layers.Identity()(inputs)), constructor)


def test_the_weights_in_the_folder_are_loaded_and_the_images_prepared(network, at_hand):
    images = some_images()
    model = pretrained("mobilenet_v2")
    assert model.name == "MobileNetV2" and model.input_shape == (None, 224, 224, 3)
    found = predict(model, images)
    assert found.shape == (2, 1000) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    expected = predict(network, expected_input(keras.applications.MobileNetV2, images))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_it_can_be_taken_apart(at_hand):
    model, images = pretrained("mobilenet_v2"), some_images()
    scores, features = feature_model(model)(images, training=False)
    assert features.shape == (2, 7, 7, 1280)
    np.testing.assert_allclose(tf.nn.softmax(scores), predict(model, images), rtol=1e-3)
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = score_model(model)(images, training=False)[:, 0]
    gradient = tape.gradient(score, images)
    assert gradient.dtype == tf.float32 and np.ptp(gradient, axis=(1, 2)).all()


@pytest.mark.parametrize("constructor", FAMILIES, ids=lambda one: one.__name__)
def test_images_are_prepared_as_by_keras(constructor, tmp_path):
    images = some_images(size=8)
    prepared = only_prepared(constructor)
    expected = expected_input(constructor, images)
    np.testing.assert_array_equal(prepared(images), expected)
    assert prepared(images).dtype == tf.float32
    prepared.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), expected)
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(prepared(images))
    black, white = (expected_input(constructor, np.full((1, 1, 1, 3), one)) for one in (0.0, 1.0))
    slope = np.broadcast_to(white - black, images.shape)
    np.testing.assert_allclose(tape.gradient(total, images), slope, rtol=1e-5)


def test_a_network_that_prepares_its_images_itself_gets_0_to_255():
    constructor = keras.applications.MobileNetV3Small
    network, images = constructor(weights=None, input_shape=(32, 32, 3)), some_images(size=32)
    assert [layer for layer in network.layers if isinstance(layer, keras.layers.Rescaling)]
    found = module._for_unit_range(network, constructor)(images, training=False)
    np.testing.assert_allclose(found, network(images * 255, training=False), rtol=1e-4)


@pytest.mark.parametrize("constructor", CONSTRUCTORS, ids=lambda one: one.__name__)
def test_a_constructor_is_known_by_its_name_however_written(constructor):
    name = constructor.__name__
    snake = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for written in (name, name.lower(), name.upper(), snake):
        assert module._constructor(written) is constructor


@pytest.mark.parametrize("name, near", [("mobile_net_v5", "MobileNetV2"), ("resnet51", "ResNet50")])
def test_an_unknown_name_is_refused_and_near_ones_listed(name, near):
    for function in (pretrained, is_at_hand, weights_path):
        with pytest.raises(ValueError, match=f"no network '{name}': choose one of .*{near}"):
            function(name)


def test_a_name_that_is_near_to_none_lists_all():
    with pytest.raises(ValueError, match="ConvNeXtBase.*DenseNet121.*Xception"):
        pretrained("preprocess_input")


def test_files_are_found_however_the_network_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("XAI_PRETRAINED", str(tmp_path))
    assert weights_path("vgg16") is None and not is_at_hand("vgg16")
    for name in ("vgg16", "ResNet50V2", "readme", "resnet50"):
        (tmp_path / f"{name}{module.SUFFIX}").touch()
    (tmp_path / "vgg19.weights.h5").touch()
    assert weights_path("VGG16") == tmp_path / "vgg16_imagenet.weights.h5"
    assert weights_path("resnet50_v2") == tmp_path / "ResNet50V2_imagenet.weights.h5"
    assert is_at_hand("ResNet50") and not is_at_hand("resnet101") and not is_at_hand("vgg19")


def test_a_relative_folder_starts_at_the_repository(monkeypatch):
    folder = module.REPOSITORY / "data" / "nothing"
    monkeypatch.setenv("XAI_PRETRAINED", "data/nothing")
    with pytest.raises(WeightsError, match=f"{re.escape(str(folder))}: correct XAI_PRETRAINED"):
        is_at_hand("vgg16")
    monkeypatch.delenv("XAI_PRETRAINED")
    assert weights_path("vgg16") is None


def test_a_file_that_does_not_fit_is_refused(monkeypatch, tmp_path, folder):
    monkeypatch.setenv("XAI_PRETRAINED", str(tmp_path))
    (tmp_path / "mobilenet_imagenet.weights.h5").symlink_to(folder / FILE)
    with pytest.raises(WeightsError, match="does not fit mobilenet_1.00_224 .4253864 parameters"):
        pretrained("mobilenet")


def test_a_file_of_the_longer_network_of_the_same_weights_is_refused(monkeypatch, tmp_path):
    """That of EfficientNetB0 with Keras' own weights has a layer more than without."""
    monkeypatch.setenv("XAI_PRETRAINED", "")
    path = tmp_path / "efficientnet_b0_imagenet.weights.h5"
    keras.applications.EfficientNetB0(weights=None).save_weights(path)
    monkeypatch.setattr(GET_FILE, lambda *_, **__: path)
    longer = pretrained("efficientnet_b0").get_layer("efficientnetb0")
    longer.save_weights(path)
    monkeypatch.setenv("XAI_PRETRAINED", str(tmp_path))
    with pytest.raises(WeightsError, match="does not fit efficientnetb0: it is of 241 layers, not 240"):
        pretrained("efficientnet_b0")


def test_without_a_file_and_offline_the_message_says_what_to_do(offline):
    with pytest.raises(WeightsError) as refused:
        pretrained("mobilenet_v2")
    message = str(refused.value)
    assert "\n" not in message and "weights of MobileNetV2 are not at hand" in message
    assert f"set XAI_PRETRAINED to a folder that holds {FILE}, or connect" in message
    assert not is_at_hand("mobilenet_v2")


def test_without_a_file_keras_downloads_and_does_not_wait_for_ever(network, folder, monkeypatch):
    monkeypatch.setenv("XAI_PRETRAINED", "")
    waits = []

    def get_file(name, address, **options):
        waits.append(socket.getdefaulttimeout())
        return folder / FILE

    monkeypatch.setattr(GET_FILE, get_file)
    model = pretrained("MobileNetV2")
    same = map(np.array_equal, model.get_weights(), network.get_weights())
    assert all(same) and waits == [10]
    assert socket.getdefaulttimeout() is None


def test_the_limit_on_waiting_is_taken_back_after_a_failure(offline):
    socket.setdefaulttimeout(77)
    try:
        with pytest.raises(WeightsError):
            pretrained("mobilenet_v2")
        assert socket.getdefaulttimeout() == 77
    finally:
        socket.setdefaulttimeout(None)


def test_an_error_of_the_network_without_words_is_named(monkeypatch):
    def get_file(name, address, **options):
        raise TimeoutError

    monkeypatch.delenv("XAI_PRETRAINED", raising=False)
    monkeypatch.setattr(GET_FILE, get_file)
    with pytest.raises(WeightsError, match=r"\(TimeoutError\)$"):
        pretrained("mobilenet_v2")


def test_the_classes_are_in_the_order_of_their_identifiers():
    assert len(class_names()) == len(identifiers()) == 1000
    assert list(identifiers()) == sorted(set(identifiers()))
    assert all(re.fullmatch("n[0-9]{8}", one) for one in identifiers())
    assert (identifiers()[295], class_names()[295]) == ("n02133161", "American black bear")
    assert not [name for name in class_names() if "_" in name or name != name.strip()]
    assert {name for name in class_names() if class_names().count(name) > 1} == {"crane", "maillot"}


def test_the_network_at_hand_knows_photographs():
    """Every eighth of the photographs of shared/photos: of 13 it names 10, and every other among five."""
    if not (os.environ.get("XAI_PRETRAINED") and os.environ.get("XAI_PHOTOS")):
        pytest.skip("needs XAI_PRETRAINED and XAI_PHOTOS")
    photographs = Path(module.REPOSITORY / os.environ["XAI_PHOTOS"]).rglob("n[0-9]*_*.JPEG")
    shown = sorted(photographs)[::8]
    labels = [identifiers().index(path.name.split("_")[0]) for path in shown]
    images = unit_range(np.stack([central_square(path) for path in shown]))
    found = predict(pretrained("mobilenet_v2"), images).argsort(axis=1)[:, ::-1]
    assert sum(found[:, 0] == labels) >= 9
    assert all(label in ranked[:5] for label, ranked in zip(labels, found))


def central_square(path):
    """The central 224 pixels of a photograph whose shorter side has 256."""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BILINEAR)
    left, top = [(side - 224) // 2 for side in image.size]
    return np.asarray(image.crop((left, top, left + 224, top + 224)))

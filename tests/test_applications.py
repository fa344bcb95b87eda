"""Every family of ``keras.applications``, with random weights and small inputs, by every method."""

import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from xai_utils import models
from xai_utils.attributions import explain, explain_by_all
from xai_utils.metrics.faithfulness import completeness_gap
from xai_utils.run.files import REPOSITORY

pytestmark = pytest.mark.slow

# Of each network: the layer that a person would choose, read off its graph, and the methods that it does
# not allow.
NO_CAM, NO_RELU = {"cam"}, {"guided_backprop", "guided_grad_cam"}
NETWORKS = {
    "VGG16": ("block5_conv3", NO_CAM),
    "ResNet50": ("conv5_block3_out", set()),
    "ResNet50V2": ("post_relu", set()),
    "InceptionV3": ("mixed10", set()),
    "Xception": ("block14_sepconv2_act", set()),
    "MobileNet": ("conv_pw_13_relu", NO_CAM),
    "MobileNetV2": ("out_relu", set()),
    "MobileNetV3Small": ("activation", NO_CAM),
    "DenseNet121": ("relu", set()),
    "EfficientNetB0": ("top_activation", NO_RELU),
    "EfficientNetV2B0": ("top_activation", NO_RELU),
    "ConvNeXtTiny": ("add", NO_CAM | NO_RELU),
    "NASNetMobile": ("activation", set()),
}
SIZES = {
    "InceptionV3": 112,
    "Xception": 80,
}  # pixels, the others take 64: small, and maps of some points


def stacks(version):
    """The residual blocks of a small ResNet, as deep at the end as those of the large one."""
    strides = {"v1": [1, 2, 2, 2], "v2": [2, 2, 2, 1]}[version]

    def made(x):
        module = sys.modules[keras.applications.ResNet50.__module__]
        stack = getattr(module, f"stack_residual_blocks_{version}")
        for place, (blocks, stride) in enumerate(zip([2, 2, 2, 3], strides)):
            x = stack(x, 8 * 2**place, blocks, stride1=stride, name=f"conv{place + 2}")
        return x

    return {"stack_fn": made, "use_bias": True, "preact": version == "v2"}


# The same families with fewer blocks, narrower or on smaller images: the function beside the network's
# that makes them.
# To build a graph of hundreds of layers for each method takes minutes.
SMALLER = {
    "InceptionV3": ("InceptionV3", {"input_shape": (75, 75, 3)}),
    "MobileNet": ("MobileNet", {"alpha": 0.25}),
    "MobileNetV2": ("MobileNetV2", {"alpha": 0.35}),
    "MobileNetV3Small": ("MobileNetV3Small", {"alpha": 0.75}),
    "ResNet50": ("ResNet", stacks("v1")),
    "ResNet50V2": ("ResNet", stacks("v2")),
    "DenseNet121": ("DenseNet", {"blocks": [1, 1, 1, 1]}),
    "EfficientNetB0": ("EfficientNet", {"width_coefficient": 0.3, "depth_coefficient": 0.1, "default_size": 64}),
    "EfficientNetV2B0": ("EfficientNetV2", {"width_coefficient": 0.3, "depth_coefficient": 0.1, "default_size": 64, "name": "efficientnetv2-b0"}),
    "ConvNeXtTiny": ("ConvNeXt", {"depths": [1, 1, 1, 1], "projection_dims": [8, 16, 32, 64]}),
    "NASNetMobile": ("NASNet", {"num_blocks": 1, "penultimate_filters": 96, "stem_block_filters": 8}),
}  # fmt: skip
# What takes a pass for each mask or step takes few.
FEW = {
    "smooth_grad": {"samples": 2},
    "integrated_gradients": {"steps": 4, "limit": 4},
    "integrated_grad_cam": {"steps": 2},
    "rise": {"masks": 10},
    "lime": {"samples": 20},
    "shap": {"samples": 90},
    "tf_explain_integrated_gradients": {"steps": 2},
}


def built(name, smaller=False):
    """A network with random weights for small images, and one of these."""
    size = SIZES.get(name, 64)
    keras.utils.set_random_seed(0)
    build, more = getattr(keras.applications, name), {}
    if smaller and name in SMALLER:
        other, more = SMALLER[name]
        module = keras.applications.ResNet50 if other == "ResNet" else build
        build = getattr(sys.modules[module.__module__], other)
    model = build(**{"weights": None, "input_shape": (size, size, 3), "classes": 7} | more)
    return model, np.random.default_rng(0).random((1, *model.input_shape[1:]), np.float32)


@pytest.fixture(scope="module", autouse=True)
def without_optimizing_graphs():
    """It takes longer than to compute such a graph once."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(params=NETWORKS, scope="module")
def network(request):
    return request.param, *built(request.param)


@pytest.fixture(params=NETWORKS, scope="module")
def smaller(request):
    return request.param, *built(request.param, smaller=True)


def default_layer(model):
    calls = models._calls(model, models._new_input(model))
    return re.sub(r"_\d+$", "", models._features(model, calls, None).layer.name)


def test_the_default_layer_is_the_one_that_a_person_would_choose(network):
    name, model, _ = network
    assert default_layer(model) == re.sub(r"_\d+$", "", NETWORKS[name][0])


def test_logits_come_before_the_softmax(network):
    _, model, x = network
    logits = models.score_model(model)(x, training=False)
    np.testing.assert_allclose(keras.ops.softmax(logits), model(x, training=False), atol=1e-6)
    assert not np.allclose(np.sum(logits, axis=1), 1)


def test_the_head_gives_the_scores_of_the_default_layer(network):
    _, model, x = network
    scores, features = models.feature_model(model)(x, training=False)
    assert features.shape[1] > 1
    head = models.head_model(model)(features, training=False)
    np.testing.assert_allclose(head, scores, atol=1e-4)


def test_every_method_gives_finite_maps_or_says_why_not(smaller):
    name, model, x = smaller
    maps, refused = explain_by_all(model, x, [0], FEW)
    assert set(refused) == NETWORKS[name][1]
    for reason in refused.values():
        assert re.search("class activation mapping is not defined|has no ReLU", reason)
    for method, own in maps.items():
        assert own.shape == x.shape[:-1] and np.isfinite(own).all(), method


def test_integrated_gradients_add_up(smaller):
    _, model, x = smaller
    maps = explain(model, x, [3], "integrated_gradients", tolerance=0.02, limit=400)
    assert completeness_gap(model, x, np.array([3]), maps) < 0.03


def test_the_readme_says_which_network_allows_which_method():
    readme = (REPOSITORY / "README.md").read_text()
    for name, (layer, refused) in NETWORKS.items():
        [row] = [line for line in readme.splitlines() if line.startswith(f"| {name} ")]
        _, shown, cam, guided = (cell.strip() for cell in row.split("|")[1:-1])
        assert shown == f"`{layer}`"
        assert (cam == "no") == ("cam" in refused) and (guided == "no") == (
            "guided_backprop" in refused
        )

import numpy as np

from tests.conftest import some_inputs
from xai_utils.models import feature_model
from xai_utils.networks.architectures import shallow_cnn, vgg7


def test_the_networks_have_the_parameters_of_the_course():
    assert shallow_cnn().count_params() == 13_960
    assert vgg7(normalize=False).count_params() == 66_088
    trained = vgg7().trainable_weights
    assert sum(np.prod(weight.shape) for weight in trained) == 66_088


def test_the_image_network_keeps_its_free_size():
    model, x = vgg7(normalize=False), some_inputs(2)
    _, features = feature_model(model, layer="max_pooling2d")(x)
    assert features.shape == (5, 8, 8, 32)

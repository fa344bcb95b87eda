import keras
import numpy as np
import pytest

from tests.conftest import some_inputs
from xai_utils.models import feature_model
from xai_utils.networks.architectures import folded, shallow_cnn, vgg7


def test_the_networks_have_the_parameters_of_the_course():
    assert shallow_cnn().count_params() == 13_960
    assert vgg7(average=1, normalize=False).count_params() == 66_088
    trained = vgg7().trainable_weights
    assert sum(np.prod(weight.shape) for weight in trained) == 66_088


def test_the_image_network_keeps_its_free_size():
    model, x = vgg7(average=1, normalize=False), some_inputs(2)
    _, features = feature_model(model, layer="max_pooling2d")(x)
    assert features.shape == (5, 8, 8, 32)


def test_our_network_sees_means_of_three_by_three_pixels():
    """Images that differ inside of these blocks only are the same to it."""
    blocks = np.random.default_rng(0).random((2, 5, 5, 3), np.float32)
    flat = blocks.repeat(3, axis=1).repeat(3, axis=2)
    within = np.tile([[1.0, -2, 1], [3, 0, -3], [-1, 2, -1]], (5, 5))[None, :, :, None]
    model = vgg7()
    said = model.predict(flat, verbose=0)
    np.testing.assert_allclose(model.predict(flat + 0.01 * within, verbose=0), said, atol=1e-5)
    assert np.abs(model.predict(flat[:, :, ::-1] ** 2, verbose=0) - said).max() > 1e-5


@pytest.mark.parametrize("options", [{}, {"average": 1}, {"average": 1, "normalize": False}])
def test_a_folded_network_computes_what_it_did_with_batch_normalization(options):
    rng = np.random.default_rng(0)
    x = rng.random((4, 24, 24, 3), np.float32)
    model = vgg7(batch_normalization=True, **options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    if options.get("normalize", True):
        model.get_layer("normalization").adapt(x)
    plain = folded(model, **options)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in plain.layers)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(plain.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-6)

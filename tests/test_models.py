import keras
import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils import models


def test_the_networks_have_the_parameters_of_the_course():
    assert models.shallow_cnn().count_params() == 13_960
    assert models.vgg7(normalize=False).count_params() == 66_088
    trained = models.vgg7().trainable_weights
    assert sum(np.prod(weight.shape) for weight in trained) == 66_088


@pytest.mark.parametrize("kind", ["functional", "sequential"])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_scores_are_those_of_the_model(dimensions, kind):
    model, x = small_network(dimensions, kind), some_inputs(dimensions)
    logits, features = models.score_model(model)(x)
    probabilities, _ = models.score_model(model, "probability")(x)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(keras.ops.softmax(logits).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(probabilities.numpy(), expected, atol=1e-6)
    assert features.shape == (*x.shape[:-1], 4)


def test_a_model_without_softmax_gives_logits_and_their_softmax():
    model, x = small_network(1, softmax=False), some_inputs(1)
    logits, _ = models.score_model(model)(x)
    probabilities, _ = models.score_model(model, "probability")(x)
    np.testing.assert_allclose(logits.numpy(), model.predict(x, verbose=0), atol=1e-6)
    np.testing.assert_allclose(probabilities.numpy().sum(axis=1), 1, atol=1e-6)


def test_features_are_those_of_the_named_layer():
    model, x = models.vgg7(normalize=False), some_inputs(2)
    _, features = models.score_model(model, layer="max_pooling2d")(x)
    assert features.shape == (5, 8, 8, 32)


def test_unknown_layers_and_scores_are_named():
    with pytest.raises(ValueError, match="no layer 'conv9'; it has .*conv"):
        models.score_model(small_network(1), layer="conv9")
    with pytest.raises(ValueError, match="'logit' or 'probability'"):
        models.score_model(small_network(1), score="softmax")


def test_another_last_layer_is_refused():
    inputs = keras.Input((40, 1))
    model = keras.Model(inputs, keras.layers.Conv1D(2, 3)(inputs))
    with pytest.raises(ValueError, match="logits cannot be read"):
        models.score_model(model)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_of_another_architecture_are_refused(tmp_path, suffix):
    path = tmp_path / f"other{suffix}"
    other = models.shallow_cnn(classes=7)
    other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
    with pytest.raises(models.WeightsError, match="does not fit shallow_cnn .13960 parameters"):
        models.load_weights(models.shallow_cnn(), path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "vgg7.weights.h5"
    models.vgg7().save_weights(path)
    with pytest.raises(models.WeightsError, match="Give a weight file of this architecture"):
        models.load_weights(models.shallow_cnn(), path)


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("no weights")
    with pytest.raises(models.WeightsError, match="does not fit"):
        models.load_weights(models.shallow_cnn(), path)
    with pytest.raises(models.WeightsError, match="no weight file"):
        models.load_weights(models.shallow_cnn(), tmp_path / "missing.h5")


def test_whole_models_in_the_old_format_load_as_weights(tmp_path):
    model, x = models.shallow_cnn(), some_inputs(1)
    model.save(tmp_path / "MNIST1D.h5")
    loaded = models.load_weights(models.shallow_cnn(), tmp_path / "MNIST1D.h5")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_without_the_course_folder_there_is_no_course_model(monkeypatch, tmp_path):
    monkeypatch.delenv("XAI_COURSE_MODELS", raising=False)
    assert models.course_model("HMT") is None
    monkeypatch.setenv("XAI_COURSE_MODELS", str(tmp_path))
    with pytest.raises(models.WeightsError, match="HMT.h5"):
        models.course_model("HMT")


@pytest.mark.parametrize("source", ["synthetic", "local", "zenodo"])
def test_the_shipped_weights_load(source):
    models.load_weights(models.vgg7(), models.shipped_weights(source))

import json

import numpy as np
import pytest

from tests.conftest import some_inputs
from xai_utils.networks.architectures import shallow_cnn, vgg7
from xai_utils.networks.weights import (
    WeightsError,
    course_model,
    load_weights,
    provenance_path,
    save,
)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_of_another_architecture_are_refused(tmp_path, suffix):
    path = tmp_path / f"other{suffix}"
    other = shallow_cnn(classes=7)
    other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
    with pytest.raises(WeightsError, match="does not fit shallow_cnn .13960 parameters"):
        load_weights(shallow_cnn(), path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "vgg7.weights.h5"
    vgg7().save_weights(path)
    with pytest.raises(WeightsError, match="Give a weight file of this architecture"):
        load_weights(shallow_cnn(), path)


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("no weights")
    with pytest.raises(WeightsError, match="does not fit"):
        load_weights(shallow_cnn(), path)
    with pytest.raises(WeightsError, match="no weight file"):
        load_weights(shallow_cnn(), tmp_path / "missing.h5")


def test_whole_models_in_the_old_format_load_as_weights(tmp_path):
    model, x = shallow_cnn(), some_inputs(1)
    model.save(tmp_path / "MNIST1D.h5")
    loaded = load_weights(shallow_cnn(), tmp_path / "MNIST1D.h5")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_without_the_course_folder_there_is_no_course_model(monkeypatch, tmp_path):
    monkeypatch.delenv("XAI_COURSE_MODELS", raising=False)
    assert course_model("HMT") is None
    monkeypatch.setenv("XAI_COURSE_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match="HMT.h5"):
        course_model("HMT")


def test_saved_weights_say_how_they_were_made(tmp_path):
    model = shallow_cnn()
    path = tmp_path / "shallow_cnn.weights.h5"
    save(model, path, seed=4, epochs=0)
    assert provenance_path(path) == tmp_path / "shallow_cnn.json"
    made = json.loads((tmp_path / "shallow_cnn.json").read_text())
    assert (made["seed"], made["parameters"]) == (4, 13_960)
    loaded = load_weights(shallow_cnn(), path)
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "shallow_cnn.json",
        "shallow_cnn.weights.h5",
    ]

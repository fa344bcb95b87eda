"""Weight files and whole networks that cannot be used, or hold code."""

import io
import json
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tests.campaign import hostile
from tests.conftest import small_network, some_inputs
from xai_utils.networks.architectures import shallow_cnn
from xai_utils.networks.given import load_network
from xai_utils.networks.weights import WeightsError, load_weights
from xai_utils.run.errors import advice

pytestmark = pytest.mark.campaign(
    "Bad input refused in one line, with nothing executed and nothing half-written"
)


class Touches:
    """Makes the canary when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def refused(function, *arguments):
    with pytest.raises(WeightsError) as raised:
        function(*arguments)
    said = advice(raised.value)
    assert said and "\n" not in said
    return said


@pytest.fixture(scope="module")
def weights():
    """The bytes of a weight file of the 1-D CNN."""
    path = io.BytesIO()
    network = shallow_cnn()
    with h5py.File(path, "w") as file:
        for place, values in enumerate(network.get_weights()):
            file[str(place)] = values
    return path.getvalue()


def saved(tmp_path, suffix=".weights.h5"):
    path = tmp_path / f"network{suffix}"
    shallow_cnn().save_weights(path)
    return path


def edited(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def first_dataset(file):
    found = []
    file.visititems(lambda name, one: found.append(name) if isinstance(one, h5py.Dataset) else None)
    return found[0]


def external_link(file):
    name = first_dataset(file)
    del file[name]
    file[name] = h5py.ExternalLink("/etc/passwd", "/")


def loop_of_links(file):
    name = first_dataset(file)
    del file[name]
    file[name] = h5py.SoftLink(f"/{name}")


def virtual(file):
    name = first_dataset(file)
    shape = file[name].shape
    del file[name]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape)
    file.create_virtual_dataset(name, layout)


def external_storage(file):
    name = first_dataset(file)
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, int(4 * np.prod(shape)))])


def huge(file):
    name = first_dataset(file)
    del file[name]
    file.create_dataset(name, (10**6, 10**6), "f4", chunks=(100, 100))


def of_texts(file):
    name = first_dataset(file)
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, h5py.string_dtype())


def lacking(file):
    del file[first_dataset(file)]


def empty(file):
    for name in list(file):
        del file[name]


@pytest.mark.parametrize(
    "edit", [external_link, loop_of_links, virtual, external_storage, huge, of_texts, lacking, empty]
)
def test_weights_that_are_not_those_of_the_network_are_refused(edit, tmp_path):
    refused(load_weights, shallow_cnn(), edited(saved(tmp_path), edit))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(value, tmp_path):
    def spoil(file):
        file[first_dataset(file)][...] = value

    assert "no finite numbers" in refused(load_weights, shallow_cnn(), edited(saved(tmp_path), spoil))


@pytest.mark.parametrize("seed", [0, 3, 6, 9, 12, 15])
def test_weights_that_were_cut_off_are_refused(seed, tmp_path):
    path = saved(tmp_path)
    path.write_bytes(hostile.damaged(path.read_bytes(), seed))
    refused(load_weights, shallow_cnn(), path)


CONTENTS = {
    "nothing": lambda canary: b"",
    "text": lambda canary: b"no weights",
    "a picture": lambda canary: hostile.picture(),
    "a pickle": lambda canary: pickle.dumps(Touches(canary)),
    "a zip archive": lambda canary: zip_of({"x": b"y"}),
    "a pickle in an archive": lambda canary: zip_of(
        {"model.weights.h5": pickle.dumps(Touches(canary))}
    ),
    "a head of HDF5": lambda canary: b"\x89HDF\r\n\x1a\n" + bytes(50),
}


def zip_of(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, own in members.items():
            archive.writestr(name, own)
    return content.getvalue()


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_what_is_no_file_of_weights_or_networks_is_refused(content, suffix, canary, tmp_path):
    path = tmp_path / f"given{suffix}"
    path.write_bytes(content(canary))
    refused(load_weights, shallow_cnn(), path)
    refused(load_network, path)


@pytest.mark.parametrize("kind", ["functional", "sequential", "nested"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_network_of_keras_is_loaded_and_computes_the_same(kind, suffix, tmp_path):
    network = small_network(2, kind)
    network.save(tmp_path / f"network{suffix}")
    loaded = load_network(tmp_path / f"network{suffix}")
    assert np.array_equal(
        loaded.predict_on_batch(some_inputs(2)), network.predict_on_batch(some_inputs(2))
    )


def with_code(canary):
    """A network with a layer that makes the canary when it is called."""

    def touch(x):
        open(canary, "w").close()
        return x

    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2)(layers.Lambda(touch, output_shape=(4,))(inputs)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_layer_of_code_is_refused_and_not_run(suffix, tmp_path):
    made = tmp_path / "made_here"  # Keras runs it where it is made, not where it is loaded
    with_code(made).save(tmp_path / f"network{suffix}")
    made.unlink(missing_ok=True)
    assert "Lambda" in refused(load_network, tmp_path / f"network{suffix}")
    assert not made.exists()


def rewritten(tmp_path, change, suffix=".keras"):
    """A saved network whose description was changed by hand."""
    path = tmp_path / f"network{suffix}"
    small_network(2, "sequential").save(path)
    if suffix == ".h5":
        with h5py.File(path, "r+") as file:
            description = json.loads(file.attrs["model_config"])
            change(description)
            file.attrs["model_config"] = json.dumps(description)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["config.json"])
    change(description)
    members["config.json"] = json.dumps(description).encode()
    path.write_bytes(zip_of(members))
    return path


CALLS = [
    ("os", "system"), ("subprocess", "Popen"), ("builtins.x", "exec"), ("posix", "system"), ("shutil", "rmtree"),
    ("keras.utils", "get_file"), ("keras.src.utils.file_utils", "extract_archive"), ("keras.saving", "load_model"),
    ("importlib", "import_module"), ("tests.conftest", "small_network"), ("keras_hub.models", "Backbone"),
    ("keras.layers", "Lambda"), ("keras.layers", "TFSMLayer"), ("keras.layers", "TorchModuleWrapper"),
    ("keras.layers", "JaxLayer"), ("keras.layers", "StringLookup"), ("keras.layersx", "Dense"), ("", "eval"),
    (["os"], "system"), ({"a": 1}, "system"), (7, "system"),
]  # fmt: skip


@pytest.mark.parametrize("module, name", CALLS, ids=str)
def test_a_description_that_names_anything_else_is_refused(module, name, canary, tmp_path):
    def change(description):
        layer = description["config"]["layers"][-1]
        layer |= {"module": module, "class_name": name, "config": {"command": f"touch {canary}"}}

    refused(load_network, rewritten(tmp_path, change))


@pytest.mark.parametrize(
    "name", ["Lambda", "TFOpLambda", "MyLayer", "Custom>Layer", "__lambda__", "function"]
)
def test_a_description_in_the_old_format_that_names_anything_else_is_refused(name, canary, tmp_path):
    def change(description):
        layer = description["config"]["layers"][-1]
        layer |= {"module": None, "class_name": name, "config": {"function": ["touch", str(canary)]}}
        layer.pop("registered_name", None)

    refused(load_network, rewritten(tmp_path, change, ".h5"))


@pytest.mark.parametrize("value", [None, [], "x", 0, {}, {"class_name": None}])
def test_a_description_of_no_network_is_refused(value, tmp_path):
    path = tmp_path / "network.keras"
    path.write_bytes(
        zip_of({"config.json": json.dumps(value), "metadata.json": "{}", "model.weights.h5": b""})
    )
    refused(load_network, path)


@pytest.mark.parametrize("name", ["../climbed", "/tmp/climbed", "a/../../climbed", "..\\climbed"])
def test_members_that_climb_out_are_refused(name, tmp_path):
    path = tmp_path / "deep" / "network.keras"
    path.parent.mkdir()
    path.write_bytes(zip_of({"config.json": "{}", name: b"x"}))
    assert "leads out of it" in refused(load_network, path)
    assert not list(tmp_path.rglob("climbed"))


def test_a_description_that_unpacks_to_more_than_a_network_needs_is_refused(tmp_path):
    path = tmp_path / "network.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 2**27)
    assert path.stat().st_size < 2**20
    assert "unpacks to more" in refused(load_network, path)


@pytest.mark.parametrize("edit", [external_link, virtual, external_storage])
def test_a_network_that_leads_to_data_elsewhere_is_refused(edit, tmp_path):
    path = tmp_path / "network.h5"
    small_network(2).save(path)
    assert "leads to data elsewhere" in refused(load_network, edited(path, edit))


def test_weights_without_a_network_are_told(tmp_path):
    assert "holds weights and no network" in refused(load_network, saved(tmp_path))

"""Whole networks that are given to us as files. Nothing that such a file holds is executed."""

import io
import json
import re
import zipfile
from pathlib import PurePosixPath

import h5py
import keras

from xai_utils.data import DataError
from xai_utils.data.pictures import check_file
from xai_utils.networks.weights import WeightsError

INSTEAD = "build the network in code, load its weights, and give explain() the model"
# The parts of Keras that a network is made of. Others download, unpack or run something.
OF_KERAS = re.compile(
    r"keras(\.(src\.)?(layers|models|initializers|regularizers|constraints|activations|ops|dtype_policies|applications\.convnext)(\..*)?)?"
)
# Layers of Keras that run code of the file, or read other files.
RUN_CODE = {
    "__lambda__", "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",
    "StringLookup", "IntegerLookup", "TextVectorization",
}  # fmt: skip
LARGEST = 2**26  # bytes of a description; that of the largest network of keras.applications has a 30th
MOST = 2**34  # bytes that a file may unpack to


def load_network(path):
    """The classifier in a ``.keras`` or ``.h5`` file.

    What the file says of its layers is read first, and refused where it is not of Keras alone: a file may name any
    function, and Keras does not guard against all of them. Raises :class:`WeightsError`.
    """
    try:
        description = _described(check_file(path))
        for part in _parts(description):
            _refuse_code(part, path)
        return keras.models.load_model(path, compile=False)
    except WeightsError:
        raise
    except DataError as error:
        raise WeightsError(str(error)) from error
    except Exception as error:  # Keras raises what it comes upon in a damaged file
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{path} holds no network that Keras can load ({said}): {INSTEAD}"
        ) from error


def _described(path):
    """What a file says of the network in it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                place = PurePosixPath(member.filename.replace("\\", "/"))
                if place.is_absolute() or ".." in place.parts:
                    raise WeightsError(
                        f"{path} holds {member.filename}, which leads out of it: {INSTEAD}"
                    )
            about = archive.getinfo("config.json")
            if about.file_size > LARGEST or sum(one.file_size for one in archive.infolist()) > MOST:
                raise WeightsError(f"{path} unpacks to more than a network needs: {INSTEAD}")
            for name in archive.namelist():
                if name.endswith(".h5"):
                    with archive.open(name) as weights, h5py.File(io.BytesIO(weights.read())) as file:
                        _refuse_links(file, path)
            return json.loads(archive.read("config.json"))
    with h5py.File(path) as file:
        _refuse_links(file, path)
        if "model_config" not in file.attrs:
            raise WeightsError(f"{path} holds weights and no network: {INSTEAD}")
        return json.loads(file.attrs["model_config"])


def _refuse_links(group, path):
    """Data of an HDF5 file that lie in another one are not asked for."""
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise WeightsError(f"{path} leads to data elsewhere ({name}): {INSTEAD}")
        found = group[name]
        if isinstance(found, h5py.Group):
            _refuse_links(found, path)
        elif found.external or found.is_virtual:
            raise WeightsError(f"{path} leads to data elsewhere ({name}): {INSTEAD}")


def _parts(description):
    """All dicts in a description, however deep."""
    waiting = [description]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
        waiting += list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else []


def _refuse_code(part, path):
    name, module = part.get("class_name"), part.get("module")
    known = (
        module is None
        or module == "builtins"
        or (isinstance(module, str) and OF_KERAS.fullmatch(module))
    )
    if not known or (isinstance(name, str) and name in RUN_CODE):
        what = f"{module}.{name}" if module else name
        raise WeightsError(f"{path} has {what} in it, which may run code of its own: {INSTEAD}")

"""Where weights come from: this project's, the course's, any file; and how ours are written."""

import json
import os
import platform
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from xai_utils.networks.architectures import shallow_cnn, vgg7
from xai_utils.run.errors import UsageError
from xai_utils.run.files import REPOSITORY, whole, write

WEIGHTS = REPOSITORY / "data" / "weights"


class WeightsError(UsageError):
    """A weight file that cannot be used; the message says why and what to do."""


def load_weights(model, path):
    """Load a weight file into ``model``, which is returned.

    Only weights are read, into an architecture defined here: a ``.h5`` file may hold code, and
    Keras does not guard against it. Raises :class:`WeightsError` for a file that is missing,
    is no weight file, belongs to another architecture, or holds what is no number.
    """
    if not Path(path).is_file():
        raise WeightsError(f"There is no weight file {path}")
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that the file lacks, and leaves them at random weights.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except Exception as error:  # Keras raises what it comes upon in a damaged file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{path} does not fit {model.name} ({model.count_params()} parameters): {reason} "
            "Give a weight file of this architecture"
        ) from error
    if not all(np.isfinite(values).all() for values in model.get_weights()):
        raise WeightsError(f"{path} holds weights that are no finite numbers: give another file")
    return model


def shipped_weights(name, seed):
    """The weights that this project trained from a seed: of ``shallow_cnn``, the ``vgg7_hmt`` of HMT, or
    the ``vgg7_synthetic`` of synthetic tissue."""
    return WEIGHTS / f"{name}_{seed}.weights.h5"


def course_path(name):
    """The file of the weights that the course handed out, ``MNIST1D`` or ``HMT``.

    They are looked for in the folder ``XAI_COURSE_MODELS``, a relative one from the root of the
    repository; None where that is not set.
    """
    folder = os.environ.get("XAI_COURSE_MODELS")
    return REPOSITORY / folder / f"{name}.h5" if folder else None


def course_model(name):
    """The network of the course with its weights; None where :func:`course_path` is."""
    path = course_path(name)
    if path is None:
        return None
    model = shallow_cnn() if name == "MNIST1D" else vgg7(average=1, normalize=False)
    return load_weights(model, path)


def save(model, path, **provenance):
    """Write the weights to ``path`` (``….weights.h5``), and how they were made beside them."""
    path = Path(path)
    provenance |= {
        "parameters": model.count_params(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "machine": platform.machine(),
    }
    bare = model.__class__.from_config(model.get_config())  # without the optimizer's state
    bare.set_weights(model.get_weights())
    write(provenance_path(path), json.dumps(provenance, indent=1) + "\n")
    with whole(path) as partial:
        bare.save_weights(partial)


def provenance_path(path):
    """The file beside a weight file that says how it was made."""
    return Path(path).with_name(Path(path).name.replace(".weights.h5", ".json"))

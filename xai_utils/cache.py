"""Results kept on disk, so that what was computed once is read the next time."""

import functools
import hashlib
import json
import re
from pathlib import Path

import joblib

from xai_utils.results import output_root, versions

PACKAGE = Path(__file__).parent
COMPUTING = ("__init__.py", "models.py", "attributions/*.py", "metrics/*.py")


def remembered(function, model, **arguments):
    """What ``function(model, **arguments)`` returns, computed only if it was not yet.

    It is kept in ``results/cache`` under all that it depends on: the function and its arguments,
    the layers and weights of the model, the code of explanations and metrics, and the versions of
    the libraries. To free the space, delete the folder.
    """
    memory = joblib.Memory(output_root() / "results" / "cache", verbose=0)
    model_is = joblib.hash([_architecture(model), model.get_weights()])
    compute = memory.cache(_compute, ignore=["function", "model"])
    return compute(function, model, function.__qualname__, model_is, _code(), arguments)


def _compute(function, model, name, model_is, code, arguments):
    return function(model, **arguments)


def _architecture(model):
    """The model's layers and their connections, in names without the numbers that Keras gives."""
    config = json.dumps(model.get_config(), sort_keys=True, default=repr)
    names = dict.fromkeys(re.findall(r'"name": "([^"]+)"', config))
    for place, name in enumerate(names):
        plain = re.sub(r"_\d+$", "", name)
        config = config.replace(f'"{name}"', f'"{plain}#{place}"')
    return config


@functools.cache
def _code():
    """A hash of the code that computes explanations and scores, and the versions below it."""
    files = [path for pattern in COMPUTING for path in sorted(PACKAGE.glob(pattern))]
    digest = hashlib.sha256(repr(versions()).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()

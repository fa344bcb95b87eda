"""Results kept on disk, so that what was computed once is read the next time."""

import functools
import hashlib
import json
import re
from pathlib import Path

import joblib

from xai_utils.results import output_root, versions

PACKAGE = Path(__file__).parent
SHARED_CODE = ("__init__.py", "models.py")


def remembered(function, model, **arguments):
    """What ``function(model, **arguments)`` returns, computed only if it was not yet.

    It is kept in ``results/cache`` under all that it depends on: the function and its arguments,
    the layers and weights of the model, the code of the package that the function belongs to,
    explanations or metrics, which do not know each other, and the versions of the libraries. To free
    the space, delete the folder.
    """
    memory = joblib.Memory(output_root() / "results" / "cache", verbose=0)
    model_is = joblib.hash([_architecture(model), model.get_weights()])
    compute = memory.cache(_compute, ignore=["function", "model"])
    return compute(function, model, function.__qualname__, model_is, _code(function.__module__), arguments)


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
def _code(module):
    """A hash of the code that computes what a module does, and the versions below it."""
    part = module.removeprefix("xai_utils.").partition(".")[0]
    own = sorted(PACKAGE.glob(f"{part}/*.py"))
    if not own:
        raise ValueError(f"{module} is no package of xai_utils, so its code cannot be watched")
    files = [*(PACKAGE / name for name in SHARED_CODE), *own]
    digest = hashlib.sha256(repr(versions()).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()

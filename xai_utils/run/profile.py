"""Whether a profile says what it may say, before anything is computed."""

import ast
import json

import yaml

from xai_utils.run.errors import UsageError
from xai_utils.run.files import REPOSITORY

PROFILES, NOTEBOOKS = REPOSITORY / "profiles", REPOSITORY / "notebooks"
SCHEMA = "standard"  # has all that a profile can set, and of which kind it is
COUNTED = ("networks", "samples")  # sections whose every entry is needed


class ProfileError(UsageError):
    """A profile that cannot be used; the message says which entry and why."""


def check_profile(profile):
    """Raises :class:`ProfileError` for a file that is no YAML of plain values, for a section or an entry that is
    unknown or lacking, and for a value of another kind than that of ``standard``.

    The options of methods are looked at where the methods are known.
    """
    known, given = _read(SCHEMA), _read(profile)
    for section in COUNTED:
        own = given.get(section)
        if not isinstance(own, dict) or own.keys() != known[section].keys():
            names = own.keys() if isinstance(own, dict) else set()
            wrong = ", ".join(sorted(map(str, names ^ known[section].keys())))
            raise ProfileError(
                f"{profile}.yaml: {section} does not have the entries of {SCHEMA}.yaml ({wrong})"
            )
        for name, value in own.items():
            _check_kind(f"{profile}.yaml: {name} of {section}", value, known[section][name])
    options = given.get("options", {})
    methods = list(options.values()) if isinstance(options, dict) else [None]
    if not all(
        isinstance(own, dict) and all(isinstance(o, dict) for o in own.values()) for own in methods
    ):
        raise ProfileError(f"{profile}.yaml: options are {{data: {{method: {{option: value}}}}}}")
    for name in given.keys() - {*COUNTED, "options"}:
        path = NOTEBOOKS / f"{name}.ipynb"
        if not isinstance(name, str) or not path.is_file():
            raise ProfileError(f"{profile}.yaml: {name} is neither a section nor a notebook")
        parameters, own = parameters_of(path), given[name] or {}
        if not isinstance(own, dict) or (unknown := own.keys() - parameters.keys()):
            wrong = ", ".join(sorted(map(str, unknown))) if isinstance(own, dict) else "a text or list"
            raise ProfileError(
                f"{profile}.yaml sets {wrong}, which the parameters of {path.name} do not have"
            )
        for entry, value in own.items():
            _check_kind(f"{profile}.yaml: {entry} of {name}", value, parameters[entry])


def parameters_of(notebook):
    """The parameters of a notebook and what they are by default, ``{name: value}``."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [
        "".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])
    ]
    lines = ast.parse("\n".join(tagged)).body
    return {target.id: ast.literal_eval(line.value) for line in lines for target in line.targets}


def _read(profile):
    path = PROFILES / f"{profile}.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise ProfileError(f"{path} is no YAML of plain values: {said}") from error
    if not isinstance(found, dict):
        raise ProfileError(f"{path} has no sections: take {SCHEMA}.yaml for a pattern")
    return found


def _check_kind(what, value, pattern):
    """A count is at least 1; all else is of the class of the pattern."""
    if type(value) is not type(pattern):
        raise ProfileError(f"{what} has to be {_kind(pattern)}, and is {_kind(value)}")
    if type(value) is int and value < 1:
        raise ProfileError(f"{what} has to be at least 1, and is {value}")


def _kind(value):
    kinds = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        type(None): "nothing",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")

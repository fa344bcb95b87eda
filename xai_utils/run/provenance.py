"""What a result depends on beside its inputs: the versions, the commit, the processor."""

import functools
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path

from xai_utils.run.files import REPOSITORY

LOCK = REPOSITORY / "requirements.lock"


@functools.cache
def versions():
    """The version of Python and of every locked package that is installed."""
    locked = re.findall(r"^([\w.-]+)==", LOCK.read_text(), flags=re.M)
    installed = {}
    for name in locked:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a package for another system
    return {"python": platform.python_version()} | installed


@functools.cache
def commit():
    """The commit of the repository, with ``-dirty`` where files differ from it."""
    command = ["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        described = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown: git is not installed"
    return described.stdout.strip() or "unknown: not a git checkout"


@functools.cache
def processor():
    """The processor by name, as Linux knows it, elsewhere by its architecture."""
    known = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.*)$", known.read_text() if known.exists() else "", re.M)
    return f"{named[1]} ({platform.machine()})" if named else platform.machine()

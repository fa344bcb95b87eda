"""Where a run reads and writes, and files that are written whole or not at all."""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import socket
import sys
import uuid
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


def output_root():
    """The folder under which a run writes: the repository, or ``XAI_OUTPUT`` where that is set."""
    return Path(os.environ.get("XAI_OUTPUT", REPOSITORY))


def results(profile):
    """The folder of the official results of a profile."""
    return output_root() / "results" / profile


@contextlib.contextmanager
def whole(path):
    """A temporary path beside ``path`` to write to, renamed to it when all went well.

    The name is nobody else's, so that any number of processes may write the same file at once, on a
    network file system too; the last one stays. It keeps the suffixes, by which libraries go.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{partial_name()}-{path.name}")
    try:
        yield partial
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_name():
    """The beginning of a name that is nobody else's, and says which process on which machine has it."""
    return f"{_PARTIAL}{os.getpid()}-{uuid.uuid4().hex[:12]}"


def remove_partial(paths):
    """Remove those of the files and folders that a process of this machine left which is no more."""
    for path in paths:
        owner = re.match(rf"{re.escape(_PARTIAL)}(\d+)-", path.name)
        if owner and not _is_alive(int(owner[1])):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


_PARTIAL = f"partial-{socket.gethostname()}-"


def _is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def write(path, text):
    """Write a text file whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text)


def file_sha256(path):
    """The SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def profile_section(profile, name):
    """A section of ``profiles/<profile>.yaml``, empty where the profile does not have it."""
    sections = yaml.safe_load((REPOSITORY / "profiles" / f"{profile}.yaml").read_text()) or {}
    return sections.get(name) or {}


def send_chatter_to(log):
    """What libraries and kernels write to stderr, warn of and log goes to the file ``log``; our own
    lines and bars do not."""
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(2), "w", buffering=1)
    with open(log, "w") as file:
        os.dup2(file.fileno(), 2)
    logging.basicConfig(stream=sys.stderr)  # which is the log by now
    logging.captureWarnings(True)
    sys.stderr = terminal

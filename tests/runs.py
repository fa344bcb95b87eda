"""Runs of ``run_all.sh`` as a user starts them, in a folder of their own, and what they leave."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

from xai_utils.run.files import REPOSITORY

QUICK = ("--profile", "quick", "--hmt-dir", "synthetic")
NO_RESULT = ("seconds", "jobs", "checksum")  # in what a run records of itself


def copy_of_tree(folder):
    """A copy of the working tree, whose files a test may edit, with the environment of this one."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, files.stdout.splitlines()):
        if (REPOSITORY / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def settings(output, source, **environment):
    """An environment in which ``source``, a checkout, is run and writes to ``output``."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("XAI_")}
    return own | {"XAI_OUTPUT": str(output), "PYTHONPATH": str(source)} | environment


def start(output, *arguments, source=REPOSITORY, **environment):
    """Start ``run_all.sh`` from another folder, in a session of its own."""
    return subprocess.Popen(
        [source / "run_all.sh", *arguments],
        cwd="/",
        env=settings(output, source, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=can_be_interrupted,
    )


def can_be_interrupted():
    """Take up Ctrl-C, which what runs in the background ignores."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_all(output, *arguments, source=REPOSITORY, **environment):
    """Run ``run_all.sh``; returns the exit code and what it said."""
    running = start(output, *arguments, source=source, **environment)
    said, _ = running.communicate()
    return running.returncode, said


def made(output):
    """A hash of every file that a quick run left for its readers, ``{name: hash}``, without times.

    How the work was cut into jobs, for so many cores, is no result.
    """
    folders = ("results/quick", "figures/quick", "report/build/quick")
    files = [file for folder in folders for file in (output / folder).rglob("*") if file.is_file()]
    found = {}
    for file in sorted(files):
        name = str(file.relative_to(output))
        if not name.startswith(("results/quick/logs", "results/quick/jobs")) and file.suffix != ".log":
            found[name] = hashlib.sha256(_without_times(file)).hexdigest()
    return found


def _without_times(file):
    if file.suffix == ".ipynb":
        cells = json.loads(file.read_text())["cells"]
        return json.dumps([[cell["source"], _shown(cell)] for cell in cells]).encode()
    if file.name == "run.json" or (file.parent.name == "parts" and file.suffix == ".json"):
        return json.dumps(_timeless(json.loads(file.read_text()))).encode()
    return file.read_bytes()


def _shown(cell):
    """What a reader sees below a cell: not what libraries wrote to stderr, with the time."""
    return [shown for shown in cell.get("outputs", []) if shown.get("name") != "stderr"]


def _timeless(value):
    if isinstance(value, dict):
        return {name: _timeless(own) for name, own in value.items() if name not in NO_RESULT}
    return value


def differing(one, other):
    """The names of the files that are not the same in two runs."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))

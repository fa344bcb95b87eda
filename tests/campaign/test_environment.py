"""The environment as run_all.sh and run_tests.sh make it, here from a lock of three packages."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from tests.runs import can_be_interrupted
from xai_utils.run.files import REPOSITORY

pytestmark = pytest.mark.campaign(
    "Installations that were broken off, failed or began twice, and lost nothing"
)

LEFT = [".venv", ".venv.lock", "pyproject.toml", "requirements.lock", "scripts"]
SMALL = ("setuptools", "tabulate", "lime")  # lime has no wheel


def entries(*names):
    """The entries of these packages in the lock, with their hashes."""
    lock = (REPOSITORY / "requirements.lock").read_text()
    found = (re.search(rf"^{name}==.*(\n    --hash=.*)+", lock, re.M)[0] for name in names)
    return "\n".join(entry.rstrip("\\ ") for entry in found) + "\n"


@pytest.fixture
def root(tmp_path):
    """A repository as far as its environment goes; ``python -c`` in it says which packages it has."""
    made = tmp_path / "a folder"
    (made / "scripts").mkdir(parents=True)
    for name in ("environment.sh", "build_environment.py"):
        shutil.copy(REPOSITORY / "scripts" / name, made / "scripts")
    (made / "pyproject.toml").write_text('[project]\nname = "small"\nversion = "1"\n')
    (made / "requirements.lock").write_text(entries(*SMALL))
    return made


def start(root):
    """Ask for the environment as the commands do."""
    script = 'set -eu; ROOT=$1; source "$ROOT/scripts/environment.sh"; command -v python'
    return subprocess.Popen(
        ["bash", "-c", script, "-", root],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=can_be_interrupted,
    )


def install(root):
    running = start(root)
    _, said = running.communicate()
    return running.returncode, said


def left_at_work(session, seconds=5):
    """The processes of a session that go on for so long, but for those that ended and nobody has asked how."""
    listed = ["ps", "-s", str(session), "-o", "stat="]
    until = time.time() + seconds
    while True:
        states = subprocess.run(listed, capture_output=True, text=True).stdout.split()
        found = [state for state in states if not state.startswith("Z")]
        if not found or time.time() > until:
            return found
        time.sleep(0.05)


def has(root, name):
    python = root / ".venv/bin/python"
    return (
        python.exists()
        and not subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode
    )


def left(root):
    return sorted(path.name for path in root.iterdir())


def test_a_first_run_installs_what_is_locked_without_wheels_too(root):
    code, said = install(root)
    assert code == 0, said
    assert has(root, "lime") and has(root, "tabulate")
    assert install(root) == (0, "")


@pytest.mark.parametrize("spoilt", ["a hash", "a package"])
def test_an_installation_that_fails_leaves_the_environment_before(root, spoilt):
    (root / "requirements.lock").write_text(entries("setuptools", "tabulate"))
    assert install(root)[0] == 0
    lock = entries(*SMALL)
    spoilt = (
        lock.replace("sha256:", "sha256:0")
        if spoilt == "a hash"
        else lock.replace("lime==", "lime==9.")
    )
    (root / "requirements.lock").write_text(spoilt)
    code, said = install(root)
    assert code == 1
    assert said.splitlines()[-1].startswith("error: the environment could not be made")
    assert "the environment that was there before is back" in said
    assert has(root, "tabulate") and not has(root, "lime")
    assert left(root) == LEFT
    (root / "requirements.lock").write_text(lock)
    assert install(root)[0] == 0 and has(root, "lime")


@pytest.mark.parametrize(
    "point, how",
    [
        ("pyvenv.cfg", signal.SIGKILL),
        ("bin/pip", signal.SIGTERM),
        ("bin/pip", signal.SIGKILL),
        ("lib/*/site-packages/tabulate*", signal.SIGINT),
        ("lib/*/site-packages/lime", signal.SIGKILL),
    ],
)
def test_an_installation_that_is_stopped_loses_nothing(root, point, how):
    """Stopped when a file is there, with all that it started; the environment before comes back at once or,
    where the installation was killed, with the next one."""
    (root / "requirements.lock").write_text(entries("setuptools", "tabulate"))
    assert install(root)[0] == 0
    (root / "requirements.lock").write_text(entries(*SMALL))
    running = start(root)
    while not (root / ".venv.before").exists() or not list((root / ".venv").glob(point)):
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)
    os.killpg(running.pid, how)
    _, said = running.communicate(timeout=60)
    assert running.returncode != 0
    assert left_at_work(running.pid) == []
    if how != signal.SIGKILL:
        assert said.splitlines()[-1] == "error: the installation was stopped"
        assert has(root, "tabulate") and not (root / ".venv.before").exists()
    code, said = install(root)
    assert code == 0 and has(root, "lime"), said
    assert left(root) == LEFT


def test_two_first_runs_at_once_install_once(root):
    said = [running.communicate()[1] for running in (start(root), start(root))]
    assert sum("installing the pinned packages" in text for text in said) == 1
    assert sum("waiting for that" in text for text in said) == 1
    assert install(root) == (0, "") and has(root, "lime")


def test_a_lock_that_a_dead_process_left_keeps_nobody(root):
    (root / ".venv.lock").write_text("12345")
    assert install(root)[0] == 0

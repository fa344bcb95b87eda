"""Make ``.venv`` from ``requirements.lock``: ``python3 scripts/build_environment.py ROOT``.

Only the standard library is there yet. The environment is put in order by one process at a time; the one
before is kept aside until the new one is whole, and comes back when that fails or is stopped.
"""

import contextlib
import fcntl
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
LOCKED = ("--require-hashes", "--no-deps")
BUILDS_OTHERS = "setuptools"  # what some packages without wheels are built by


def main(root):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: the installation was stopped"))
    environment, before = root / ".venv", root / ".venv.before"
    with _alone(root / ".venv.lock"):
        if before.exists() and not _is_whole(environment):  # an installation was killed
            _remove(environment)
            before.rename(environment)
        _remove(before)
        if _is_current(root):  # by another, while this one waited
            return
        started = time.time()
        _say("installing the pinned packages into .venv (once, a few minutes)")
        if _is_whole(environment):
            environment.rename(before)
        else:
            _remove(environment)
        try:
            _build(root, environment)
        except BaseException:
            _remove(environment)
            if before.exists():
                before.rename(environment)
                _say("the environment that was there before is back")
            raise
        _remove(before)
        _say(f"done  {time.time() - started:.0f} s")


@contextlib.contextmanager
def _alone(path):
    """Wait until no other process holds the lock; a process that dies holds none."""
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process is installing it: waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_whole(environment):
    """Whether everything was installed: the lock is copied into it last."""
    return (environment / "requirements.lock").exists()


def _is_current(root):
    environment, lock = root / ".venv", root / "requirements.lock"
    return _is_whole(environment) and (environment / lock.name).read_bytes() == lock.read_bytes()


def _build(root, environment):
    python, lock = environment / "bin" / "python", root / "requirements.lock"
    _run([sys.executable, "-m", "venv", environment], "on Debian: apt install python3-venv")
    # What builds packages without wheels is pinned too, and comes first.
    entry = re.search(rf"^{BUILDS_OTHERS}==.*(\n    --hash=.*)+", lock.read_text(), re.M)
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as first:
        first.write(entry[0].rstrip("\\") if entry else "")
        first.flush()
        _run([python, *PIP, *LOCKED, "-r", first.name])
    _run([python, *PIP, *LOCKED, "--no-build-isolation", "-r", lock])
    _run([python, *PIP, "--no-deps", "--no-build-isolation", "--no-index", "-e", root])
    shutil.copy(lock, environment)


def _run(command, advice="what went wrong stands above"):
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"error: the environment could not be made: {advice}")


def _remove(path):
    """Remove a folder, or a link to one, where there is one."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _say(text):
    print(f"environment: {text}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("error: the installation was stopped")
    except OSError as problem:  # the disk is full, or may not be written
        sys.exit(f"error: the environment could not be made: {problem}")

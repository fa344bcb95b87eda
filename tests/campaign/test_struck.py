"""Struck anywhere: a rebuild from nothing is killed, stopped, starved again and again, taken up each time, and in the
end has made what an undisturbed one makes."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from tests.campaign.rebuilds import Rebuild, undisturbed
from tests.runs import differing

pytestmark = [
    pytest.mark.campaign("Rebuilds of quick, struck again and again, identical to the byte"),
    pytest.mark.slow,
]

DISK = "1500m"  # a disk of its own, that can be filled
MEMORY = 300 * 2**20  # bytes of addresses, less than a kernel has when it starts
LONGEST = 40  # seconds from the start of a run to a strike
LEAVING = 20  # seconds that a process has to see that the one which started it is gone


class Struck(Rebuild):
    """A rebuild on a disk of its own, whose processes are known: its folder stands in their environment."""

    def __init__(self, disk, number):
        self.disk = disk
        super().__init__(disk, number)

    def processes(self):
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.environ().get("XAI_OUTPUT") == str(self.output):
                    found.append(process)
        return found

    def kernel(self, running):
        """A kernel at work, as soon as there is one; None where the run ends before."""
        while running.poll() is None:
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "ipykernel_launcher" in process.cmdline():
                        return process
            time.sleep(0.1)
        return None

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.disk], check=True)


def kill(struck, running, seconds):
    """All processes of the group."""
    if is_there_after(running, seconds):
        os.killpg(running.pid, signal.SIGKILL)


def terminate(struck, running, seconds):
    if is_there_after(running, seconds):
        running.terminate()


def interrupt(struck, running, seconds):
    """As Ctrl-C on a terminal."""
    if is_there_after(running, seconds):
        os.killpg(running.pid, signal.SIGINT)


def kill_kernel(struck, running, seconds):
    kernel = struck.kernel(running)
    if kernel and is_there_after(kernel, seconds / 4):
        kernel.kill()


def starve_kernel(struck, running, seconds):
    kernel = struck.kernel(running)
    if kernel and is_there_after(kernel, seconds / 4):
        resource.prlimit(kernel.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))


def fill_disk(struck, running, seconds):
    """Until not a byte more goes onto it."""
    if is_there_after(running, seconds):
        with open(struck.disk / "filler", "ab", buffering=0) as filler:
            for size in (2**20, 2**12, 1):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)):
                        pass


def is_there_after(process, seconds):
    with contextlib.suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
        process.wait(seconds)
        return False
    return True


READ_ONLY = (
    "read-only"  # a disk does not become that while files on it are being written: before a start
)
CHAINS = [  # at least as many strikes as are asked for: 30 kills, 10 stops, 10 kernels, 10 full disks, 3 read-only
    (5, [kill] * 11 + [fill_disk] * 2),
    (6, [kill] * 11 + [terminate, interrupt]),
    (7, [kill] * 8 + [terminate, interrupt] * 2),
    (8, [kill_kernel] * 10 + [starve_kernel] * 2),
    (9, [fill_disk] * 8 + [terminate, interrupt] * 2 + [READ_ONLY] * 3),
]


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root, to mount a disk of its own")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("number, strikes", CHAINS, ids=["1", "2", "3", "4", "5"])
def test_a_struck_rebuild_ends_as_an_undisturbed_one(
    number, strikes, disk, shared, tmp_path, record_trials
):
    struck, moments = Struck(disk, number), random.Random(number)
    moments.shuffle(strikes)
    left = set()
    for place, strike in enumerate(strikes):
        with record_trials("Strikes survived: killed, stopped, without memory or disk"):
            left = one_strike(
                struck, strike, moments, left, was_killed=strikes[place - 1] is kill and place > 0
            )
    with record_trials("Rebuilds of quick, struck again and again, identical to the byte"):
        assert differing(struck.run(), undisturbed(shared, tmp_path / "first")) == []
        assert struck.put_aside() == set()


def one_strike(struck, strike, moments, left, was_killed):
    """Start a run and strike it; returns what it left aside. ``left`` is what the one before did."""
    if strike is READ_ONLY:
        struck.remount("ro")
    code = 0
    while not code:
        running, seconds = struck.start(), moments.uniform(0.5, LONGEST)
        if strike is not READ_ONLY:
            strike(struck, running, seconds)
        said, _ = running.communicate(timeout=900)
        code = running.returncode
        if not code:  # it came too late: strike what is done once more
            shutil.rmtree(struck.output / "results/quick")
    if strike is READ_ONLY:
        struck.remount("rw")
    (struck.disk / "filler").unlink(missing_ok=True)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == (strike is not kill), said
    assert "Traceback" not in said, said
    gone = psutil.wait_procs(struck.processes(), timeout=LEAVING)[1]
    assert gone == [], "a process is left"
    began = len(said) > 0 and seconds > 5 and strike is not READ_ONLY
    if was_killed and began:
        assert "The last run here was killed" in said
    now = struck.put_aside()
    if began:
        assert not left & now, "what the run before put aside is still there"
    return now

"""Killed anywhere: a quick run from nothing is struck again and again, taken up each time, and in the end has made
what an undisturbed run makes."""

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.campaign.rebuilds import reference
from tests.runs import QUICK, copy_of_tree, differing, made, start

pytestmark = [pytest.mark.campaign("Struck, taken up again, and identical in the end"), pytest.mark.slow]

MEMORY = 400 * 2**20  # bytes that a kernel may have, which are less than it takes to import what it needs
LONGEST = 40  # seconds from the start of a run to a strike, at most


def of_run(output):
    """The processes that work for a run: its folder stands in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get("XAI_OUTPUT") == str(output):
                found.append(process)
    return found


def kernels(output):
    return [process for process in of_run(output) if "ipykernel_launcher" in process.cmdline()]


class Struck:
    """A run that is struck after some seconds; each strike is a method, and says whether it struck."""

    def __init__(self, folder, seed):
        self.output, self.source = folder / "output", copy_of_tree(folder / "source")
        self.temporary, self.random = folder / "temporary", random.Random(seed)
        self.output.mkdir()
        self.temporary.mkdir()
        self.running, self.said = None, ""

    def start(self):
        self.running = start(
            self.output, *QUICK, source=self.source, TMPDIR=str(self.temporary), SOURCE_DATE_EPOCH="0"
        )

    def end(self):
        """Wait for the end of the run; returns its exit code."""
        self.said, _ = self.running.communicate(timeout=600)
        return self.running.returncode

    def wait(self):
        """Wait for a moment to strike; False where the run ends before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.running.wait(self.random.uniform(0.5, LONGEST))
            return False
        return True

    def killed(self):
        os.killpg(self.running.pid, signal.SIGKILL)

    def terminated(self):
        self.running.terminate()

    def interrupted(self):
        os.killpg(self.running.pid, signal.SIGINT)

    def kernel_killed(self):
        self._kernel().kill()

    def kernel_without_memory(self):
        resource.prlimit(self._kernel().pid, resource.RLIMIT_AS, (MEMORY, MEMORY))

    def _kernel(self):
        while self.running.poll() is None:
            if found := kernels(self.output):
                return self.random.choice(found)
            time.sleep(0.1)
        pytest.fail(f"no kernel was started: {self.end()}")

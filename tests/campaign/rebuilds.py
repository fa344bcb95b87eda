"""Rebuilds of the quick report from nothing, under circumstances that should not matter."""

import fcntl
import json
import os

from tests.runs import QUICK, copy_of_tree, made, start

# What stands around a run: its cores, the name of its folder, variables; ``bound`` to a single core of the machine,
# and the mode that new files do not get.
CIRCUMSTANCES = (
    {},
    {
        "cores": 1,
        "folder": "ein Ordner mit Täubchen",
        "PYTHONHASHSEED": "1",
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
    },
    {"bound": True, "PYTHONHASHSEED": "2", "LC_ALL": "de_DE.UTF-8", "TZ": "America/St_Johns"},
    {
        "umask": 0o077,
        "folder": "報告書",
        "PYTHONHASHSEED": "3",
        "LANG": "tr_TR.UTF-8",
        "temporary": "tmp 'x' $y",
    },
    {
        "cores": 1,
        "folder": "a&b #1 %20 (copy)",
        "PYTHONHASHSEED": "4294967295",
        "TZ": "Pacific/Kiritimati",
    },
    {"folder": "disturbed, 1", "PYTHONHASHSEED": "5", "LC_ALL": "C.UTF-8"},
    {"cores": 1, "folder": "disturbed ~ 2", "PYTHONHASHSEED": "6", "TZ": "UTC"},
    {"folder": "disturbé", "PYTHONHASHSEED": "7", "LC_ALL": "POSIX"},
    {"folder": "disturbed", "PYTHONHASHSEED": "8", "TZ": "America/New_York"},
    {"cores": 1, "folder": "disturbed=5", "PYTHONHASHSEED": "9", "LC_ALL": "en_US.UTF-8"},
)


class Rebuild:
    """A quick run in a folder of its own, with its temporary files in another, that may be started many times."""

    def __init__(self, place, number):
        self.around = dict(CIRCUMSTANCES[number])
        folder = place / self.around.pop("folder", "plain")
        self.output = folder / "output"
        self.temporary = folder / self.around.pop("temporary", "temporary")
        self.temporary.mkdir(parents=True)
        self.output.mkdir()
        self.source = copy_of_tree(folder / "source")
        self.cores, self.umask = self.around.pop("cores", 2), self.around.pop("umask", 0o022)
        self.bound = self.around.pop("bound", False)

    def start(self):
        cores = os.sched_getaffinity(0) if self.bound else None
        before = os.umask(self.umask)
        if cores:
            os.sched_setaffinity(0, {min(cores)})
        try:
            given = {"TMPDIR": str(self.temporary), "SOURCE_DATE_EPOCH": "1764288000", **self.around}
            arguments = (*QUICK, "--cores", str(self.cores))
            return start(self.output, *arguments, source=self.source, **given)
        finally:
            os.umask(before)
            if cores:
                os.sched_setaffinity(0, cores)

    def run(self):
        """Run to the end, and return what it left."""
        running = self.start()
        said, _ = running.communicate()
        assert running.returncode == 0, said
        return made(self.output)

    def put_aside(self):
        """The temporary files that are there now, under half a name in the output or in the folder for them."""
        return {*self.output.rglob("partial-*"), *self.temporary.iterdir()}


def undisturbed(shared, place):
    """What the first rebuild leaves, made once for all processes that test: ``shared`` is their folder."""
    found = shared / "undisturbed.json"
    with open(shared / "undisturbed.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            found.write_text(json.dumps(Rebuild(place, 0).run()))
    return json.loads(found.read_text())

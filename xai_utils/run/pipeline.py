"""What ``run_all.sh`` runs: Snakemake on the ``Snakefile``, with one line a stage."""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from xai_utils.run.errors import AGAIN, PIPE, in_one_line
from xai_utils.run.files import REPOSITORY, output_root, partial_name, remove_partial, results
from xai_utils.run.profile import PROFILES, check_profile

QUIET = ("--quiet", "all")


class Stopped(BaseException):
    """A signal asks us to stop: Ctrl-C, or whoever ends processes here."""


def main():
    options, more = _arguments()
    root = output_root()
    if options.check_claims:  # of the run that is there: with other data, another run would begin
        checked = [sys.executable, "-P", "-m", "report.claims", options.profile]
        sys.exit(subprocess.run(checked, cwd=REPOSITORY).returncode)
    if options.hmt_dir:
        is_path = options.hmt_dir != "synthetic"
        os.environ["XAI_HMT_DIR"] = os.path.abspath(options.hmt_dir) if is_path else "synthetic"
    with in_one_line():
        check_profile(options.profile)
    with _stopping(), in_one_line(), _alone(root), _temporary_folder(options) as folder:
        sys.exit(_run(options, more, root, folder))


@contextlib.contextmanager
def _stopping():
    """End with one line and without a process left where a signal asks for it."""

    def stop(number, _):
        for known in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(known, signal.SIG_IGN)  # once is enough
        raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as below nohup
            signal.signal(number, stop)
    try:
        yield
    except Stopped as stopped:
        number = signal.Signals(stopped.args[0])
        print(f"error: stopped by {number.name}: {AGAIN}", file=sys.stderr)
        sys.exit(128 + number)


@contextlib.contextmanager
def _alone(root):
    """Be the only run at work in this folder. What those before it left when they were killed is removed."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"error: {root} cannot be made ({error.strerror}): set XAI_OUTPUT to another folder")
    with open(root / ".run_all.lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"error: another run is at work in {root}: wait for it or stop it")
        if lock.tell():  # whoever ends in any other way empties it
            print("The last run here was killed: this one goes on from where it was", file=sys.stderr)
        written = [root / "results", root / "figures", root / "report" / "build"]
        files = [path for folder in written for path in folder.rglob("*")]
        remove_partial(files)
        _age(path for path in files if root / "results" / "store" not in path.parents)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def _age(files):
    """Make old what was made while the clock was ahead of now: it would look newer than what is changed now. What is
    in the store is known by what it depends on, and has no age."""
    soon = time.time() + 60
    for file in files:
        if file.exists() and file.stat().st_mtime > soon:
            os.utime(file, (1, 1))  # Snakemake takes 0 for no time


@contextlib.contextmanager
def _temporary_folder(options):
    """What all processes of a run on this machine put aside is in one folder, which goes when they do, or with
    the next run; None on a cluster, where each node has its own."""
    remove_partial(Path(tempfile.gettempdir()).glob("partial-*"))
    if options.executor:
        yield None
        return
    folder = Path(tempfile.gettempdir()) / partial_name()
    folder.mkdir()
    os.environ |= {"TMPDIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "jupyter")}
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(options, more, root, folder):
    started = time.time()
    report = root / "report" / "build" / options.profile / "report.html"
    before = report.stat().st_mtime_ns if report.exists() else None
    # Which jobs there are is known when the tiles are found; tiles that cannot be used are found
    # before anything is trained.
    plan = _snakemake(options, root, f"results/{options.profile}/jobs.json")
    everything = [*_snakemake(options, root, "all"), *_where(options), *more]
    with _heard(folder) as errors:
        code = _call([*plan, "--cores", str(os.cpu_count()), *QUIET])
        code = code or _call(everything, options.executor)
    if code:
        if folder and not errors:  # Snakemake was told to be quiet
            _try_disk(root)
            print(f"error: Snakemake failed; its log is in {root}/.snakemake/log", file=sys.stderr)
        return code
    if more:  # what became of it, Snakemake has said
        return 0
    if report.exists() and report.stat().st_mtime_ns == before:
        print(f"Nothing to do: {report} is up to date", file=sys.stderr)
    else:
        print(f"all  {time.time() - started:.0f} s", file=sys.stderr)
    _remind_of_stand_in(results(options.profile) / "hmt.json")
    return 0


def _try_disk(root):
    """Raises OSError where nothing more can be written."""
    with tempfile.TemporaryFile(dir=root) as probe:
        probe.write(bytes(2**20))


@contextlib.contextmanager
def _heard(folder):
    """The errors of all processes on this machine, each said once when it comes. They come through a pipe, for
    which no disk is ever full."""
    if not folder:
        yield {}
        return
    path, errors = folder / "errors", {}
    os.mkfifo(path)
    os.environ[PIPE] = str(path)
    pipe = os.fdopen(os.open(path, os.O_RDWR), "r")

    def listen():
        for line in iter(pipe.readline, "\n"):
            reason = line.split(": ", 2)[-1]
            if errors.setdefault(reason, line) is line:
                print(line, end="", file=sys.stderr)

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    try:
        yield errors
    finally:
        os.write(pipe.fileno(), b"\n")
        listening.join()
        pipe.close()
        del os.environ[PIPE]


def _call(command, executor=None):
    """Run Snakemake and return its exit code. Where we are stopped, so is all that it started.

    On this machine everything is killed, for what was computed is kept and a half file never has its name.
    Of jobs elsewhere only Snakemake knows: it takes them back when it is interrupted.
    """
    own = {} if executor else {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    running = subprocess.Popen(command, **own)
    try:
        return running.wait()
    except Stopped:
        if executor:
            running.send_signal(signal.SIGINT)
            running.wait()
        _kill_children()
        raise


def _kill_children():
    """Kill the processes that this one started, those that these started, and so on."""
    found = set()
    while new := set(psutil.Process().children(recursive=True)) - found:
        for process in new:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()  # so that it starts no other meanwhile
        found |= new
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found)


def _snakemake(options, root, target):
    return [
        *(sys.executable, "-m", "snakemake", target),
        *("--snakefile", REPOSITORY / "Snakefile", "--directory", root),
        *("--config", f"profile={options.profile}", f"jobs={options.jobs}"),
        # A killed run is taken up where it stopped; ours is the lock, which dies with us.
        *("--rerun-incomplete", "--nolock"),
        # A file that was touched counts as changed, as people expect of make.
        *("--max-checksum-file-size", "0"),
    ]


def _where(options):
    """Where the jobs run: here, or wherever an executor of Snakemake takes them."""
    if not options.executor:
        return ["--cores", str(options.jobs), *QUIET]
    where = ["--executor", options.executor, "--jobs", str(options.jobs)]
    settings = PROFILES / options.executor
    return [*where, "--profile", settings] if settings.is_dir() else where


def _remind_of_stand_in(found):
    """Synthetic tissue that nobody asked for is said at the end, where it is read."""
    unasked = os.environ.get("XAI_HMT_DIR", "") != "synthetic"
    if unasked and json.loads(found.read_text())["source"] == "synthetic":
        print(
            "HMT was not reachable: synthetic tissue stands in for it. To use the real tiles, give "
            f"--hmt-dir FOLDER_OR_ARCHIVE; to try the download again, delete {found}",
            file=sys.stderr,
        )


def _arguments():
    """The options, and what follows ``--``, which is for Snakemake."""
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    profiles = sorted(path.stem for path in PROFILES.glob("*.yaml"))
    parser = argparse.ArgumentParser(
        prog="run_all.sh",
        description="Rebuild the report. What follows -- goes to Snakemake as it is.",
    )
    parser.add_argument("--profile", default="standard", help=f"one of {', '.join(profiles)}")
    parser.add_argument("--cores", type=int, help="of this machine; default: all")
    parser.add_argument("--executor", help="run the jobs elsewhere: slurm, or another of Snakemake's")
    parser.add_argument("--jobs", type=int, help="how many at a time, with --executor")
    parser.add_argument(
        "--check-claims",
        action="store_true",
        help="compare the last run with what is claimed, and compute nothing",
    )
    parser.add_argument("--hmt-dir", help="folder of the HMT tiles, or their archive, or 'synthetic'")
    options = parser.parse_args(given[:end])
    if options.profile not in profiles:
        sys.exit(f"error: there is no profile {options.profile!r}; give one of {', '.join(profiles)}")
    if (options.executor is None) != (options.jobs is None):
        sys.exit("error: --executor and --jobs go together; on this machine give --cores")
    if options.executor and options.cores:
        sys.exit("error: --cores is for this machine; with --executor give --jobs")
    if options.check_claims and options.profile != "standard":
        sys.exit("error: the claims are about the profile standard")
    options.jobs = options.jobs or (os.cpu_count() if options.cores is None else options.cores)
    if options.jobs < 1:
        sys.exit(f"error: {'--jobs' if options.executor else '--cores'} must be at least 1")
    return options, given[end + 1 :]


if __name__ == "__main__":
    main()

"""What ``run_all.sh`` runs: Snakemake on the ``Snakefile``, with one line a stage."""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time

from xai_utils.run.files import REPOSITORY, output_root, results

PROFILES = REPOSITORY / "profiles"
QUIET = ("--quiet", "all")


def main():
    options, more = _arguments()
    root = output_root()
    if options.check_claims:  # of the run that is there: with other data, another run would begin
        checked = [sys.executable, "-P", "-m", "report.claims", options.profile]
        sys.exit(subprocess.run(checked, cwd=REPOSITORY).returncode)
    root.mkdir(parents=True, exist_ok=True)
    if options.hmt_dir:
        is_path = options.hmt_dir != "synthetic"
        os.environ["XAI_HMT_DIR"] = os.path.abspath(options.hmt_dir) if is_path else "synthetic"
    with open(root / ".run_all.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"error: another run is at work in {root}: wait for it or stop it")
        sys.exit(_run(options, more, root))


def _run(options, more, root):
    started = time.time()
    report = root / "report" / "build" / options.profile / "report.html"
    before = report.stat().st_mtime_ns if report.exists() else None
    # Which jobs there are is known when the tiles are found; tiles that cannot be used are found
    # before anything is trained.
    plan = _snakemake(options, root, f"results/{options.profile}/jobs.json")
    done = subprocess.run([*plan, "--cores", str(os.cpu_count()), *QUIET])
    if not done.returncode:
        done = subprocess.run([*_snakemake(options, root, "all"), *_where(options), *more])
    if done.returncode:
        return done.returncode
    if more:  # what became of it, Snakemake has said
        return 0
    if report.exists() and report.stat().st_mtime_ns == before:
        print(f"Nothing to do: {report} is up to date", file=sys.stderr)
    else:
        print(f"all  {time.time() - started:.0f} s", file=sys.stderr)
    _remind_of_stand_in(results(options.profile) / "hmt.json")
    return 0


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

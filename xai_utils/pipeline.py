"""What ``run_all.sh`` runs: Snakemake on the ``Snakefile``, with one line a stage."""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time

from xai_utils.results import REPOSITORY, output_root


def main():
    options = _arguments()
    root = output_root()
    root.mkdir(parents=True, exist_ok=True)
    if options.hmt_dir:
        is_path = options.hmt_dir != "synthetic"
        os.environ["XAI_HMT_DIR"] = os.path.abspath(options.hmt_dir) if is_path else "synthetic"
    with open(root / ".run_all.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"error: another run is at work in {root}: wait for it or stop it")
        sys.exit(_run(options, root))


def _run(options, root):
    started = time.time()
    report = root / "report" / "build" / options.profile / "report.html"
    before = report.stat().st_mtime_ns if report.exists() else None
    # Tiles that cannot be used are found before anything is trained.
    for target in (f"results/{options.profile}/hmt.json", "all"):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", target),
                *("--snakefile", REPOSITORY / "Snakefile", "--directory", root),
                *("--cores", str(options.cores), "--config", f"profile={options.profile}"),
                # A killed run is taken up where it stopped; ours is the lock, which dies with us.
                *("--rerun-incomplete", "--nolock"),
                # A file that was touched counts as changed, as people expect of make.
                *("--max-checksum-file-size", "0"),
                *("--quiet", "all"),
            ]
        )
        if done.returncode:
            return done.returncode
    if report.stat().st_mtime_ns == before:
        print(f"Nothing to do: {report} is up to date", file=sys.stderr)
    else:
        print(f"all  {time.time() - started:.0f} s", file=sys.stderr)
    _remind_of_stand_in(root / "results" / options.profile / "hmt.json")
    return 0


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
    profiles = sorted(path.stem for path in (REPOSITORY / "profiles").glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="run_all.sh", description="Rebuild the report.")
    parser.add_argument("--profile", default="standard", help=f"one of {', '.join(profiles)}")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="default: all")
    parser.add_argument(
        "--hmt-dir", help="folder of the HMT tiles, or their archive, or 'synthetic'"
    )
    options = parser.parse_args()
    if options.profile not in profiles:
        sys.exit(f"error: there is no profile {options.profile!r}; give one of {', '.join(profiles)}")
    if options.cores < 1:
        sys.exit("error: --cores must be at least 1")
    return options


if __name__ == "__main__":
    main()

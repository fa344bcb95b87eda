"""Run one notebook headlessly: ``python -m xai_utils.execute 02_mnist1d_classify quick``."""

import argparse
import json
import os
import sys
import time

import papermill
from papermill.exceptions import PapermillExecutionError

from xai_utils.results import REPOSITORY, output_root, profile_section


def execute(notebook, profile):
    """Run a notebook with the parameters of a profile and keep the executed copy.

    The copy gets its name only when the notebook has run to its end.
    """
    source = REPOSITORY / "notebooks" / f"{notebook}.ipynb"
    results = output_root() / "results" / profile
    executed = results / "notebooks" / f"{notebook}.ipynb"
    partial = executed.with_name(f"partial-{notebook}.ipynb")
    executed.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            source,
            partial,
            parameters=parameters(source, profile),
            kernel_name="python3",
            start_timeout=300,  # on a busy machine a kernel takes its time
            cwd=source.parent,
            # Two notebooks may run at once: each bar says whose it is.
            progress_bar=sys.stderr.isatty() and {"desc": notebook, "leave": False},
        )
        partial.rename(executed)
    finally:
        partial.unlink(missing_ok=True)


def parameters(source, profile):
    """What the profile sets in this notebook, and where the tiles were found."""
    known = papermill.inspect_notebook(str(source))
    chosen = {"PROFILE": profile} | profile_section(profile, source.stem)
    if "HMT_DIR" in known:
        found = output_root() / "results" / profile / "hmt.json"
        chosen["HMT_DIR"] = json.loads(found.read_text())["path"]
    if unknown := chosen.keys() - known.keys():
        raise SystemExit(
            f"error: profiles/{profile}.yaml sets {', '.join(sorted(unknown))}, which the "
            f"parameters of {source.name} do not have"
        )
    return chosen


def _send_chatter_of_kernels_to(log):
    """What a kernel and the libraries in it write to stderr goes to ``log``, our own lines do not."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with open(log, "w") as file:
        os.dup2(file.fileno(), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook")
    parser.add_argument("profile")
    options = parser.parse_args()
    os.environ["XAI_HEADLESS"] = "1"
    _send_chatter_of_kernels_to(
        output_root() / "results" / options.profile / "logs" / f"{options.notebook}.log"
    )
    started = time.time()
    try:
        execute(options.notebook, options.profile)
    except PapermillExecutionError as error:
        if error.ename not in ("DataError", "WeightsError"):
            print("\n".join(error.traceback), file=sys.stderr)
        sys.exit(f"error: {options.notebook}: {error.evalue}")
    print(f"{options.notebook}  {time.time() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()

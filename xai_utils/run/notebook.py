"""Run one notebook headlessly: ``python -m xai_utils.run.notebook 02_mnist1d_classify quick``."""

import argparse
import os
import sys
import time

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from xai_utils.run.errors import AGAIN, advice_in_words, in_one_line, tell
from xai_utils.run.files import REPOSITORY, profile_section, results, send_chatter_to, whole


def execute(notebook, profile):
    """Run a notebook with the parameters of a profile and keep the executed copy.

    The copy gets its name only when the notebook has run to its end.
    """
    source = REPOSITORY / "notebooks" / f"{notebook}.ipynb"
    with whole(results(profile) / "notebooks" / f"{notebook}.ipynb") as partial:
        papermill.execute_notebook(
            source,
            partial,
            parameters={"PROFILE": profile} | profile_section(profile, notebook),
            kernel_name="python3",
            start_timeout=300,  # on a busy machine a kernel takes its time
            cwd=source.parent,
            # Two notebooks may run at once: each bar says whose it is.
            progress_bar=sys.stderr.isatty() and {"desc": notebook, "leave": False},
        )
        _name_parameters(partial)


def _name_parameters(path):
    """Give the cell that papermill puts in, with the parameters, the same name every time."""
    book = nbformat.read(path, 4)
    for cell in book.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "parameters"
    nbformat.write(book, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook")
    parser.add_argument("profile")
    options = parser.parse_args()
    os.environ["XAI_HEADLESS"] = "1"
    started = time.time()
    with in_one_line(options.notebook):
        send_chatter_to(results(options.profile) / "logs" / f"{options.notebook}.log")
        try:
            execute(options.notebook, options.profile)
        except PapermillExecutionError as error:
            message = advice_in_words(error.ename, error.evalue)
            if message is None:
                print("\n".join(error.traceback), file=sys.stderr)
            tell(f"error: {options.notebook}: {message or error.evalue}")
        except RuntimeError as error:  # of several classes, where a kernel dies
            if "ernel died" not in str(error):
                raise
            tell(f"error: {options.notebook}: its kernel died, perhaps for want of memory: {AGAIN}")
    print(f"{options.notebook}  {time.time() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()

"""What a run leaves behind: values, tables, scores and figures, each with its provenance.

A notebook opens a :class:`Run`, hands it what it found, and closes it with ``finish``. That writes
one *part*, ``results/<profile>/parts/<notebook>.json``; :func:`collect` joins the parts into the
files that the report and other readers use. Every file is written under a temporary name and
renamed, so a killed run leaves no half file.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from IPython import get_ipython

from xai_utils.figure_data import drawn

REPOSITORY = Path(__file__).resolve().parents[1]
SCORE_COLUMNS = (
    "dataset", "weights", "method", "metric", "fraction", "fill", "rule", "item", "value",
)  # fmt: skip
REPRODUCTION_COLUMNS = (
    "source", "dataset", "method", "metric", "item", "published", "reproduced", "difference",
    "weights", "convention",
)  # fmt: skip
VERSIONS_OF = (
    "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "scikit-image", "pandas", "tf-explain",
    "lime", "shap", "mnist1d", "krippendorff",
)  # fmt: skip


class Run:
    """One notebook's part of the results of a profile."""

    def __init__(self, profile, notebook):
        self.notebook = notebook
        self.folder = output_root() / "results" / profile
        self.figures = output_root() / "figures" / profile / notebook
        self.started = time.time()
        self.handed_on = {}
        self.part = {
            "values": {},
            "tables": {},
            "made_in": {},
            "scores": [],
            "reproduction": [],
            "provenance": {},
        }

    def options(self, dataset):
        """What this profile asks of the methods on ``dataset``: ``{method: {option: value}}``."""
        return profile_section(self.folder.name, "options").get(dataset, {})

    def weights(self, name):
        """Where this profile keeps the weights of a network."""
        return self.folder / "weights" / f"{name}.weights.h5"

    def values(self, prefix, **values):
        """Record numbers, texts or lists of them as ``<prefix>.<name>``, dicts name by name."""
        for name, value in values.items():
            if isinstance(value, dict):
                self.values(f"{prefix}.{name}", **value)
            else:
                self.part["values"][f"{prefix}.{name}"] = _plain(value)

    def table(self, name, frame):
        """Record a table under ``name`` and return it, to be shown."""
        self.part["tables"][name] = json.loads(frame.to_json(orient="split", index=False))
        self._made(name)
        return frame

    def scores(self, frame):
        """Record scores, one row a sample, in the columns of ``scores.csv``.

        A score that was recorded before, of a larger part of the samples, is not recorded again.
        """
        self.part["scores"].append(frame[list(SCORE_COLUMNS)])

    def reproduction(self, frame):
        """Record published numbers beside ours, in the columns of ``reproduction.csv``."""
        self.part["reproduction"].append(frame[list(REPRODUCTION_COLUMNS)])

    def figure(self, name, figure):
        """Save a figure for print (PDF), for the screen (SVG) and as numbers (CSV), and return it,
        to be shown."""
        self.figures.mkdir(parents=True, exist_ok=True)
        for suffix, metadata in ((".pdf", {"CreationDate": None}), (".svg", {"Date": None})):
            path = self.figures / (name + suffix)
            partial = path.with_name("partial-" + path.name)
            figure.savefig(partial, metadata=metadata)
            partial.rename(path)
        write(self.figures / f"{name}.csv", drawn(figure).to_csv(index=False, float_format="%.4g"))
        self._made(name)
        return figure

    def samples(self, dataset, samples, classes, probabilities, maps):
        """Hand on samples with the network's answers and their maps, for the explorer.

        ``maps`` is ``{method: (n, *space)}``, NaN where a sample was not explained.
        """
        about = {"x": samples.x, "y": samples.y, "names": samples.names, "classes": classes}
        own = {f"map {name}": found for name, found in maps.items()}
        self.handed_on = {"dataset": dataset, "probabilities": probabilities, **about, **own}

    def provenance(self, **facts):
        """Record what the results depend on: seeds, checksums of data and weights."""
        self.part["provenance"] |= {name: _plain(fact) for name, fact in facts.items()}

    def finish(self):
        """Write the part. Nothing of this notebook counts before."""
        part = dict(self.part)
        for name in ("scores", "reproduction"):
            rows = pd.concat(part.pop(name) or [pd.DataFrame()])
            if name == "scores" and len(rows):
                rows = rows.drop_duplicates([key for key in SCORE_COLUMNS if key != "value"])
            write(self._part_path(f"_{name}.csv"), rows.to_csv(index=False))
        partial = self._part_path("_samples.npz").with_name(f"partial-{self.notebook}.npz")
        np.savez(partial, **self.handed_on)
        partial.rename(self._part_path("_samples.npz"))
        part["seconds"] = round(time.time() - self.started, 1)
        write(self._part_path(".json"), json.dumps(part, indent=1, allow_nan=False))

    def _made(self, name):
        """Remember which cell made a figure or table: its execution count, None outside notebooks."""
        shell = get_ipython()
        self.part["made_in"][name] = [self.notebook, shell.execution_count if shell else None]

    def _part_path(self, suffix):
        return self.folder / "parts" / (self.notebook + suffix)


def collect(profile):
    """Join the parts of a profile into values, tables, scores, reproduction and ``run.json``."""
    folder = output_root() / "results" / profile
    parts = {
        path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("parts/*.json"))
    }
    for name in ("values", "tables", "made_in"):
        joined = {}
        for part in parts.values():
            if twice := joined.keys() & part[name].keys():
                raise ValueError(f"Two notebooks record the same {name}: {sorted(twice)}")
            joined |= part[name]
        write(folder / f"{name}.json", json.dumps(joined, indent=1, sort_keys=True))
    for name, columns in (("scores", SCORE_COLUMNS), ("reproduction", REPRODUCTION_COLUMNS)):
        files = sorted(folder.glob(f"parts/*_{name}.csv"))
        frames = [pd.read_csv(file) for file in files if file.stat().st_size > 1]
        rows = pd.concat(frames) if frames else pd.DataFrame(columns=list(columns))
        write(folder / f"{name}.csv", rows.to_csv(index=False, float_format="%.6g"))
    write(folder / "run.json", json.dumps(_run_facts(profile, parts), indent=1))


def profile_section(profile, name):
    """A section of ``profiles/<profile>.yaml``, empty where the profile does not have it."""
    sections = yaml.safe_load((REPOSITORY / "profiles" / f"{profile}.yaml").read_text()) or {}
    return sections.get(name) or {}


def output_root():
    """The folder under which a run writes: the repository, or ``XAI_OUTPUT`` where that is set."""
    return Path(os.environ.get("XAI_OUTPUT", REPOSITORY))


def write(path, text):
    """Write a text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name("partial-" + path.name)
    partial.write_text(text)
    partial.rename(path)


def versions():
    """The versions of the libraries that the numbers depend on."""
    return {name: importlib.metadata.version(name) for name in VERSIONS_OF}


def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _run_facts(profile, parts):
    commit = subprocess.run(
        ["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
    )
    return {
        "profile": profile,
        "commit": commit.stdout.strip() or "unknown: not a git checkout",
        "python": platform.python_version(),
        "versions": versions(),
        "parameters": {
            name: _parameters(output_root() / "results" / profile / "notebooks" / f"{name}.ipynb")
            for name in parts
        },
        "provenance": {name: part["provenance"] for name, part in parts.items()},
        "seconds": {name: part["seconds"] for name, part in parts.items()},
    }


def _parameters(executed):
    """What papermill set in an executed notebook; None for one that was run by hand."""
    if not executed.exists():
        return None
    return json.loads(executed.read_text())["metadata"]["papermill"]["parameters"]


def _plain(value):
    """NumPy values as the Python ones that JSON knows."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value


def main():
    parser = argparse.ArgumentParser(description="Join the parts of a profile.")
    parser.add_argument("profile")
    collect(parser.parse_args().profile)


if __name__ == "__main__":
    main()

"""What a notebook hands on: values, tables, scores and figures, each with its provenance.

A notebook opens a :class:`Run`, hands it what it found, and closes it with ``finish``. That writes
one *part*; :mod:`xai_utils.run.join` joins the parts of the pipeline into the files that the report and
other readers use. A notebook that is run by hand keeps its part and figures apart, under
``results/by_hand`` and ``figures/by_hand``, where no report looks, unless it ends in
``run.finish("official")``.
"""

import ast
import hashlib
import json
import os
import shutil
import time

import numpy as np
import pandas as pd
from IPython import get_ipython

from xai_utils.run.figure_data import drawn, shows_pictures
from xai_utils.run.files import (
    REPOSITORY,
    file_sha256,
    output_root,
    profile_section,
    results,
    whole,
    write,
)
from xai_utils.run.provenance import commit, processor, versions
from xai_utils.run.sources import imported

SCORE_COLUMNS = (
    "dataset", "weights", "method", "metric", "fraction", "fill", "rule", "item", "value",
)  # fmt: skip
REPRODUCTION_COLUMNS = (
    "source", "dataset", "method", "metric", "item", "published", "reproduced", "difference",
    "weights", "convention",
)  # fmt: skip
OFFICIAL = "official"
PLAN = ("samples", "options", "networks")  # the sections of a profile that all notebooks read
SAVED_WITH = {  # the same figure gives the same file
    ".pdf": {"metadata": {"CreationDate": None}},
    ".svg": {"metadata": {"Date": None}},
    ".webp": {"dpi": 200, "pil_kwargs": {"quality": 90}},
}


BESIDE = ("_scores.csv", "_reproduction.csv", "_samples.npz")  # the files of a part, beside its JSON


def checksum(part):
    """The SHA-256 of all that the JSON of a part says, but for this."""
    said = {name: own for name, own in part.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Run:
    """One notebook's part of the results of a profile."""

    def __init__(self, profile, notebook):
        self.profile, self.notebook = profile, notebook
        self.by_hand = "XAI_HEADLESS" not in os.environ
        self.folder = results("by_hand") / profile if self.by_hand else results(profile)
        self.figures = _figures(profile, notebook, self.by_hand)
        self.started = time.time()
        self.handed_on = {}
        self.part = {
            "values": {},
            "tables": {},
            "made_in": {},
            "scores": [],
            "reproduction": [],
            "provenance": {"data": {}, "weights": {}},
        }

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
        """Save a figure for print, for the screen and as numbers, and return it, to be shown.

        For print it is a PDF; for the screen a WebP where it shows pictures or maps, which would make
        an SVG too large, and else an SVG. The numbers of its maps are arrays (npz), all others a table
        (CSV). No file of an earlier figure of this name stays.
        """
        screen = ".webp" if shows_pictures(figure) else ".svg"
        for suffix in (".svg", ".webp", ".npz", ".csv"):
            (self.figures / (name + suffix)).unlink(missing_ok=True)
        for suffix in (".pdf", screen):
            with whole(self.figures / (name + suffix)) as partial:
                figure.savefig(partial, **SAVED_WITH[suffix])
        arrays, points = drawn(figure)
        if arrays:
            with whole(self.figures / f"{name}.npz") as partial:
                small = {panel: values.astype(np.float32) for panel, values in arrays.items()}
                np.savez_compressed(partial, **small)
        if len(points):
            write(self.figures / f"{name}.csv", points.to_csv(index=False, float_format="%.4g"))
        self._made(name)
        return figure

    def samples(self, dataset, samples, classes, probabilities, maps, network=None, fills=None):
        """Hand on samples with the network's answers and their maps, for the explorer.

        ``maps`` is ``{method: (places, maps)}``: the places of the samples that it explained, and the
        maps of these, ``(len(places), *space)``. Where the explorer is to ask the network itself,
        ``network`` is the Keras model that answered, and ``fills`` what takes the place of removed points:
        a number or array that broadcasts against a sample, or a function of the inputs, which is handed on
        by its name.
        """
        self.handed_on = {
            "dataset": dataset,
            "probabilities": probabilities,
            "x": samples.x,
            "y": samples.y,
            "names": samples.names,
            "classes": classes,
        }
        for name, (places, found) in maps.items():
            self.handed_on |= {f"places {name}": places, f"map {name}": found}
        for name, fill in (fills or {}).items():
            self.handed_on[f"fill {name}"] = fill.__name__ if callable(fill) else fill
        if network is not None:
            weights = {f"weights {place}": own for place, own in enumerate(network.get_weights())}
            self.handed_on |= {"network": network.to_json(), **weights}

    def provenance(self, *, data=None, weights=None, **facts):
        """Record what the results depend on beside the code: seeds, and the checksums of data and of
        weights, ``{name: checksum}``. Those of one name must be the same in all parts of a run."""
        made = self.part["provenance"]
        made |= {name: _plain(fact) for name, fact in facts.items()}
        made |= {"data": made["data"] | (data or {}), "weights": made["weights"] | (weights or {})}

    def finish(self, word=""):
        """Write the part. Nothing of this notebook counts before.

        With the word ``"official"``, what was done by hand takes the place of what the pipeline did.
        """
        if word not in ("", OFFICIAL):
            raise ValueError(f"{word!r} is no word that finish knows; it knows {OFFICIAL!r}")
        if self.by_hand and word == OFFICIAL:
            self.folder = results(self.profile)
            official = _figures(self.profile, self.notebook, by_hand=False)
            shutil.rmtree(official, ignore_errors=True)
            if self.figures.exists():
                shutil.copytree(self.figures, official)
        part = dict(self.part)
        for name in ("scores", "reproduction"):
            rows = pd.concat(part.pop(name) or [pd.DataFrame()])
            if name == "scores" and len(rows):
                rows = rows.drop_duplicates([key for key in SCORE_COLUMNS if key != "value"])
            write(self._part_path(f"_{name}.csv"), rows.to_csv(index=False))
        with whole(self._part_path("_samples.npz")) as partial:
            np.savez(partial, **self.handed_on)
        part["provenance"] = self._made_with() | part["provenance"]
        part["seconds"] = round(time.time() - self.started, 1)
        part["files"] = {suffix: file_sha256(self._part_path(suffix)) for suffix in BESIDE}
        part = json.loads(json.dumps(part, allow_nan=False))  # as it will be read
        part["checksum"] = checksum(part)
        write(self._part_path(".json"), json.dumps(part, indent=1))
        if self.by_hand and word != OFFICIAL:
            print(
                f"Run by hand: kept in {self.folder.relative_to(output_root())}, which no report reads; "
                'run.finish("official") would put it in the report.'
            )

    def _made_with(self):
        """With what this part was computed."""
        return {
            "by_hand": self.by_hand,
            "parameters": _parameters(self.notebook),
            "plan": {name: profile_section(self.profile, name) for name in PLAN},
            "commit": commit(),
            "versions": versions(),
            "processor": processor(),
            "code": {
                name: hashlib.sha256(source.encode()).hexdigest()[:16]
                for name, source in imported().items()
            },
        }

    def _made(self, name):
        """Remember which cell made a figure or table: its execution count, None outside notebooks."""
        shell = get_ipython()
        self.part["made_in"][name] = [self.notebook, shell.execution_count if shell else None]

    def _part_path(self, suffix):
        return self.folder / "parts" / (self.notebook + suffix)


def _figures(profile, notebook, by_hand):
    return output_root() / "figures" / ("by_hand" if by_hand else "") / profile / notebook


def _parameters(notebook):
    """What the parameters of the notebook are as it runs; {} outside of one."""
    shell, path = get_ipython(), REPOSITORY / "notebooks" / f"{notebook}.ipynb"
    if shell is None or not path.exists():
        return {}
    tagged = [
        "".join(cell["source"])
        for cell in json.loads(path.read_text())["cells"]
        if "parameters" in cell["metadata"].get("tags", [])
    ]
    names = [target.id for line in ast.parse("\n".join(tagged)).body for target in line.targets]
    return {name: _plain(shell.user_ns[name]) for name in names}


def _plain(value):
    """NumPy values as the Python ones that JSON knows."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value

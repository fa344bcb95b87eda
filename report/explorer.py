"""The explorer: a page on which a reader picks a sample and sees its maps by every method.

It opens from the file system, where a page may load scripts but not data, so the data are scripts:
``data/index.js`` knows all samples, and a file for each part of them has inputs, maps and scores.
"""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps

from xai_utils.plots import POSITIVE_MAP, SIGNED_MAP

HERE = Path(__file__).resolve().parent
LEVELS = 256  # of a map's points, from the most to the least salient
PART_BYTES = 400_000  # of maps in a file
ABOUT = {
    "mnist1d": {"title": "MNIST-1D", "fraction": 0.3},
    "hmt": {"title": "HMT", "fraction": 0.9},
}
SETTING = ["metric", "fraction", "fill", "rule"]
SCORE = {"metric": "drop_rate", "fill": "black", "rule": "exact", "method": "grad_cam"}


def write_explorer(found, folder):
    """The page, its scripts, and the data of every dataset whose samples were handed on."""
    shutil.copytree(HERE / "explorer", folder)
    (folder / "data").mkdir()
    methods, metrics = (named(found.tables[name]) for name in ("methods", "metrics"))
    texts = dict.fromkeys(["fraction", "fill", "rule"], str)
    scores = pd.read_csv(found.folder / "scores.csv", dtype=texts, keep_default_na=False)
    scores = scores[(scores.weights == "ours") & scores.rule.isin(["", "exact"])]
    datasets = {}
    for dataset, about in ABOUT.items():
        (file,) = found.folder.glob(f"parts/*_{dataset}.npz")
        own = scores[scores.dataset == dataset]
        with np.load(file) as arrays:
            entries = write_parts(dict(arrays), own, metrics, dataset, folder / "data")
        datasets[dataset] = about | entries
    if found.values["hmt.source"] == "synthetic":
        datasets["hmt"]["title"] = "Synthetic tissue, in the place of HMT"
    index = {"datasets": datasets, "methods": methods, "colours": colours(), "levels": LEVELS}
    write_script(folder / "data" / "index.js", "index", index)


def write_parts(arrays, scores, metrics, dataset, folder):
    """Write the samples in files of about equal size; return what the index says of them."""
    names, labels = arrays["names"].tolist(), arrays["y"].tolist()
    maps = {key.removeprefix("map "): array for key, array in arrays.items() if key[:4] == "map "}
    size = max(1, PART_BYTES // (len(maps) * np.prod(arrays["x"].shape[1:-1], dtype=int)))
    settings = [list(key) for key in dict.fromkeys(map(tuple, scores[SETTING].to_numpy()))]
    rows = dict(list(scores.groupby("item")))
    probabilities = np.round(arrays["probabilities"], 4)
    drops = scores.query(" and ".join(f"{key} == {value!r}" for key, value in SCORE.items()))
    drops = drops[drops.fraction.astype(float) == ABOUT[dataset]["fraction"]]
    drops = drops.set_index("item").value
    samples = []
    for start in range(0, len(names), size):
        part, held = f"{dataset}-{start // size}", {}
        for i in range(start, min(start + size, len(names))):
            held[names[i]] = {
                "input": encoded_input(arrays["x"][i]),
                "probabilities": probabilities[i].tolist(),
                "maps": {m: encoded(own[i]) for m, own in maps.items() if np.isfinite(own[i]).all()},
                "scores": table_of(rows.get(names[i]), settings),
            }
            said = int(probabilities[i].argmax())
            drop = round(float(drops[names[i]]), 3) if names[i] in drops else None
            sure = float(probabilities[i].max())
            samples.append([names[i], labels[i], said, round(sure, 3), drop, part])
        write_script(folder / f"{part}.js", part, held)
    return {
        "classes": arrays["classes"].tolist(),
        "shape": list(arrays["x"].shape[1:-1]),
        "samples": samples,
        "settings": [in_words(setting, metrics) for setting in settings],
    }


def table_of(rows, settings):
    """``[{method: value}, …]``, one for each setting; an empty list for a sample without scores."""
    if rows is None:
        return []
    known = {key: {} for key in map(tuple, settings)}
    for row in rows.itertuples():
        setting = row.metric, row.fraction, row.fill, row.rule
        known[setting][row.method] = float(f"{row.value:.4g}")
    return list(known.values())


def in_words(setting, metrics):
    metric, fraction, fill, rule = setting
    kept = f"top {100 * float(fraction):g} %" if rule else ""
    better = "higher" if metrics[metric]["higher_is_better"] else "lower"
    words = ", ".join(part for part in (metrics[metric]["title"], kept, fill) if part)
    return f"{words} ({better} is better)"


def encoded(values):
    """A map as the levels of its points and the value at each level.

    Level 0 is the most salient; of equal points the first in reading order comes first, as in the
    exact mask rule. A map with at most ``LEVELS`` points keeps its values; others keep those in the
    middle of each level.
    """
    flat = values.ravel().astype(float)
    levels = min(LEVELS, flat.size)
    order = np.argsort(-flat, kind="stable")
    level = np.empty(flat.size, np.uint8)
    level[order] = np.arange(flat.size) * levels // flat.size
    middles = ((np.arange(levels) + 0.5) * flat.size / levels).astype(int)
    return {
        "levels": text_of(level),
        "values": text_of(flat[order][middles].astype("<f4")),
        "signed": bool(flat.min() < 0),
    }


def encoded_input(x):
    """A signal as numbers, a picture as bytes."""
    if x.ndim == 2:
        return [round(float(value), 4) for value in x[:, 0]]
    return text_of(x.astype(np.uint8))


def text_of(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def colours():
    """The colour maps of the report, ``LEVELS`` colours each."""
    tables = {"positive": POSITIVE_MAP, "signed": SIGNED_MAP}
    places = np.linspace(0, 1, LEVELS)
    return {
        name: (255 * colormaps[table](places)[:, :3]).round().astype(int).tolist()
        for name, table in tables.items()
    }


def named(table):
    """A recorded table as ``{name: {column: value}}``."""
    rows = (dict(zip(table["columns"], row)) for row in table["data"])
    return {row.pop("name"): row for row in rows}


def write_script(path, name, data):
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    path.write_text(f"explorer.receive({json.dumps(name)}, {text});\n")

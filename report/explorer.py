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

from report.common import ReportError
from xai_utils.metrics.faithfulness import tie_order
from xai_utils.study.plots import POSITIVE_MAP, SIGNED_MAP

HERE = Path(__file__).resolve().parent
LEVELS = 200  # of a map's points, from the most to the least salient: every whole percent is one
PART_LETTERS = 1_000_000  # in a file of data
SETTING = ["metric", "fraction", "fill", "rule"]
# Of each dataset its title, what share is kept and which scores are shown at first, and who made it; and
# the title of what stands in for it.
ABOUT = {
    "mnist1d": {
        "title": "MNIST-1D",
        "fraction": 0.3,
        "usual": ["drop_rate", "0.3", "black", "exact"],
        "credits": "",
    },
    "hmt": {
        "title": "HMT",
        "fraction": 0.9,
        "usual": ["drop_rate", "0.9", "black", "exact"],
        "credits": "HMT: Kather et al. 2016, CC BY 4.0; tiles as published, maps added.",
    },
    "photographs": {
        "title": "Photographs",
        "fraction": 0.25,
        "usual": ["multiplied_drop_rate", "", "", ""],
        "credits": "Photographs of the ImageNet collection that this machine has; maps added. The "
        "number in a name is the rank of the class that is explained.",
    },
    "voc": {
        "title": "VOC 2007",
        "fraction": 0.15,
        "usual": ["drop_rate", "0.15", "black", "exact"],
        "credits": "PASCAL VOC 2007: photographs from Flickr, squeezed to a square; maps added. Each is "
        "explained for the class in its name.",
    },
}
STAND_INS = {
    "hmt": {"title": "Synthetic tissue, in the place of HMT", "credits": ""},
    "photographs": {"title": "Generated pictures, in the place of photographs", "credits": ""},
    "voc": {"title": "Generated pictures, in the place of VOC", "credits": ""},
}


def write_explorer(found, folder):
    """The page, its scripts, and the data of every dataset whose samples were handed on."""
    shutil.copytree(HERE / "explorer_page", folder, copy_function=shutil.copy)  # as new as the data
    (folder / "data").mkdir()
    methods, metrics = (named(found.tables[name]) for name in ("methods", "metrics"))
    scores = scores_of(found)
    datasets = {}
    for dataset, arrays in samples_of(found).items():
        about = dict(ABOUT[dataset])
        if found.values.get(f"{dataset}.source") in ("synthetic", "generated"):
            about |= STAND_INS[dataset]
        own = scores[scores.dataset == dataset]
        entries = write_parts(arrays, own, dataset, about.pop("usual"), folder / "data")
        entries["settings"] = [in_words(setting, metrics) for setting in entries["settings"]]
        datasets[dataset] = about | entries
    index = {"datasets": datasets, "methods": methods, "colours": colours()}
    write_script(folder / "data" / "index.js", "index", json_of(index))


def samples_of(found):
    """``{dataset: arrays}`` of the samples that notebooks handed on."""
    handed_on = {}
    for name in found.notebooks:
        with np.load(found.folder / "parts" / f"{name}_samples.npz") as arrays:
            if arrays:
                handed_on[str(arrays["dataset"])] = dict(arrays)
    if missing := ABOUT.keys() - handed_on.keys():
        raise ReportError(f"no notebook handed on samples of {', '.join(sorted(missing))}")
    return handed_on


def scores_of(found):
    """The scores of the networks in use by the exact rule; what is undefined is left out."""
    texts = ["fraction", "fill", "rule"]
    scores = pd.read_csv(found.folder / "scores.csv", dtype=dict.fromkeys(texts, str))
    scores[texts] = scores[texts].fillna("")
    in_use = scores.weights.isin(["ours", "pretrained"])
    return scores[in_use & scores.rule.isin(["", "exact"]) & scores.value.notna()]


def write_parts(arrays, scores, dataset, usual, folder):
    """Write the samples in files of about equal size; return what the index says of them.

    ``usual`` is the setting whose scores are shown first.
    """
    maps = {key.removeprefix("map "): array for key, array in arrays.items() if key[:4] == "map "}
    names, said = arrays["names"].tolist(), arrays["probabilities"].argmax(axis=1)
    scores = scores[scores.method.isin(maps.keys()) & scores.item.isin(names)]
    settings = [list(key) for key in dict.fromkeys(map(tuple, scores[SETTING].to_numpy()))]
    rows, samples, part, held, letters = dict(list(scores.groupby("item"))), [], 0, {}, 0
    for i, name in enumerate(names):
        table = table_of(rows.get(name), settings)
        content = {
            "input": encoded_input(arrays["x"][i]),
            "probabilities": arrays["probabilities"][i].round(4).tolist(),
            "maps": {m: encoded(own[i]) for m, own in maps.items() if np.isfinite(own[i]).all()},
            "scores": table,
        }
        drop = table[settings.index(usual)].get("grad_cam") if table else None
        sure = round(float(arrays["probabilities"][i].max()), 3)
        held[name] = json_of(content)
        samples.append([name, int(arrays["y"][i]), int(said[i]), sure, drop, f"{dataset}-{part}"])
        letters += len(held[name])
        if letters > PART_LETTERS or name == names[-1]:
            write_script(folder / f"{dataset}-{part}.js", f"{dataset}-{part}", joined(held))
            part, held, letters = part + 1, {}, 0
    return {
        "classes": arrays["classes"].tolist(),
        "shape": list(arrays["x"].shape[1:-1]),
        "samples": samples,
        "settings": settings,
        "usual": settings.index(usual) if settings else None,  # no sample that is shown has scores
        "signed": {name: bool(np.nanmin(own) < 0) for name, own in maps.items()},
    }


def table_of(rows, settings):
    """``[{method: value}, …]``, one for each setting; an empty list for a sample without scores."""
    if rows is None:
        return []
    known = {tuple(setting): {} for setting in settings}
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

    Level 0 is the most salient; equal points come in the order of the exact mask rule. A map with at most ``LEVELS`` points keeps its values; others keep those in the
    middle of each level.
    """
    flat = values.ravel().astype(float)
    levels = min(LEVELS, flat.size)
    drawn = tie_order(flat.size)
    order = drawn[np.argsort(-flat[drawn], kind="stable")]
    level = np.empty(flat.size, np.uint8)
    level[order] = np.arange(flat.size) * levels // flat.size
    middles = ((np.arange(levels) + 0.5) * flat.size / levels).astype(int)
    return {"levels": text_of(level), "values": text_of(flat[order][middles].astype("<f4"))}


def encoded_input(x):
    """A signal as numbers, a picture as bytes."""
    if x.ndim == 2:
        return [round(float(value), 4) for value in x[:, 0]]
    return text_of(x.astype(np.uint8))


def text_of(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def colours():
    """The colour maps of the report, 256 colours each."""
    tables = {"positive": POSITIVE_MAP, "signed": SIGNED_MAP}
    return {
        name: colormaps[table](range(256), bytes=True)[:, :3].tolist() for name, table in tables.items()
    }


def named(table):
    """A recorded table as ``{name: {column: value}}``."""
    rows = (dict(zip(table["columns"], row)) for row in table["data"])
    return {row.pop("name"): row for row in rows}


def json_of(data):
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def joined(texts):
    """An object whose values are JSON already."""
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in texts.items()) + "}"


def write_script(path, name, text):
    path.write_text(f"explorer.receive({json.dumps(name)}, {text});\n")

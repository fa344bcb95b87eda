"""The explorer: a page on which a reader picks a sample, sees its maps by every method, and asks the network.

It opens from the file system, where a page may load scripts but not data, so the data are scripts:
``data/index.js`` knows all samples, ``data/<dataset>.js`` what the samples of a data set share, its network
too, and a file for each part of them has inputs, maps and scores. Arrays are compressed (:func:`packed`).
"""

import inspect
import json
import shutil
import zlib
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from matplotlib import colormaps

from report.common import ReportError, plain
from report.network import page_layers
from xai_utils.metrics.faithfulness import blurred, tie_order
from xai_utils.study.plots import POSITIVE_MAP, SIGNED_MAP

HERE = Path(__file__).resolve().parent
PERCENTS = np.arange(1, 101) / 100  # the shares of the points that the page can keep
COLOURS = 256  # of a colour map
PART_LETTERS = 1_000_000  # in a file of data
NOT_QUOTED = tuple(b'\0\n\r"\\')
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
        write_script(folder / "data" / f"{dataset}.js", dataset, shared(arrays))
        own = scores[scores.dataset == dataset]
        entries = write_parts(arrays, own, dataset, about.pop("usual"), folder / "data")
        entries["settings"] = [in_words(setting, metrics) for setting in entries["settings"]]
        datasets[dataset] = about | entries
    index = {"datasets": datasets, "methods": methods, "colours": colours()}
    write_script(folder / "data" / "index.js", "index", index)


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


def shared(arrays):
    """What the samples of a data set share: in which order equal points are taken, what takes the place of
    removed points, and, where one was handed on, the network as a list of layers."""
    shape = arrays["x"].shape[1:]
    layers = page_layers(handed_on_network(arrays)) if "network" in arrays else []
    return {
        "order": packed(tie_order(int(np.prod(shape[:-1]))).astype("<u4")),
        "fills": {name: described_fill(fill, shape) for name, fill in fills_of(arrays).items()},
        "network": [
            {key: packed(own) if isinstance(own, np.ndarray) else own for key, own in layer.items()}
            for layer in layers
        ],
    }


def handed_on_network(arrays):
    """The Keras model that a notebook handed on as its configuration and weights."""
    model = keras.models.model_from_json(str(arrays["network"]))
    model.set_weights([arrays[f"weights {place}"] for place in range(len(model.weights))])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # set_weights alone does not
    return model


def fills_of(arrays):
    """What takes the place of removed points, ``{name: array, or name of a function}``: black where nothing
    was handed on."""
    fills = {key.removeprefix("fill "): array for key, array in arrays.items() if key[:5] == "fill "}
    return fills or {"black": np.array(0.0)}


def described_fill(fill, shape):
    """A fill as the page makes it: an array of the shape of a sample, or a blur of a width."""
    if np.issubdtype(np.asarray(fill).dtype, np.number):
        return {"values": packed(np.broadcast_to(fill, shape).astype("<f4"))}
    if str(fill) != blurred.__name__:
        raise ReportError(f"the explorer does not know the fill {fill}")
    return {"blur": inspect.signature(blurred).parameters["width"].default}


def write_parts(arrays, scores, dataset, usual, folder):
    """Write the samples in files of about equal size; return what the index says of them.

    ``usual`` is the setting whose scores are shown first.
    """
    maps = maps_in(arrays)
    signed = {
        name: bool(min((own.min() for own in found.values()), default=0) < 0)
        for name, found in maps.items()
    }
    names, said = arrays["names"].tolist(), arrays["probabilities"].argmax(axis=1)
    scores = scores[scores.method.isin(maps.keys()) & scores.item.isin(names)]
    settings = [list(key) for key in dict.fromkeys(map(tuple, scores[SETTING].to_numpy()))]
    shown_first = settings.index(usual) if settings else None  # no sample that is shown has scores
    rows, samples, part, held, letters = dict(list(scores.groupby("item"))), [], 0, {}, 0
    for i, name in enumerate(names):
        own = {method: found[i] for method, found in maps.items() if i in found}
        table = table_of(rows.get(name), settings, list(own))
        content = {
            "probabilities": arrays["probabilities"][i].round(4).tolist(),
            "scores": table,
            **encoded(arrays["x"][i], own, signed),
        }
        drop = dict(zip(own, table.get(shown_first, []))).get("grad_cam")
        sure = round(float(arrays["probabilities"][i].max()), 3)
        held[name] = content
        samples.append([name, int(arrays["y"][i]), int(said[i]), sure, drop, f"{dataset}-{part}"])
        letters += len(script_of(content))
        if letters > PART_LETTERS or name == names[-1]:
            write_script(folder / f"{dataset}-{part}.js", f"{dataset}-{part}", held)
            part, held, letters = part + 1, {}, 0
    return {
        "classes": arrays["classes"].tolist(),
        "shape": list(arrays["x"].shape[1:-1]),
        "samples": samples,
        "settings": settings,
        "usual": shown_first,
        "signed": signed,
        "fills": list(fills_of(arrays)),
        "answers": "network" in arrays,
    }


def maps_in(arrays):
    """``{method: {place of a sample: map}}`` of the maps that are finite."""
    methods = [key.removeprefix("map ") for key in arrays if key[:4] == "map "]
    return {
        name: {
            int(place): own
            for place, own in zip(arrays[f"places {name}"], arrays[f"map {name}"])
            if np.isfinite(own).all()
        }
        for name in methods
    }


def table_of(rows, settings, methods):
    """``{place of a setting: [score by each method, or None]}``, without settings of which there is none."""
    found = {}
    for row in [] if rows is None else rows.itertuples():
        place = settings.index([row.metric, row.fraction, row.fill, row.rule])
        if row.method in methods:
            own = found.setdefault(place, [None] * len(methods))
            own[methods.index(row.method)] = float(f"{row.value:.4g}")
    return found


def in_words(setting, metrics):
    metric, fraction, fill, rule = setting
    kept = f"top {100 * float(fraction):g} %" if rule else ""
    better = "higher" if metrics[metric]["higher_is_better"] else "lower"
    words = ", ".join(part for part in (metrics[metric]["title"], kept, fill) if part)
    return f"{words} ({better} is better)"


def encoded(x, maps, signed):
    """A sample and its maps, ``{method: map}``, in one text.

    Of a signal there are its values, float32; of a picture its planes, see :func:`planes_of`; then of each
    map the level of each point as a plane, and the colour of each level. ``maps`` tells how many levels
    each has, in the order in which they come.
    """
    found = {name: levels_of(own) for name, own in maps.items()}
    pieces = [x.astype("<f4")] if x.ndim == 2 else [plane(own) for own in planes_of(x)]
    for name, (level, values) in found.items():
        pieces += [plane(np.atleast_2d(level)), colour_of(values, maps[name], signed[name])]
    return {"maps": {name: len(values) for name, (_, values) in found.items()}, "data": packed(*pieces)}


def levels_of(values):
    """The level of each point of a map, uint8, and the mean value of each level.

    At whole percents the rules compare the points with some values of the map. What is equal to one of
    these is a level, and what lies between two of them; from the points above all, in level 0, to those
    below, no rule tells the points of a level apart, but for the order in which it takes equal ones.
    """
    flat = values.ravel().astype(float)
    exact, published = (PERCENTS * flat.size + 0.5).astype(int), (PERCENTS * flat.size).astype(int)
    # At half of the percents at most these are two places, then next to each other: a byte holds the levels.
    places = np.maximum(np.concatenate([exact, published]), 1) - 1
    compared = np.unique(-np.sort(-flat)[places])
    above = np.searchsorted(compared, flat, "left") + np.searchsorted(compared, flat, "right")
    _, level = np.unique(-above, return_inverse=True)
    means = np.bincount(level, flat) / np.bincount(level)
    return level.reshape(values.shape).astype(np.uint8), means


def colour_of(values, map_, signed):
    """Which colour of its colour map a value has, uint8; the largest half percent has the last one."""
    sizes = np.abs(map_.astype(float))
    limit = np.quantile(sizes, 0.995) or sizes.max() or 1.0
    share = 0.5 + values / (2 * limit) if signed else values / limit
    return np.clip(share * COLOURS, 0, COLOURS - 1).astype(np.uint8)


def planes_of(picture):
    """A picture ``(height, width, 3)`` of bytes as green, red less green, and blue less green, modulo 256:
    the channels of a photograph are much alike."""
    red, green, blue = np.moveaxis(picture.astype(np.uint8), -1, 0)
    return green, red - green, blue - green


def plane(values):
    """Bytes ``(height, width)`` in the form that takes less: as they are after a 0, or after a 1 as what
    they differ from a prediction, modulo 256.

    The prediction is the median of left, above, and left + above - left above (Weinberger 2000, eq. 1).
    """
    padded = np.pad(values.astype(np.int16), ((1, 0), (1, 0)))
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    rest = (values - np.clip(left + above - corner, low, high)).astype(np.uint8)
    is_predicted = entropy(rest) < entropy(values)
    return np.append(np.uint8(is_predicted), rest if is_predicted else values)


def entropy(values):
    """Of how many bits a byte tells, on average."""
    share = np.bincount(values.ravel()) / values.size
    return -np.sum(share * np.log2(share, out=np.zeros_like(share), where=share > 0))


def packed(*arrays):
    """The bytes of arrays, one after the other, compressed (zlib)."""
    made = zlib.compressobj(7, strategy=zlib.Z_FILTERED)
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return made.compress(content) + made.flush()


def text_of(content):
    """Bytes as text, seven bits a letter, where base64 has six: what may not stand between quotation marks is
    moved by 128, so that the lowest seven bits of every letter count."""
    bits = np.unpackbits(np.frombuffer(content, np.uint8))
    rows = np.pad(bits, (0, -len(bits) % 7)).reshape(-1, 7)
    letters = np.packbits(rows, axis=1).ravel() >> 1
    return (letters + 128 * np.isin(letters, NOT_QUOTED)).astype(np.uint8).tobytes().decode("latin-1")


def colours():
    """The colour maps of the report."""
    tables = {"positive": POSITIVE_MAP, "signed": SIGNED_MAP}
    return {
        name: colormaps[table](range(COLOURS), bytes=True)[:, :3].tolist()
        for name, table in tables.items()
    }


def named(table):
    """A recorded table as ``{name: {column: value}}``."""
    rows = (dict(zip(table["columns"], row)) for row in table["data"])
    return {row.pop("name"): row for row in rows}


def script_of(value):
    """A value as JavaScript: as JSON, texts in one line, and bytes as :func:`text_of` has them."""
    if isinstance(value, bytes):
        return f'"{text_of(value)}"'
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{script_of(str(name))}:{script_of(own)}" for name, own in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(script_of, value)) + "]"
    return json.dumps(plain(value) if isinstance(value, str) else value, allow_nan=False)


def write_script(path, name, content):
    path.write_text(f"explorer.receive({json.dumps(name)}, {script_of(content)});\n", encoding="utf-8")

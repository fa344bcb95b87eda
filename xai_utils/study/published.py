"""The published numbers beside those that the same weights give here, and the published comparison
taken apart: one change at a time from how it was made to how it should be.

Where the course's weights are missing, what they gave on another machine stands in, with their
checksum: ``data/recorded_course.json``, which ``python -m xai_utils.study.published standard`` writes
from a run that had them.
"""

import argparse
import json
import os

import numpy as np
import pandas as pd

from xai_utils.attributions.gradients import tf_explain_mean_gradient, tf_explain_scaled
from xai_utils.metrics import settings
from xai_utils.run import files
from xai_utils.study.maps import Derived, compute_by, compute_maps
from xai_utils.study.scores import faithfulness_scores
from xai_utils.study.statistics import LEVEL, SETTING, bootstrap_interval, summarize, told_apart

PUBLISHED = files.REPOSITORY / "data" / "published_results.csv"
RECORDED = files.REPOSITORY / "data" / "recorded_course.json"
DELIVERABLE = "000_fb1b6fc00a7a775b"
INTEGRATED_GRAD_CAM, ABLATION_CAM = "001_682aaeeca5955cc5", "003_1fc60d9bdbec0a68"


def compare(dataset, reproduced, convention, source=DELIVERABLE, weights="course"):
    """Rows of ``reproduction.csv`` for every published number of ``dataset`` found again here.

    ``reproduced`` maps ``(method, metric, item)`` to a number; ``method`` is empty for
    classification. ``convention`` says in words how the numbers came about, ``weights`` from which
    network: the course's or ours.
    """
    published = pd.read_csv(PUBLISHED, dtype={"item": str}, keep_default_na=False)
    published = published[(published.source == source) & (published.dataset == dataset)]
    keys = list(zip(published.method, published.metric, published.item))
    rows = published.rename(columns={"value": "published"})
    rows["published"] = rows["published"].astype(float)
    rows["reproduced"] = [reproduced.get(key) for key in keys]
    rows = rows.dropna(subset="reproduced")
    difference = rows.reproduced - rows.published
    return rows.assign(difference=difference, weights=weights, convention=convention)


def compare_means(dataset, means, item, convention, source, names=None):
    """The same for ``means`` of our networks, ``{(method, metric): mean}``; ``names`` are what the source
    calls the metrics, where it calls them otherwise."""
    known = {(m, (names or {}).get(metric, metric), item): v for (m, metric), v in means.items()}
    return compare(dataset, known, convention, source, weights="ours")


def classification(per_class, accuracy):
    """The classification numbers in the form that :func:`compare` takes."""
    numbers = {("", "accuracy", "all"): accuracy}
    for label, row in per_class.iterrows():
        numbers |= {("", metric, str(label)): row[metric] for metric in ("precision", "recall", "f1")}
        numbers["", "class_accuracy", str(label)] = row["recall"]
    return numbers


def agrees_as_printed(rows):
    """Whether each reproduced number rounds to the published one, at the digits printed there.

    The published file drops trailing zeros, so the digits of a table are those of its longest
    number.
    """
    digits = rows.published.map(lambda value: len(str(value).partition(".")[2]))
    printed = digits.groupby([rows.source, rows.dataset, rows.metric]).transform("max")
    return rows.difference.abs() <= 0.5 * 10.0**-printed + 1e-9


def orders(rows, higher_is_better, titles):
    """The methods from the best to the worst, as published and as found, a row a claim.

    A dataset that was published of several networks, ``data/network``, is found here of one: where they
    have the same order it is one claim. Columns: source, dataset, metric, published, found, same, networks,
    and on, the dataset with its networks.
    """
    claims = []
    for (source, dataset, metric), own in rows.groupby(["source", "dataset", "metric"], sort=False):
        rising = not higher_is_better[metric]
        published, found = (
            " > ".join(titles[name] for name in own.sort_values(column, ascending=rising).method)
            for column in ("published", "reproduced")
        )
        data, _, network = dataset.partition("/")
        claim = {"source": source, "dataset": data, "metric": metric, "published": published}
        claims.append({**claim, "found": found, "same": published == found, "networks": network})
    *alike, _ = columns = list(claims[0])
    table = pd.DataFrame(claims).groupby(alike, sort=False).networks.agg(", ".join)
    table = table.reset_index()[columns]
    named = table.dataset.replace("voc2007", "VOC")
    return table.assign(on=named.where(table.networks == "", named + ": " + table.networks))


LIBRARY, ABSOLUTE, TIMES_INPUT, SIGNED, REFINED, SOUND = (
    "tf_explain_integrated_gradients", "tf_explain_absolute", "tf_explain_absolute_x_input",
    "tf_explain_signed_x_input", "integrated_gradients_probability", "integrated_gradients",
)  # fmt: skip
PUBLISHED_CAM, BILINEAR_CAM, PROBABILITY_CAM, CAM = (
    "grad_cam_published", "grad_cam_bilinear", "grad_cam_probability", "grad_cam",
)  # fmt: skip

# The comparison of the deliverable as it was made, then one change a row. A row: what was changed;
# the maps that stand for Integrated Gradients and for Grad-CAM (None: the change does not concern
# it); the fraction kept, the fill and the mask rule.
STEPS = {
    "mnist1d": [
        ("as published", ABSOLUTE, PROBABILITY_CAM, 0.275, "black", "first"),
        ("× input", TIMES_INPUT, None, 0.275, "black", "first"),
        ("signed", SIGNED, None, 0.275, "black", "first"),
        ("refined path", REFINED, None, 0.275, "black", "first"),
        ("logit", SOUND, CAM, 0.275, "black", "first"),
        ("ties drawn", SOUND, CAM, 0.275, "black", "exact"),
        ("exactly 30 %", SOUND, CAM, 0.3, "black", "exact"),
        ("mean fill", SOUND, CAM, 0.3, "mean", "exact"),
        ("50 % kept", SOUND, CAM, 0.5, "mean", "exact"),
        ("15 % kept", SOUND, CAM, 0.15, "mean", "exact"),
    ],
    "hmt": [
        ("as published", LIBRARY, PUBLISHED_CAM, 0.9, "black", "published"),
        ("no 8 bits", ABSOLUTE, None, 0.9, "black", "published"),
        ("× input", TIMES_INPUT, None, 0.9, "black", "published"),
        ("signed", SIGNED, None, 0.9, "black", "published"),
        ("refined path", REFINED, None, 0.9, "black", "published"),
        ("bilinear", None, BILINEAR_CAM, 0.9, "black", "published"),
        ("last convolution", None, PROBABILITY_CAM, 0.9, "black", "published"),
        ("logit", SOUND, CAM, 0.9, "black", "published"),
        ("exactly 90 %", SOUND, CAM, 0.9, "black", "exact"),
        ("mean fill", SOUND, CAM, 0.9, "mean", "exact"),
        ("50 % kept", SOUND, CAM, 0.5, "mean", "exact"),
        ("15 % kept", SOUND, CAM, 0.15, "mean", "exact"),
    ],
}


# How the deliverable asked the library and Grad-CAM.
SLOPE_STEPS = {"mnist1d": 20, "hmt": 10}
CAM_OPTIONS = {"mnist1d": {}, "hmt": {"layer": "max_pooling2d_1", "upsampling": "cubic_spline"}}
RATES = ("drop_rate", "increase_rate")


def step_maps(own, names=None):
    """The maps that :data:`STEPS` name, by default all and those of a random control, as they are
    asked for.

    ``own`` is a :class:`xai_utils.study.samples.SampleSet` of the course's network. From the mean
    gradient on the path come the library's map and, one flaw after the other removed, those on the way
    to the definition.
    """
    given = own.model, own.samples, own.target
    steps = SLOPE_STEPS[own.dataset]
    slope, _ = compute_by(*given, tf_explain_mean_gradient, own.batch_size, steps=steps)
    x, cam, sound = own.samples.x, CAM_OPTIONS[own.dataset], own.options.get(SOUND, {})

    def explained(method, **options):
        return lambda: compute_maps(*given, method, {method: options}, own.batch_size)[0]

    def of_slope(make):
        return lambda: Derived(lambda places: make(slope[places], x[places]))

    makers = {
        LIBRARY: of_slope(lambda slope, x: tf_explain_scaled(np.abs(slope))),
        ABSOLUTE: of_slope(lambda slope, x: np.abs(slope).sum(axis=-1)),
        TIMES_INPUT: of_slope(lambda slope, x: np.abs(slope * x).sum(axis=-1)),
        SIGNED: of_slope(lambda slope, x: np.sum(slope * x, axis=-1)),
        REFINED: explained(SOUND, score="probability", **sound),
        SOUND: explained(SOUND, **sound),
        PUBLISHED_CAM: explained(CAM, score="probability", **cam),
        BILINEAR_CAM: explained(CAM, score="probability", **cam | {"upsampling": "bilinear"}),
        PROBABILITY_CAM: explained(CAM, score="probability"),
        CAM: explained(CAM),
        "random": explained("random"),
    }
    return {name: makers[name]() for name in names or makers}


def take_apart(own):
    """Drop and Increase of every sample for the maps and settings of :data:`STEPS`.

    In the form of :func:`xai_utils.metrics.evaluate`; a map is scored in the settings of its rows.
    """
    maps, asked = step_maps(own), {}
    for _, gradients, cam, *setting in STEPS[own.dataset]:
        asked.setdefault(tuple(setting), {}).update(dict.fromkeys((gradients, cam, "random")))
    tables = [
        _rates(own, {name: maps[name] for name in names if name}, *setting)
        for setting, names in asked.items()
    ]
    return pd.concat(tables, ignore_index=True)


def first_step(own):
    """Drop and Increase of every sample in the setting of the deliverable, as it was published."""
    _, gradients, cam, *setting = STEPS[own.dataset][0]
    return _rates(own, step_maps(own, [gradients, cam]), *setting)


def as_published(dataset, scores, convention):
    """The figures of the deliverable's table of drop and increase beside those found here.

    ``scores`` are those of :func:`first_step`.
    """
    _, gradients, cam, *_ = STEPS[dataset][0]
    means = scores.groupby(["method", "metric"]).value.mean()
    names = {gradients: "integrated_gradients", cam: "grad_cam"}
    item = {"mnist1d": "top30%", "hmt": "top90%"}[dataset]
    numbers = {(names[name], metric, item): mean for (name, metric), mean in means.items()}
    return compare(dataset, numbers, convention)


def _rates(own, maps, fraction, fill, rule):
    asked = settings(RATES, fills=[fill], fractions=[fraction], rules=[rule])
    return faithfulness_scores(
        own.model, own.samples, own.target, maps,
        asked=asked, fills=own.fills, batch_size=own.batch_size,
    )  # fmt: skip


def table_of_steps(scores, dataset, clusters=None):
    """The means of :func:`take_apart` and their intervals in the order of :data:`STEPS`.

    One row a step, method and metric: step, method, map, metric, mean, low, high, samples.
    ``clusters`` as in :func:`xai_utils.study.statistics.summarize`.
    """
    summary = summarize(scores, clusters)
    known = summary.set_index(["method", "metric", "fraction", "fill", "rule"])
    rows = []
    for title, gradients, cam, *setting in STEPS[dataset]:
        for method, name in ((SOUND, gradients), (CAM, cam), ("random", "random")):
            for metric in ("drop_rate", "increase_rate") if name else ():
                found = known.loc[(name, metric, *setting), ["mean", "low", "high", "samples"]]
                rows.append({"step": title, "method": method, "map": name, "metric": metric, **found})
    return pd.DataFrame(rows)


def steps_of(dataset, own, clusters=None):
    """:func:`table_of_steps` and :func:`gaps_of_steps` of a set of samples of the course's network, or, where that
    is None, what another machine recorded."""
    if own is None:
        return tuple(recorded(dataset, name)[0] for name in ("steps", "gaps"))
    scores = take_apart(own)
    return tuple(make(scores, dataset, clusters) for make in (table_of_steps, gaps_of_steps))


def gaps_of_steps(scores, dataset, clusters=None):
    """How far Integrated Gradients is from Grad-CAM, and a random map from the better of both, by each
    rate at each of :data:`STEPS`; a method that a step does not concern is as it was in the one before.

    One row a step and rate: step, metric, integrated_gradients, grad_cam and random, their means; gap, the
    first less the second, with low, high and p; and random_is, "worse" where tests find both methods better
    than the random map, "better" where they find both worse, else "". The tests of the whole
    table are one family; ``clusters`` as in :func:`table_of_steps`.
    """
    values = scores.pivot(index="item", columns=["method", *SETTING], values="value")
    groups = None if clusters is None else [clusters[item] for item in values.index]
    rows, tables, latest = [], [], [None, None]
    for title, *maps, fraction, fill, rule in STEPS[dataset]:
        latest = [now or last for now, last in zip(maps, latest)]
        for metric in RATES:
            names = zip((SOUND, CAM, "random"), (*latest, "random"))
            own = {name: values[shown, metric, fraction, fill, rule] for name, shown in names}
            tables.append(pd.DataFrame(own))
            rows.append({"step": title, "metric": metric, **tables[-1].mean()})
    tests, _ = told_apart(tables, [groups] * len(tables))
    between = np.stack([own[SOUND] - own[CAM] for own in tables], axis=1)
    low, high = bootstrap_interval(between, groups)
    table = pd.DataFrame(rows).assign(gap=between.mean(axis=0), low=low, high=high)
    sign = table.metric.map({"drop_rate": -1, "increase_rate": 1})
    told = np.array([[p.loc[name, "random"] < LEVEL for p in tests] for name in (SOUND, CAM)])
    above = np.array([sign * (table[name] - table.random) > 0 for name in (SOUND, CAM)])
    worse, better = ((told & way).all(axis=0) for way in (above, ~above))
    random_is = np.select([worse, better], ["worse", "better"], "")
    return table.assign(p=[p.loc[SOUND, CAM] for p in tests], random_is=random_is)


def recorded(dataset, name):
    """What another machine found with the course's network: ``published`` numbers, ``steps``, ``gaps``
    or, of HMT, ``networks``.

    And the SHA-256 of the weights that it came from.
    """
    known = json.loads(RECORDED.read_text())[dataset]
    return pd.DataFrame(known[name]["data"], columns=known[name]["columns"]), known["weights_sha256"]


def record(profile):
    """Write what a run found with the course's weights to :data:`RECORDED`."""
    if not os.environ.get("XAI_COURSE_MODELS"):
        raise SystemExit("error: set XAI_COURSE_MODELS to the folder of the weights that were used")
    folder = files.results(profile)
    rows = pd.read_csv(folder / "reproduction.csv", dtype={"item": str}, keep_default_na=False)
    tables = json.loads((folder / "tables.json").read_text())
    rows = rows[(rows.weights == "course") & (rows.source == DELIVERABLE)]
    known = {}
    for dataset, file in (("mnist1d", "MNIST1D.h5"), ("hmt", "HMT.h5")):
        own = rows[rows.dataset == dataset].assign(weights="recorded")
        if f"{dataset}_steps" not in tables or own.empty:
            raise SystemExit(f"error: the run {profile} had no course weights for {dataset}")
        weights = files.REPOSITORY / os.environ["XAI_COURSE_MODELS"] / file
        known[dataset] = {
            "weights_sha256": files.file_sha256(weights),
            "published": json.loads(own.to_json(orient="split", index=False)),
            "steps": tables[f"{dataset}_steps"],
            "gaps": tables[f"{dataset}_gaps"],
        }
    known["hmt"]["networks"] = tables["hmt_networks"]
    files.write(RECORDED, json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Record what the course's weights gave in a run.")
    parser.add_argument("profile")
    record(parser.parse_args().profile)

"""The plan of the study: which samples are explained by which methods and scored in which settings.

It stands here once. Jobs compute it, cut by methods and samples; notebooks read what the jobs left, by
the same functions, and compute what is lacking.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xai_utils import metrics
from xai_utils.attributions import CONTROL_NAMES, METHODS, explain
from xai_utils.metrics import METRICS
from xai_utils.metrics.faithfulness import Answers
from xai_utils.models import batches, score_model
from xai_utils.run.files import profile_section
from xai_utils.run.profile import ProfileError
from xai_utils.run.sources import code_of
from xai_utils.run.store import digest
from xai_utils.study import disagreement, integrated_grad_cam, pictures, published, samples
from xai_utils.study.maps import NOT_FOLLOWED, by_cost, compute_maps, in_memory, maps_of_multiplied
from xai_utils.study.scores import compared_scores, curve_settings, faithfulness_scores

COURSE_FRACTION = {"mnist1d": 0.3, "hmt": 0.9}  # of the points, kept as the course asks
STUDIED = ("grad_cam", "integrated_gradients")  # the methods of the deliverable
FAMILY = ("grad_cam", "grad_cam_pp", "ablation_cam", "integrated_grad_cam")  # compared elsewhere
FRACTIONS, RULES = (0.15, 0.3, 0.5, 0.9), ("exact", "published")
FILLS = ("black", "mean", "blur")

TILE_METHODS = tuple(METHODS)
SIGNAL_METHODS = tuple(name for name in METHODS if name != "cam")  # not defined for the 1-D CNN
CHEAP = {"mnist1d": by_cost(SIGNAL_METHODS)[0], "hmt": by_cost(TILE_METHODS)[0]}
COSTLY = tuple(by_cost(TILE_METHODS)[1])
# On photographs: what is asked of every image, of some (CAM and XGrad-CAM are Grad-CAM, but for what it
# cuts off, where the feature maps are averaged and the logit is explained), and what one source compares.
PICTURE_METHODS = ("grad_cam", "grad_cam_pp", "ablation_cam", "integrated_grad_cam", *CONTROL_NAMES)
PICTURE_FURTHER = tuple(name for name in CHEAP["hmt"] if name not in PICTURE_METHODS)
BEAR_METHODS = ("cam", "grad_cam", "grad_cam_pp")


def explained(own, methods):
    """Explain the samples; returns how many maps were computed."""
    given = own.model, own.samples, own.target
    return sum(compute_maps(*given, m, own.options, own.batch_size)[1] for m in methods)


def maps(own, methods):
    """``{method: maps}`` of a set of samples, in memory."""
    every = lazy_maps(own, methods)
    return {name: in_memory(every[name], len(own), own.batch_size) for name in methods}


def lazy_maps(own, methods):
    """``{method: maps}`` that are read when they are asked for."""
    given = own.model, own.samples, own.target
    return {name: compute_maps(*given, name, own.options, own.batch_size)[0] for name in methods}


def maps_at(every, few, places, methods):
    """``{method: maps}`` of the samples at ``places`` of ``every``, which the costly methods explained
    where they are among the ``few`` too."""
    there = np.searchsorted(np.flatnonzero(np.isin(every.samples.names, few.samples.names)), places)
    found = {}
    for name in methods:
        own, index = (few, there) if METHODS[name].costly else (every, places)
        found[name] = lazy_maps(own, [name])[name][index]
    return found


def of_families(methods, *families):
    """Those of the methods that belong to one of the families, in their order."""
    return [name for name in methods if METHODS[name].family in families]


def _scored(own, methods, asked):
    return faithfulness_scores(
        own.model, own.samples, own.target, lazy_maps(own, methods),
        asked=asked, fills=own.fills, batch_size=own.batch_size,
    )  # fmt: skip


def task4(own, methods=(*STUDIED, *CONTROL_NAMES)):
    """Drop and Increase as the course asks for them, with black and with the mean in the place of the
    rest."""
    fraction = COURSE_FRACTION[own.dataset]
    fills = ("black", "mean")
    return _scored(own, methods, _rates(fills, [fraction], ["exact"]))


def orders(own, methods=FAMILY):
    """Drop and Increase of the methods that other reports compare, in their settings."""
    fractions = [0.15, COURSE_FRACTION[own.dataset]]
    return _scored(own, methods, _rates(["black"], fractions, ["exact"]))


def rates(own, methods):
    """All that is asked of every sample: :func:`task4` and :func:`orders`."""
    return pd.concat([task4(own), orders(own)])


def audit(own, methods):
    """Every metric of faithfulness that needs no second explanation, in every setting, and the points
    of the curves of insertion and deletion."""
    names = [n for n in metrics.of_family(metrics.FAITHFULNESS) if n not in metrics.NEEDS_AGAIN]
    grid = {"fractions": FRACTIONS, "fills": FILLS, "rules": RULES}
    return _scored(own, methods, metrics.settings(names, **grid) + curve_settings())


def audit_again(own, methods):
    """The metrics that need the maps of the input times its map, a batch at a time."""
    asked, tables = metrics.settings(metrics.NEEDS_AGAIN), []
    for part in batches(len(own), own.batch_size):
        some = own.take(np.arange(len(own))[part])
        given, once = (some.model, some.samples, some.target), maps(some, methods)
        again = maps_of_multiplied(*given, once, own.options, own.batch_size)
        how = {"asked": asked, "fills": {}, "again": again, "batch_size": own.batch_size}
        tables.append(faithfulness_scores(*given, once, **how))
    return pd.concat(tables, ignore_index=True)


def located(own, methods, rule=""):
    """How much of each map lies where the class stands."""
    return compared_scores(
        lazy_maps(own, methods), truth_of(own), own.samples.names,
        family=metrics.LOCALIZATION, rule=rule, batch_size=own.batch_size,
    )  # fmt: skip


def truth_of(own):
    """Where the class stands, bool ``(n, *space)``, in as many places as there are."""
    return own.truth if own.truth.ndim == own.samples.x.ndim - 1 else own.truth.any(axis=1)


def likeness(own, methods):
    """How alike the maps of the trained network and those under each other condition are."""
    trained = lazy_maps(own, methods)
    tables = [
        compared_scores(
            trained, lazy_maps(own.view(name), methods), own.samples.names,
            family=metrics.SAMENESS, rule=name, batch_size=own.batch_size,
        )
        for name in own.views
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def by_seed(own, methods):
    """The drop rates of the audit, by the exact rule, for the network of every seed: the column ``seed``."""
    asked = metrics.settings(["drop_rate"], fills=FILLS, fractions=FRACTIONS, rules=["exact"])
    return pd.concat(
        [_scored(seen, methods, asked).assign(seed=name) for name, seen in seeds_of(own).items()],
        ignore_index=True,
    )


def seeds_of(own):
    """``{seed: samples}`` of samples that the networks of several seeds explain.

    Each has draws of its own for the methods that draw at random: with the same masks, say, the maps of
    two networks would be alike for that.
    """
    drawing = [name for name, method in METHODS.items() if method.stochastic]
    found = {}
    for place, name in enumerate(own.views):
        options = own.options | {m: own.options.get(m, {}) | {"seed": place} for m in drawing}
        found[name] = dataclasses.replace(own.view(name), options=options)
    return found


def _rates(fills, fractions, rules):
    return metrics.settings(published.RATES, fills=fills, fractions=fractions, rules=rules)


def boxed(own, methods):
    """Where the maps lie, and Drop and Increase, as the paper on Integrated Grad-CAM asks for them."""
    fraction = integrated_grad_cam.FRACTION
    rated = _scored(own, methods, _rates(["black"], [fraction], ["exact"]))
    return pd.concat([located(own, methods), rated], ignore_index=True)


def taken_apart(own, methods):
    """The authors' implementation of Integrated Grad-CAM, changed step by step."""
    return integrated_grad_cam.take_apart(own)


def multiplied_and_removed(own, methods):
    """The two metrics of the source that explains bears: the input times its map, and the input without
    the top quarter."""
    asked = metrics.settings(BEAR_METRICS, fills=["black"])
    return _scored(own, methods, asked)


def in_first_step(own, methods):
    """Drop and Increase as they were published."""
    return published.first_step(own)


def by_network(own, methods):
    """What lies between the course's network and ours, one difference at a time."""
    return disagreement.drops(own)


def in_steps(own, methods):
    """The published comparison taken apart, on another network."""
    return published.take_apart(own)


def as_published(own, methods):
    """The published comparison taken apart, and its first step alone."""
    return pd.concat([published.take_apart(own), published.first_step(own)])


@dataclass(frozen=True)
class Work:
    """Samples to explain or to score.

    ``samples(profile)`` gives a :class:`SampleSet`, or None where it is not to be had; ``number`` is
    about how many: an entry of the profile, times so many. ``uses`` says what they come from.
    ``explain`` and ``score`` are functions of the samples and of methods, ``metrics`` those that are
    scored; what is scored was explained by the works in ``after``, or is explained as it is scored. With
    ``apart`` each costly method is a job of its own, else they are one together; the cheap ones always
    are. ``share`` is for how many of the cores a group of methods is cut by samples.
    """

    samples: Callable
    number: tuple
    uses: tuple
    methods: tuple = ()
    explain: Callable | None = None
    score: Callable | None = None
    metrics: tuple = ()
    after: tuple = ()
    apart: bool = False
    share: float = 0.5


SIGNALS, TILES, COURSE, PICTURES = "signals", "tiles", "course", "pictures"
# Works of so few samples are done together, in so many jobs: to start a job and to trace the graphs of
# its methods takes longer than they do.
FEW = {"mnist1d": 1000, "hmt": 16, "pictures": 250}
TOGETHER = {"mnist1d": 1, "hmt": 2, "pictures": 2}
PUBLISHED_METHODS = (*STUDIED, "random")
FAITHFUL = tuple(n for n in metrics.of_family(metrics.FAITHFULNESS) if n not in metrics.NEEDS_AGAIN)
SAME = tuple(metrics.of_family(metrics.SAMENESS))
BEAR_METRICS = ("multiplied_drop_rate", "multiplied_increase_rate", "removal_loss")
BOXED = (*published.RATES, *metrics.of_family(metrics.LOCALIZATION))
WORK = {
    "signals": Work(
        samples.signals, ("signals", 10), (SIGNALS,), CHEAP["mnist1d"], explained,
    ),
    "signals_few": Work(
        samples.signals_few, ("signals_few", 10), (SIGNALS,), COSTLY, explained,
    ),
    "signals_rates": Work(
        samples.signals, ("signals", 10), (SIGNALS,),
        score=rates, metrics=published.RATES, after=("signals",),
    ),
    "signals_audited": Work(
        samples.signals_audited, ("signals_audited", 10), (SIGNALS,), SIGNAL_METHODS,
        score=audit, metrics=FAITHFUL, after=("signals", "signals_few"),
    ),
    "signals_again": Work(
        samples.signals_again, ("signals_again", 10), (SIGNALS,), SIGNAL_METHODS,
        score=audit_again, metrics=metrics.NEEDS_AGAIN, after=("signals", "signals_few"),
    ),
    "signals_sanity": Work(
        samples.signals_sanity, ("signals_sanity", 10), (SIGNALS,), SIGNAL_METHODS,
        score=likeness, metrics=SAME,
    ),
    "signals_seeds": Work(
        samples.signals_seeds, ("signals_seeds", 10), (SIGNALS,), SIGNAL_METHODS,
        score=by_seed, metrics=("drop_rate",),
    ),
    "signals_steps": Work(
        samples.signals, ("signals", 10), (SIGNALS,), PUBLISHED_METHODS,
        score=in_steps, metrics=published.RATES,
    ),
    "course_signals": Work(
        samples.course_signals, ("signals", 10), (COURSE,), PUBLISHED_METHODS,
        score=as_published, metrics=published.RATES,
    ),
    "tiles": Work(
        samples.tiles, ("tiles", 8), (TILES,), CHEAP["hmt"], explained, share=1,
    ),
    "tiles_few": Work(
        samples.tiles_few, ("tiles_few", 8), (TILES,), COSTLY, explained, apart=True,
    ),
    "tiles_rates": Work(
        samples.tiles, ("tiles", 8), (TILES,),
        score=rates, metrics=published.RATES, after=("tiles",),
    ),
    "tiles_audited": Work(
        samples.tiles_audited, ("tiles_audited", 8), (TILES,), TILE_METHODS,
        score=audit, metrics=FAITHFUL, after=("tiles", "tiles_few"),
    ),
    "tiles_again": Work(
        samples.tiles_again, ("tiles_again", 8), (TILES,), TILE_METHODS,
        score=audit_again, metrics=metrics.NEEDS_AGAIN, after=("tiles", "tiles_few"),
    ),
    "tiles_sanity": Work(
        samples.tiles_sanity, ("tiles_sanity", 1), (TILES,), TILE_METHODS,
        score=likeness, metrics=SAME,
    ),
    "tiles_seeds": Work(
        samples.tiles_seeds, ("tiles_seeds", 8), (TILES,), TILE_METHODS,
        score=by_seed, metrics=("drop_rate",),
    ),
    "tiles_steps": Work(
        samples.tiles_steps, ("course_steps", 8), (TILES,), PUBLISHED_METHODS,
        score=in_steps, metrics=published.RATES,
    ),
    "course_tiles": Work(
        samples.course_tiles, ("course_tiles", 8), (TILES, COURSE), PUBLISHED_METHODS,
        score=in_first_step, metrics=published.RATES, share=1,
    ),
    "course_steps": Work(
        samples.course_steps, ("course_steps", 8), (TILES, COURSE), PUBLISHED_METHODS,
        score=as_published, metrics=published.RATES, share=1,
    ),
    "course_networks": Work(
        disagreement.explained, ("course_steps", 8), (TILES, COURSE), PUBLISHED_METHODS,
        score=by_network, metrics=("drop_rate",), share=1,
    ),
    "mosaics": Work(
        samples.mosaic, ("mosaics", 1), (TILES,), TILE_METHODS, explained,
    ),
    "mosaics_twice": Work(
        samples.mosaic_twice, ("mosaics_twice", 1), (TILES,), CHEAP["hmt"], explained,
    ),
    "synthetic": Work(
        samples.synthetic, ("synthetic", 7), (TILES,), CHEAP["hmt"], explained,
    ),
    "voc": Work(
        pictures.voc_pairs, ("voc", 1), (PICTURES,), PICTURE_METHODS,
        score=boxed, metrics=BOXED, share=1,
    ),
    "voc_some": Work(
        pictures.voc_some, ("voc_some", 1), (PICTURES,), PICTURE_FURTHER,
        score=boxed, metrics=BOXED,
    ),
    "voc_few": Work(
        pictures.voc_few, ("voc_few", 1), (PICTURES,), COSTLY,
        score=boxed, metrics=BOXED,
    ),
    "voc_steps": Work(
        pictures.voc_steps, ("voc_steps", 1), (PICTURES,),
        score=taken_apart, metrics=BOXED,
    ),
    "voc_several": Work(
        pictures.voc_several, ("voc", 0.3), (PICTURES,), (*BEAR_METHODS, "random"),
        score=multiplied_and_removed, metrics=BEAR_METRICS,
    ),
    "photographs": Work(
        pictures.photographs_every, ("photographs", 1), (PICTURES,), (*BEAR_METHODS, "random"),
        score=multiplied_and_removed, metrics=BEAR_METRICS,
    ),
    "bears": Work(
        pictures.bears, ("photographs_few", 2), (PICTURES,), BEAR_METHODS, explained,
    ),
    "photographs_few": Work(
        pictures.photographs_few, ("photographs_few", 2), (PICTURES,), TILE_METHODS, explained,
    ),
}  # fmt: skip


def jobs(profile, source, with_course, number):
    """Every job of a profile, ``{name: description}``, for about ``number`` at a time.

    ``source`` is that of the tiles, ``with_course`` whether the course's weights are here. A
    description says which rule it belongs to, which part of the work it is, which jobs it waits for, and
    a hash of the code and settings that it depends on.
    """
    found = {}
    check_options(profile)
    for network, function in TRAININGS.items():
        wanted = profile_section(profile, "samples" if network == PICTURES else "networks")
        code = digest(code_of(function, NOT_FOLLOWED), wanted)
        if network == TILES and not wanted["retrain"]:
            continue
        job = {"rule": "train", "network": network, "works": {}, "uses": [network], "priority": 3}
        found[f"train-{network}"] = job | {"needs": [], "code": code}
    for rule in ("explain", "score"):  # what is scored waits for what explains it
        small = {dataset: [] for dataset in FEW}
        for name, work in WORK.items():
            if getattr(work, rule) is None or not _is_here(work, source, with_course):
                continue
            if is_small(profile, work):
                small[dataset_of(work)].append(name)
            else:
                found |= _cut(profile, name, rule, number, found)
        for dataset, names in small.items():
            found |= _together(profile, dataset, names, rule, number, found)
    return found


def check_options(profile):
    """Raises ProfileError for samples, methods or options of methods that are not known."""
    for dataset, methods in profile_section(profile, "options").items():
        if dataset not in FEW:
            raise ProfileError(
                f"{profile}.yaml: options has {dataset}, which is none of {', '.join(FEW)}"
            )
        for name, options in methods.items():
            if name not in METHODS:
                raise ProfileError(
                    f"{profile}.yaml: options of {dataset} has {name}, which is no method"
                )
            known = inspect.signature(METHODS[name].function).parameters
            for option, value in options.items():
                if option not in known or known[option].kind is not inspect.Parameter.KEYWORD_ONLY:
                    raise ProfileError(f"{profile}.yaml: {name} has no option {option}")
                if isinstance(value, (list, dict, type(None))):
                    raise ProfileError(f"{profile}.yaml: {option} of {name} has to be one value")


def _is_here(work, source, with_course):
    """Whether the network of a work is to be had, and the tiles that it was made for."""
    return COURSE not in work.uses or (
        with_course and (source != "synthetic" or TILES not in work.uses)
    )


def is_small(profile, work):
    """Whether a work is done together with others. Those on the course's networks never are: they are
    not cut by methods."""
    return COURSE not in work.uses and number_of(profile, work) <= FEW[dataset_of(work)]


def number_of(profile, work):
    """About how many samples a work has."""
    entry, times = work.number
    return math.ceil(samples.count(profile, entry) * times)


def _cut(profile, name, rule, number, found):
    """The jobs of one rule of a work: a group of methods and a part of the samples each."""
    work = WORK[name]
    most = -(-number_of(profile, work) // samples.BATCH[dataset_of(work)])
    parts = min(most, max(1, math.ceil(work.share * number)))
    return {
        f"{rule}-{name}-{group}-{part}": _job(profile, rule, {name: methods}, [part, parts], found)
        for group, methods in groups(work).items()
        for part in range(parts)
    }


def _together(profile, dataset, names, rule, number, found):
    """The jobs of one rule of several works: some methods of each, the same for all."""
    most, made = min(number, TOGETHER[dataset]), {}
    for place in range(most):
        mine = list(METHODS)[place::most]
        works = {name: [m for m in WORK[name].methods if m in mine] for name in names}
        # What is not cut by methods is done by the first.
        works = {name: own for name, own in works.items() if own or not (place or WORK[name].methods)}
        if works:
            made[f"{rule}-small-{dataset}-{place}"] = _job(profile, rule, works, [0, 1], found)
    return made


def _job(profile, rule, works, part, found):
    """The description of a job: ``works`` is ``{name: methods}``, ``part`` which of how many parts of
    the samples."""
    options = profile_section(profile, "options").get(dataset_of(WORK[next(iter(works))]), {})
    asked = dict.fromkeys(method for methods in works.values() for method in methods)
    own = {method: options[method] for method in asked if method in options}
    code = [_code(WORK[name], rule, methods) for name, methods in works.items()]
    awaited = {other for work in WORK.values() for other in work.after}
    return {
        "rule": rule,
        "works": works,
        "part": part,
        "uses": list(dict.fromkeys(used for name in works for used in WORK[name].uses)),
        "priority": 2 if awaited & works.keys() else 1,
        "needs": _needs(profile, rule, works, found),
        "code": digest(code, profile_section(profile, "samples"), own, part[1]),
    }


def dataset_of(work):
    """Which samples a work has: signals, tiles or pictures."""
    if PICTURES in work.uses:
        return "pictures"
    return "hmt" if TILES in work.uses else "mnist1d"


def groups(work):
    """``{name: methods}`` of the methods of a work that are one job together."""
    if not work.methods:
        return {"all": ()}
    cheap, costly = by_cost(work.methods)
    dear = {name: (name,) for name in costly} if work.apart else {"costly": tuple(costly)}
    every = {"cheap": tuple(cheap), **dear}
    return {name: methods for name, methods in every.items() if methods}


def _needs(profile, rule, works, found):
    """The trainings of the networks that are not shipped and, of what is scored, the jobs that explain
    it."""

    def explains(job):
        return any(
            set(job["works"].get(source, ())) & set(methods or METHODS)
            for name, methods in works.items()
            for source in WORK[name].after
        )

    used = {network for name in works for network in WORK[name].uses}
    used = used if samples.retrain(profile) else used & {PICTURES}
    return [
        name
        for name, job in found.items()
        if (job["rule"] == "train" and job["network"] in used)
        or (rule == "score" and job["rule"] == "explain" and explains(job))
    ]


def _code(work, rule, methods):
    """The hashes of the code behind a job: of the samples, the methods or metrics, and the rest."""
    tables = (*NOT_FOLLOWED, "METRICS", "CURVES", "WORK")
    code = [code_of(work.samples, tables), code_of(getattr(work, rule), tables)]
    code += [code_of(METHODS[name].function) for name in methods] + [code_of(explain, tables)]
    if rule == "score":
        code += [code_of(METRICS[name].function) for name in work.metrics] + [
            code_of(Answers),
            code_of(score_model),
        ]
    return code


def train_signals(profile):
    """The 1-D CNN that is looked at; where the profile asks for it, every seed of every recipe."""
    samples.signal_training(profile)
    samples.signal_recipes(profile)


def train_tiles(profile):
    """The VGG-7, where the profile asks for it: every seed and every fold, and without and with black."""
    samples.tissue_network(profile)
    if samples.tissue_folds(profile):
        samples.blackened_networks(profile)


TRAININGS = {SIGNALS: train_signals, TILES: train_tiles, PICTURES: pictures.train_pictures}


def run_job(profile, job):
    """Do one of the jobs."""
    if job["rule"] == "train":
        TRAININGS[job["network"]](profile)
    for name, methods in job["works"].items():
        own = part_of(WORK[name].samples(profile), *job["part"])
        if len(own):
            getattr(WORK[name], job["rule"])(own, methods)


def part_of(own, part, parts):
    """One of so many parts of the samples, each of whole batches, so that the batches are the same
    however many parts there are."""
    cut = np.array_split(np.arange(len(own)), range(own.batch_size, len(own), own.batch_size))
    mine = [
        places
        for share in np.array_split(np.arange(len(cut)), parts)[part : part + 1]
        for places in share
    ]
    places = [cut[index] for index in mine]
    return own.take(np.concatenate(places) if places else np.arange(0))

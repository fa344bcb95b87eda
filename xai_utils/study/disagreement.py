"""Why the course's VGG-7 and ours say different things of the same maps: one difference at a time.

With black in the place of a tenth of the pixels, a random choice of them costs the course's network little
and ours much. What differs is tried alone: the size of the tiles, how sure the network is, whether it was
trained on tiles with black in them; and whether single pixels are chosen, or blocks as large as ours averages.
"""

import dataclasses
import functools

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import softmax

from xai_utils.metrics import sanity, settings
from xai_utils.networks.architectures import vgg7
from xai_utils.networks.weights import load_weights
from xai_utils.study import classification, samples
from xai_utils.study.maps import firsts, maps_of, predictions
from xai_utils.study.scores import faithfulness_scores
from xai_utils.study.statistics import bootstrap_interval, told_apart

FRACTION = 0.9  # of the pixels, kept as the course asks
PAIR = ("integrated_gradients", "grad_cam")
TITLES = {
    "course": "the course's network",
    "course_small": "the course's on smaller tiles",
    "ours": "our network",
    "large": "ours on larger tiles",
    "unsure": "ours with the course's confidence",
    "short": "ours with fewer epochs",
    "blackened": "the same with black in the training",
}
# What a network differs from by one change.
BEFORE = {
    "ours": "course", "course_small": "course", "large": "ours", "unsure": "ours", "blackened": "short",
}  # fmt: skip


def softened(model, temperature):
    """The VGG-7 with its logits divided by a temperature (Guo et al., 2017, eq. 9)."""
    copy = sanity.randomized(model, [])
    dense = copy.get_layer("dense")
    dense.set_weights([weights / temperature for weights in dense.get_weights()])
    return copy


def temperature_for(probabilities, confidence):
    """The temperature at which a network that answers ``probabilities`` ``(n, classes)`` is ``confidence``
    sure on average."""
    logits = np.log(np.maximum(probabilities, 1e-30))

    def excess(temperature):
        return softmax(logits / temperature, axis=1).max(axis=1).mean() - confidence

    return brentq(excess, 0.01, 100)


@functools.cache
def networks(profile):
    """The networks of :data:`TITLES`, ``{name: (model, all test tiles as it takes them)}``; None where the
    tiles or the course's weights are not here."""
    course = samples.course_tiles(profile)
    if course is None:
        return None
    ours, *_ = samples.tissue_network(profile)
    tiles, large = samples.test_tiles(profile), samples.large_test_tiles(profile)
    sure = predictions(course.model, large).max(axis=1).mean()
    temperature = temperature_for(predictions(ours, tiles), sure)
    others = samples.blackened_networks(profile)
    short, blackened = (load_weights(vgg7(), path) for path, _ in others.values())
    return {
        "course": (course.model, large),
        "course_small": (course.model, tiles),
        "ours": (ours, tiles),
        "large": (ours, large),
        "unsure": (softened(ours, temperature), tiles),
        "short": (short, tiles),
        "blackened": (blackened, tiles),
    }


def explained(profile):
    """The tiles of the published comparison under each of :func:`networks`; None where these are."""
    own, every = samples.course_steps(profile), networks(profile)
    if own is None:
        return None
    places = firsts(every["course"][1].y, samples.count(profile, "course_steps"))
    views = {
        name: (lambda model=model: model, tiles.take(places)) for name, (model, tiles) in every.items()
    }
    return dataclasses.replace(own, views=views)


def random_blocks(maps, size=3):
    """Random maps ``(n, height, width)`` whose points stand for blocks of ``size`` × ``size``."""
    blocks = maps[:, ::size, ::size].repeat(size, axis=1).repeat(size, axis=2)
    return blocks[:, : maps.shape[1], : maps.shape[2]]


def drops(own):
    """``{network: items × methods}``: the drop rates of the methods, of a random map and of random blocks,
    black in the place of the rest, for the class that each network predicts; ``own`` as :func:`explained`
    gives them."""
    found = {}
    for name in own.views:
        seen = own.view(name)
        target = predictions(seen.model, seen.samples).argmax(axis=1)
        given = seen.model, seen.samples, target
        maps = maps_of(*given, (*PAIR, "random"), seen.options)
        maps["blocks"] = random_blocks(maps["random"])
        asked = settings(["drop_rate"], fills=["black"], fractions=[FRACTION], rules=["exact"])
        scores = faithfulness_scores(*given, maps, asked=asked, fills={"black": 0.0})
        found[name] = scores.pivot(index="item", columns="method", values="value")[list(maps)]
    return found


def compared(every, tables, clusters):
    """How right and sure each network is on all test tiles, and what removing a tenth costs it, a row each.

    ``every`` are :func:`networks`, ``tables`` their :func:`drops`. Columns: network, its key, and title; accuracy, confidence and
    calibration_error; the mean drop rates by method, of a random map and of random blocks; gap, the first of
    :data:`PAIR` less the second, with low, high and p; change, of the random map from the network
    :data:`BEFORE`, with change_low, change_high and change_p. All tests are one family.
    """
    rows = []
    for name, (model, tiles) in every.items():
        said = predictions(model, tiles)
        confidence, correct = said.max(axis=1), said.argmax(axis=1) == tiles.y
        error = classification.expected_calibration_error(
            classification.calibration(confidence, correct)
        )
        row = {"network": name, "title": TITLES[name], "accuracy": correct.mean()}
        row |= {"confidence": confidence.mean(), "calibration_error": error}
        rows.append({**row, **tables[name].mean()})
    random = pd.DataFrame({name: own.random for name, own in tables.items()})
    groups = np.array([clusters[item] for item in random.index])
    tests, _ = told_apart([*tables.values(), random], [groups] * (len(tables) + 1))
    gaps = [own[PAIR[0]] - own[PAIR[1]] for own in tables.values()]
    changes = [random[name] - random[BEFORE.get(name, name)] for name in tables]
    between = np.stack([*gaps, *changes], axis=1)
    intervals = np.split(np.transpose([between.mean(axis=0), *bootstrap_interval(between, groups)]), 2)
    table = pd.DataFrame(rows).assign(samples=len(groups))
    table[["gap", "low", "high"]] = intervals[0]
    table["p"] = [p.loc[PAIR] for p in tests[:-1]]
    table[["change", "change_low", "change_high"]] = intervals[1]
    return table.assign(change_p=[tests[-1].loc[name, BEFORE.get(name, name)] for name in tables])

"""Why the course's VGG-7 and ours say different things of the same maps: one difference at a time.

With black in the place of a tenth of the pixels, a random choice of them costs the course's network little
and ours much. What differs is tried alone: the size of the tiles, how sure the network is, whether it was
trained on tiles with black in them; and whether single pixels are chosen, or blocks as large as ours averages.
"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import softmax

from xai_utils.metrics import settings
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
    copy = vgg7()
    *convolutions, kernel, bias = model.get_weights()
    copy.set_weights([*convolutions, kernel / temperature, bias / temperature])
    return copy


def temperature_for(probabilities, confidence):
    """The temperature at which a network that answers ``probabilities`` ``(n, classes)`` is ``confidence``
    sure on average."""
    logits = np.log(np.maximum(probabilities, 1e-30))

    def excess(temperature):
        return softmax(logits / temperature, axis=1).max(axis=1).mean() - confidence

    return brentq(excess, 0.01, 100)


def networks(profile):
    """The networks of :data:`TITLES`, ``{name: (model, test tiles as it takes them, options)}``; None where
    the tiles or the course's weights are not here."""
    course = samples.course_tiles(profile)
    if course is None:
        return None
    ours, theirs = samples.tiles(profile), (course.model, samples.large_test_tiles(profile))
    tiles, large = samples.test_tiles(profile), theirs[1]
    sure = predictions(*theirs).max(axis=1).mean()
    temperature = temperature_for(predictions(ours.model, tiles), sure)
    others = samples.blackened_networks(profile)
    short, blackened = (load_weights(vgg7(), path) for path, _ in others.values())
    return {
        "course": (*theirs, course.options),
        "course_small": (course.model, tiles, course.options),
        "ours": (ours.model, tiles, ours.options),
        "large": (ours.model, large, ours.options),
        "unsure": (softened(ours.model, temperature), tiles, ours.options),
        "short": (short, tiles, ours.options),
        "blackened": (blackened, tiles, ours.options),
    }


def random_blocks(maps, size=3):
    """Random maps ``(n, height, width)`` whose points stand for blocks of ``size`` × ``size``."""
    blocks = maps[:, ::size, ::size].repeat(size, axis=1).repeat(size, axis=2)
    return blocks[:, : maps.shape[1], : maps.shape[2]]


def drops(model, tiles, options, number):
    """The drop rates of the methods, of a random map and of random blocks, black in the place of the rest, of
    the first ``number`` tiles of each class and the class that the network predicts: items × methods."""
    own = tiles.take(firsts(tiles.y, number))
    target = predictions(model, own).argmax(axis=1)
    maps = maps_of(model, own, target, (*PAIR, "random"), options)
    maps["blocks"] = random_blocks(maps["random"])
    asked = settings(["drop_rate"], fills=["black"], fractions=[FRACTION], rules=["exact"])
    scores = faithfulness_scores(model, own, target, maps, asked=asked, fills={"black": 0.0})
    return scores.pivot(index="item", columns="method", values="value")[list(maps)]


def compared(every, number, clusters):
    """How right and sure each network is on all test tiles, and what removing a tenth costs it, a row each.

    ``every`` are :func:`networks`. Columns: network, its key, and title; accuracy, confidence and
    calibration_error; the mean drop rates by method, of a random map and of random blocks; gap, the first of
    :data:`PAIR` less the second, with low, high and p; change, of the random map from the network
    :data:`BEFORE`, with change_low, change_high and change_p. All tests are one family.
    """
    rows, tables = [], {}
    for name, (model, tiles, options) in every.items():
        said = predictions(model, tiles)
        confidence, correct = said.max(axis=1), said.argmax(axis=1) == tiles.y
        error = classification.expected_calibration_error(
            classification.calibration(confidence, correct)
        )
        tables[name] = drops(model, tiles, options, number)
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

"""The authors' own implementation of Integrated Grad-CAM, one change at a time on the way to its paper.

It leaves the mean of the pixels in, takes the points of the path from the baseline on and not those up
to the image, and does not subtract the feature maps of the baseline, as eq. 5 of the paper does. That it
adds the rectified maps of the points is what eq. 6 says too, but for a factor.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from xai_utils import metrics
from xai_utils.attributions.cam import distinct_inputs, features_of, path_step, upsample
from xai_utils.study.maps import compute_by
from xai_utils.study.scores import compared_scores, faithfulness_scores
from xai_utils.study.statistics import summarize

MIDDLE = 0.5  # of the range of the pixels, which the preprocessing takes off
FRACTION = 0.15  # of the points, kept


class Step(NamedTuple):
    """Whether the network sees pixels from which the mean was taken off, the number of the first point of
    the path, and whether the feature maps of the baseline are subtracted."""

    centred: bool
    first: int
    subtracted: bool


STEPS = {
    "as its code": Step(False, 0, False),
    "mean subtracted": Step(True, 0, False),
    "points up to the image": Step(True, 1, False),
    "minus the baseline": Step(True, 1, True),
}


def path_maps(model, x, target, *, centred, first, subtracted, steps=50):
    """The sum of the rectified maps at ``steps`` points of the path from black."""
    shift = np.float32(0 if centred else MIDDLE)
    start = features_of(model, np.zeros_like(x[:1]) + shift, score="logit", layer=None)[1]
    start = start if subtracted else np.zeros_like(start)
    distinct, own = distinct_inputs(model, x, None)
    total = 0
    for number in range(first, first + steps):
        point = number / np.float32(steps) * distinct + shift
        total += path_step(model, point, own, target, start, score="logit", layer=None)
    return upsample(total, x.shape[1:-1]).numpy()


def take_apart(own):
    """Drop, Increase, energy and Bbox of every sample for the maps of each of :data:`STEPS`, in the form
    of :func:`xai_utils.metrics.evaluate`; the step stands as the method."""
    given = own.model, own.samples, own.target
    maps = {
        name: compute_by(*given, path_maps, own.batch_size, **step._asdict())[0]
        for name, step in STEPS.items()
    }
    asked = metrics.settings(("drop_rate", "increase_rate"), fills=["black"], fractions=[FRACTION], rules=["exact"])  # fmt: skip
    how = {"asked": asked, "fills": own.fills, "batch_size": own.batch_size}
    inside = {"family": metrics.LOCALIZATION, "batch_size": own.batch_size}
    located = compared_scores(maps, own.truth, own.samples.names, **inside)
    return pd.concat([faithfulness_scores(*given, maps, **how), located], ignore_index=True)


def table_of_steps(scores, clusters):
    """The means of :func:`take_apart` with intervals, a row a step."""
    summary = summarize(scores, clusters)
    cells = summary.pivot(index="method", columns="metric", values="mean")
    return cells.loc[list(STEPS)].rename_axis("step").reset_index().rename_axis(columns=None)

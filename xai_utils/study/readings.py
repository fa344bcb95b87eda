"""What can be read off maps and samples without an expert, for all of them and not for the shown ones.

Masks name places of an input: the template of a signal, a tile's rim, its darkest pixels, where nuclei
are. How much of a map lies in one is told beside the share of the input that it takes.
"""

import numpy as np
from scipy.stats import fisher_exact

from xai_utils.metrics.localization import chance, energy
from xai_utils.models import batches, target_scores
from xai_utils.study.statistics import bootstrap_interval

PATH = np.linspace(0, 1, 26)  # from an input without anything to the sample
SATURATED = 0.99  # of the probability at the end of the path


def rim(shape, width):
    """Whether a pixel of an image ``(height, width)`` is at most ``width`` from its border."""
    inner = np.zeros(shape, bool)
    inner[width:-width, width:-width] = True
    return ~inner


def darkest(images, share=0.25):
    """The darkest pixels of each image ``(n, height, width, 3)``, exactly that share of them."""
    brightness = images.mean(axis=-1).reshape(len(images), -1)
    count = int(share * brightness.shape[1] + 0.5)
    order = np.argsort(brightness, axis=1, kind="stable")[:, :count]
    chosen = np.zeros(brightness.shape, bool)
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen.reshape(images.shape[:-1])


def marked(maps, masks, clusters=None):
    """How much of the positive part of maps lies in masks, bool ``(n, *space)``, on average.

    ``maps`` is ``{method: (n, *space)}``, ``clusters`` ``(n,)``. Returns ``{method: {mean, low, high}}``
    and as ``"area"`` the share of the input that the masks take.
    """
    shares = np.stack([energy(own, masks) for own in maps.values()], axis=1)
    low, high = bootstrap_interval(shares, clusters)
    found = {
        name: {"mean": float(mean), "low": float(start), "high": float(end)}
        for name, mean, start, end in zip(maps, shares.mean(axis=0), low, high)
    }
    return found | {"area": float(chance(masks).mean())}


def template_fits(signals, sizes, templates):
    """How well each template fits a signal where it fits best, ``(n, templates)``: the largest correlation
    over the places of as many points as the signal's own template has, ``sizes`` ``(n,)``.

    Flat places resemble nothing.
    """
    fits = np.empty((len(signals), len(templates)))
    for row, (signal, size) in enumerate(zip(signals, sizes)):
        windows = np.lib.stride_tricks.sliding_window_view(signal, size)
        windows = windows[np.ptp(windows, axis=1) > 0]
        length = templates.shape[1]
        resized = [np.interp(np.linspace(0, length - 1, size), np.arange(length), t) for t in templates]
        fits[row] = np.corrcoef(windows, resized)[: len(windows), len(windows) :].max(axis=0)
    return fits


def misfits(fits, y, predicted):
    """Of how many wrong and of how many right predictions another template than the sample's own fits it better;
    ``p``, that it is as frequent among both (Fisher's exact test); and how often the best fit is the class."""
    misfit = fits.argmax(axis=1) != y
    wrong = predicted != y
    counts = [[int(np.sum(misfit[group])), int(np.sum(~misfit[group]))] for group in (wrong, ~wrong)]
    return {
        "errors": int(wrong.sum()),
        "wrong": counts[0][0],
        "right": float(np.mean(misfit[~wrong])),
        "p": float(fisher_exact(counts).pvalue),
        "accuracy": float(np.mean(~misfit)),
    }


def along_path(model, x, target, batch_size=32):
    """The probability and the score of the explained class at :data:`PATH`, from zero to the sample, each
    ``(n, places)``, and how fast the score rises there."""
    found = {"probability": [], "logit": []}
    for part in batches(len(x), batch_size):
        for score, rows in found.items():
            points = [target_scores(model, a * x[part], target[part], score=score) for a in PATH]
            rows.append(np.stack(points, axis=1))
    probability, logit = (np.concatenate(rows) for rows in found.values())
    return probability, logit, np.gradient(logit, PATH, axis=1)


def saturation(probability, slope):
    """Where on the path the probability has all but reached its end, and how steep the score is there, as a
    share of its mean slope on the way; medians over the samples."""
    reached = probability >= SATURATED * probability[:, -1:]
    stays = np.flip(np.minimum.accumulate(np.flip(reached, axis=1), axis=1), axis=1)
    return {
        "samples": len(probability),
        "reached": float(np.median(PATH[stays.argmax(axis=1)])),
        "end": float(np.median(slope[:, -1] / slope.mean(axis=1))),
    }

"""Is a map true to the model? Drop and Increase, what the model still thinks when only the salient
part is left to it, and completeness, whether a map adds up to what it should."""

import numpy as np

from xai_utils.models import predict, score_model

RULES = ("exact", "published")


def drop(confidence, masked_confidence):
    """``max(0, 1 - masked/full)`` of each sample: how much of the confidence is lost."""
    return np.maximum(0.0, 1 - masked_confidence / confidence)


def increase(confidence, masked_confidence):
    """1.0 where the masked input is classified with more confidence than the full one, else 0.0."""
    return np.where(
        np.isnan(masked_confidence), np.nan, (masked_confidence > confidence).astype(float)
    )


def masked_confidence(model, x, maps, target, *, fraction, fill=0.0, rule="exact", batch_size=32):
    """The probability ``(n,)`` of each sample's target when only its salient points are kept.

    ``model`` gives probabilities. ``fill`` takes the place of the others; it broadcasts against
    ``x``. A sample whose map is not finite everywhere has no salient points: its confidence is NaN.
    """
    keep = salient_points(maps, fraction, rule)[..., np.newaxis]
    masked = np.where(keep, x, np.float32(fill)).astype(np.float32)
    probabilities = predict(model, masked, batch_size)
    kept = probabilities[np.arange(len(x)), target].astype(float)
    return np.where(_is_defined(maps), kept, np.nan)


def salient_points(maps, fraction, rule="exact"):
    """Which points of each map ``(n, *space)`` belong to its top ``fraction``, bool, same shape.

    ``"exact"`` keeps ``⌊fraction·n + 0.5⌋`` points, of equal ones the first in reading order.
    ``"published"`` is the rule of the deliverable: all above the ``⌊fraction·n⌋``-th largest
    value, so at least one fewer, and none of those equal to it: a constant map keeps nothing.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}; it must be above 0 and at most 1")
    flat = np.asarray(maps).reshape(len(maps), -1)
    size = flat.shape[1]
    if rule == "exact":
        order = np.argsort(-flat.astype(float), axis=1, kind="stable")
        keep = np.zeros(flat.shape, bool)
        np.put_along_axis(keep, order[:, : int(fraction * size + 0.5)], True, axis=1)
    elif rule == "published":
        place = int(size * fraction)
        keep = flat > np.sort(flat, axis=1)[:, size - place, np.newaxis]
    else:
        raise ValueError(f"rule is {rule!r}; it must be one of {', '.join(RULES)}")
    return keep.reshape(np.shape(maps))


def _is_defined(maps):
    return np.isfinite(maps).all(axis=tuple(range(1, np.ndim(maps))))


def completeness_gap(model, x, target, maps, baseline=0.0):
    """How far each map's sum is from the change of the logit between ``baseline`` and the sample.

    As a share of that change, of at least half a unit (Sundararajan 2017, prop. 1).
    """
    scores, each = score_model(model), np.arange(len(x))
    start = np.broadcast_to(np.float32(baseline), x.shape)
    change = predict(scores, x)[each, target] - predict(scores, start)[each, target]
    sums = maps.reshape(len(maps), -1).sum(axis=1)
    return np.abs(sums - change) / np.maximum(np.abs(change), 0.5)

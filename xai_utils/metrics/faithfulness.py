"""Is a map true to the model? What the model still thinks when parts of the input are taken away,
and completeness, whether a map adds up to what it should.

A metric is a function ``(answers, **setting)`` that returns one value a sample, ``(n,)``; see
:class:`Answers`. Where a map is not finite the value is NaN.
"""

from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage
from sklearn.metrics import auc

from xai_utils.graphs import graph
from xai_utils.models import batches, of_target, passes_at_once, target_scores

RULES = ("exact", "first", "published")
PLACES = (0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 1)  # of the curves, in shares of the points


@dataclass(frozen=True, eq=False)
class Answers:
    """The probabilities ``(n,)`` that a model gives the target when the maps of one method decide
    what it sees. Each question is asked once, whatever the number of metrics that ask it.

    ``model`` gives probabilities. ``fills`` maps names to what takes the place of removed points: a
    number or array that broadcasts against a sample, or a function that makes it of the input ``x``.
    ``again`` are the maps of the same method for the input
    multiplied by ``maps``; only coherency needs them. ``without_maps`` keeps the answers that depend
    on no map, for all methods.
    """

    model: keras.Model
    x: np.ndarray
    target: np.ndarray
    maps: np.ndarray
    fills: dict
    without_maps: dict
    again: np.ndarray | None = None
    given: dict = field(default_factory=dict)
    masks: dict = field(default_factory=dict)

    def full(self):
        """For the input as it is."""
        return self._once("full", self.without_maps, self.x)

    def blank(self, fill):
        """For the fill alone."""
        nothing = np.zeros(self.x.shape[:-1], bool)
        return self._once(("blank", fill), self.without_maps, self.x, nothing, fill)

    def kept(self, fraction, fill, rule):
        """When only the salient points are left, the others take the value of the fill."""
        keep = self._salient(fraction, rule)
        return self._asked(("kept", fraction, fill, rule), self.x, keep, fill)

    def removed(self, fraction, fill):
        """When the salient points take the value of the fill."""
        lost = self._salient(fraction, "exact")
        return self._asked(("removed", fraction, fill), self.x, ~lost, fill)

    def multiplied(self):
        """When the input is multiplied by the map, scaled to [0, 1]."""
        return self._asked("multiplied", multiplied(self.x, self.maps))

    def _asked(self, question, *seen):
        return np.where(is_defined(self.maps), self._once(question, self.given, *seen), np.nan)

    def _once(self, question, memory, x, keep=None, fill=None):
        if question not in memory:
            other = 0.0 if fill is None else self._fill(fill)
            memory[question] = confidence(self.model, x, self.target, keep, other)
        return memory[question]

    def _salient(self, fraction, rule):
        """The points of each map, found once for all fills."""
        if (fraction, rule) not in self.masks:
            self.masks[fraction, rule] = salient_points(self.maps, fraction, rule)
        return self.masks[fraction, rule]

    def _fill(self, name):
        """What takes the place of removed points, made once for all methods."""
        other = self.fills[name]
        if not callable(other):
            return other
        made = self.without_maps.setdefault("fills", {})
        if name not in made:
            made[name] = other(self.x)
        return made[name]


def drop_rate(answers, *, fraction, fill, rule):
    """The drop when only the salient points are kept (Sattarzadeh 2021, eq. 7)."""
    return drop(answers.full(), answers.kept(fraction, fill, rule))


def increase_rate(answers, *, fraction, fill, rule):
    """1.0 where the confidence rises when only the salient points are kept (the same, eq. 8)."""
    return increase(answers.full(), answers.kept(fraction, fill, rule))


def multiplied_drop_rate(answers):
    """The drop when the input is multiplied by its map (Chattopadhay 2018, sec. 4.1)."""
    return drop(answers.full(), answers.multiplied())


def multiplied_increase_rate(answers):
    """1.0 where the confidence rises when the input is multiplied by its map."""
    return increase(answers.full(), answers.multiplied())


def removal_loss(answers, *, fraction, fill):
    """``1 - removed/full``, the share of the confidence that is lost with the salient points.

    Method 2 of the second source, which removes the top quarter. Negative where it rises.
    """
    return 1 - answers.removed(fraction, fill) / answers.full()


def insertion_area(answers, *, fill):
    """The area under :func:`insertion` (Petsiuk 2018)."""
    return _area(insertion(answers, fill))


def deletion_area(answers, *, fill):
    """The area under :func:`deletion` (Petsiuk 2018)."""
    return _area(deletion(answers, fill))


def insertion(answers, fill):
    """The confidence ``(len(PLACES), n)`` while salient points are put into the fill."""
    return np.stack([inserted(answers, fraction=place, fill=fill) for place in PLACES])


def deletion(answers, fill):
    """The confidence ``(len(PLACES), n)`` while salient points give way to the fill."""
    return np.stack([deleted(answers, fraction=place, fill=fill) for place in PLACES])


def inserted(answers, *, fraction, fill):
    """The confidence when the top ``fraction`` of the points is put into the fill."""
    if fraction == 0:
        return answers.blank(fill)
    return answers.full() if fraction == 1 else answers.kept(fraction, fill, "exact")


def deleted(answers, *, fraction, fill):
    """The confidence when the top ``fraction`` of the points has given way to the fill."""
    if fraction == 0:
        return answers.full()
    return answers.blank(fill) if fraction == 1 else answers.removed(fraction, fill)


def coherency(answers):
    """How alike the maps of the input and of the input times its map are (Poppi 2021, eq. 4).

    Their correlation, from [-1, 1] to [0, 1]; a constant map has the correlation 0.
    """
    first, second = (_flat(unit_scale(maps)) for maps in (answers.maps, answers.again))
    first, second = (maps - maps.mean(axis=1, keepdims=True) for maps in (first, second))
    length = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    product = np.sum(first * second, axis=1)
    correlation = np.divide(product, length, out=np.zeros_like(product), where=length > 0)
    defined = is_defined(answers.maps) & is_defined(answers.again)
    return np.where(defined, (1 + correlation) / 2, np.nan)


def complexity(answers):
    """The mean of the map, scaled to [0, 1] (Poppi 2021, eq. 5)."""
    return _flat(unit_scale(answers.maps)).mean(axis=1)


def adcc(answers):
    """The harmonic mean of coherency, 1 - complexity and 1 - drop (Poppi 2021, eq. 6).

    The drop is that of the input multiplied by its map. 0 where one of the three is 0.
    """
    parts = np.stack([coherency(answers), 1 - complexity(answers), 1 - multiplied_drop_rate(answers)])
    with np.errstate(divide="ignore"):
        return 3 / np.sum(1 / parts, axis=0)


def drop(confidence, masked_confidence):
    """``max(0, 1 - masked/full)`` of each sample: how much of the confidence is lost."""
    return np.maximum(0.0, 1 - masked_confidence / confidence)


def loss(model, x, target, maps, fraction):
    """``1 - masked/full`` when only the salient points are kept on black: the drop before it is cut off
    at 0, negative where the confidence rises. ``model`` gives probabilities."""
    keep = salient_points(maps, fraction)
    return 1 - confidence(model, x, target, keep) / confidence(model, x, target)


def increase(confidence, masked_confidence):
    """1.0 where the masked input is classified with more confidence than the full one, else 0.0."""
    return np.where(np.isnan(masked_confidence), np.nan, (masked_confidence > confidence).astype(float))


def confidence(model, x, target, keep=None, fill=0.0):
    """The probability ``(n,)`` that ``model``, which gives probabilities, gives the target.

    Where ``keep`` ``(n, *space)`` is given, the points that it leaves out take the value of ``fill``,
    which broadcasts against ``x``.
    """
    x, fill = np.asarray(x, np.float32), np.float32(fill)
    keep = np.ones((len(x), *(1,) * (x.ndim - 2)), bool) if keep is None else keep
    fill = fill.reshape((1,) * (x.ndim - fill.ndim) + fill.shape)  # of all samples, or of each
    found = [
        _confidence(model, x[part], target[part], keep[part], fill if len(fill) == 1 else fill[part])
        for part in batches(len(x), passes_at_once(model, x.shape[1:]))
    ]
    return np.concatenate(found).astype(float)


@graph
def _confidence(model, x, target, keep, fill):
    seen = tf.where(keep[..., np.newaxis], x, fill)
    return of_target(model(seen, training=False), target)


def salient_points(maps, fraction, rule="exact"):
    """Which points of each map ``(n, *space)`` belong to its top ``fraction``, bool, same shape.

    ``"exact"`` keeps ``⌊fraction·n + 0.5⌋`` points, of equal ones those that :func:`tie_order` draws: in
    reading order, as ``"first"`` takes them, a constant map would keep one band.
    ``"published"`` is the rule of the deliverable: all above the ``⌊fraction·n⌋``-th largest
    value, above the largest where that is none, so at least one fewer, and none of those equal to it: a constant map keeps nothing.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}; it must be above 0 and at most 1")
    flat = _flat(maps)
    size = flat.shape[1]
    if rule in ("exact", "first"):
        count = int(fraction * size + 0.5)
        flat = np.where(np.isnan(flat), -np.inf, flat)
        least = np.partition(flat, -max(count, 1), axis=1)[:, -max(count, 1), np.newaxis]
        keep, ties = flat > least, flat == least
        order = tie_order(size) if rule == "exact" else slice(None)
        drawn = ties[:, order]
        keep[:, order] |= drawn & (drawn.cumsum(axis=1) <= count - keep.sum(axis=1, keepdims=True))
    elif rule == "published":
        place = max(int(size * fraction), 1)
        keep = flat > np.partition(flat, size - place, axis=1)[:, size - place, np.newaxis]
    else:
        raise ValueError(f"rule is {rule!r}; it must be one of {', '.join(RULES)}")
    return keep.reshape(np.shape(maps))


def tie_order(size):
    """In which order equal points are taken: the places of all ``size`` points, drawn once for all maps of
    that size."""
    return np.random.default_rng(size).permutation(size)


def tied_share(maps):
    """The share ``(n,)`` of each map's points whose value another point has too."""
    ordered = np.sort(_flat(maps), axis=1)
    same = ordered[:, 1:] == ordered[:, :-1]
    tied = np.pad(same, ((0, 0), (1, 0))) | np.pad(same, ((0, 0), (0, 1)))
    return tied.mean(axis=1)


def multiplied(x, maps):
    """The input times its map, scaled to [0, 1]: only what is salient stays visible."""
    return (x * unit_scale(maps)[..., np.newaxis]).astype(np.float32)


def unit_scale(maps):
    """Each map from its smallest value, 0, to its largest, 1.

    A constant map is 0 everywhere; one that is not finite has NaN in it.
    """
    axes = tuple(range(1, np.ndim(maps)))
    maps = np.asarray(maps, float)
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    return np.divide(maps - low, high - low, out=maps - maps, where=high > low)


def blurred(x, width=0.05):
    """The input without its details, a fill: Gaussian, the share ``width`` of its size wide."""
    sigma = [0, *(width * size for size in x.shape[1:-1]), 0]
    return ndimage.gaussian_filter(x, sigma, mode="nearest")


def is_defined(maps):
    """Which maps ``(n,)`` are finite everywhere."""
    return np.isfinite(maps).all(axis=tuple(range(1, np.ndim(maps))))


def _flat(maps):
    return np.reshape(maps, (len(maps), -1))


def _area(confidences):
    """The area under each sample's curve over PLACES."""
    curves = confidences.T
    return np.array([auc(PLACES, one) if np.isfinite(one).all() else np.nan for one in curves])


def completeness_gap(model, x, target, maps, baseline=0.0):
    """How far each map's sum is from the change of the logit between ``baseline`` and the sample.

    As a share of that change, of at least half a unit (Sundararajan 2017, prop. 1).
    """
    start = np.broadcast_to(np.float32(baseline), x.shape)
    parts = batches(len(x), passes_at_once(model, x.shape[1:]))
    end, begin = (
        np.concatenate([target_scores(model, at[part], target[part]) for part in parts])
        for at in (x, start)
    )
    change = end - begin
    sums = maps.reshape(len(maps), -1).sum(axis=1)
    return np.abs(sums - change) / np.maximum(np.abs(change), 0.5)

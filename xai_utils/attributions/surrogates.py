"""Methods that fit a simple model to the score around one input, by their authors' libraries.

The simple model knows which *parts* of the input are there: superpixels of an image, windows of a
signal. What is not there shows the mean of the sample. Each point gets its part's weight.
"""

import contextlib

import numpy as np
import tensorflow as tf
from lime.lime_base import LimeBase
from skimage.segmentation import slic

from xai_utils.attributions.controls import generators
from xai_utils.graphs import graph
from xai_utils.models import batches, passes_at_once, target_scores


def lime(model, x, target, *, score="probability", parts=40, samples=400, width=0.25, seed=0):
    """A linear model of the score on the parts that are there (Ribeiro 2016), fitted by ``lime``.

    Ridge regression on ``samples`` random subsets of the parts, weighted by
    ``sqrt(exp(-d²/width²))`` with d their cosine distance from the whole, as the library does for
    images. The score is the probability, as in the paper. ``samples`` forward passes for each
    sample.
    """

    def weights(score_of, count, rng):
        there = rng.integers(0, 2, (samples, count))
        there[0] = 1
        distances = 1 - np.sqrt(there.mean(axis=1))
        fit = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / width**2)), random_state=0)
        labels = score_of(there)[:, np.newaxis]
        _, found, *_ = fit.explain_instance_with_data(
            there, labels, distances, 0, count, feature_selection="none"
        )
        return [weight for _, weight in sorted(found)]

    return _by_parts(model, x, target, score, parts, seed, weights)


def shap(model, x, target, *, score="logit", parts=40, samples=400, seed=0):
    """Shapley values of the parts (Lundberg 2017), estimated by ``shap``'s Kernel SHAP.

    The values of a sample's parts add up to the score of the sample minus the score of its mean.
    About ``samples`` forward passes for each sample.
    """

    from shap import KernelExplainer  # takes a second, which nothing else needs

    def weights(score_of, count, rng):
        with _global_seed(rng.integers(2**32)):
            explainer = KernelExplainer(score_of, np.zeros((1, count)))
            values = explainer.shap_values(
                np.ones((1, count)), nsamples=samples, l1_reg=False, silent=True
            )
        return np.reshape(values, count)

    return _by_parts(model, x, target, score, parts, seed, weights)


def _by_parts(model, x, target, score, parts, seed, weights):
    """Maps from the weights that ``weights(score_of, count, rng)`` gives a sample's parts."""
    maps = np.empty(x.shape[:-1])
    for index, rng in enumerate(generators(x, seed)):
        one = slice(index, index + 1)
        segments = segments_of(x[index], parts)

        def score_of(there):
            given = x[one], target[one], segments[np.newaxis]
            found = [
                _scores_with(model, *given, np.asarray(there[part], bool), score=score)
                for part in batches(len(there), passes_at_once(model, x.shape[1:]))
            ]
            return np.concatenate(found).astype(float)

        maps[index] = np.asarray(weights(score_of, segments.max() + 1, rng))[segments]
    return maps


@graph
def _scores_with(model, x, target, segments, there, *, score):
    """The score of one input when only some of its segments are there, ``(k,)``."""
    shown = tf.gather(there, segments[0], axis=1)[..., np.newaxis]
    mean = tf.reduce_mean(x, range(1, len(x.shape) - 1), keepdims=True)
    return target_scores(model, tf.where(shown, x, mean), target, score=score)


def segments_of(one, parts):
    """The number of the part that each point of a sample belongs to: ints of its ``space``."""
    if one.ndim == 2:
        length = len(one)
        return np.arange(length) * min(parts, length) // length
    unit = (one - one.min()) / (np.ptp(one) or 1)
    _, segments = np.unique(slic(unit, parts, channel_axis=-1), return_inverse=True)
    return segments.reshape(one.shape[:-1])


@contextlib.contextmanager
def _global_seed(seed):
    """shap draws from NumPy's global generator: seed it, and leave it as it was."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)

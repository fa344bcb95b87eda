"""Does a map depend on what the network has learned, and not on chance?

Sanity checks re-initialize layers of a network and ask whether its maps change (Adebayo 2018);
sensitivity asks the opposite of noise that the prediction does not notice. Both compare the maps of
the same samples, and a metric is a function ``(maps, others)`` of two arrays ``(n, *space)``, which
returns one value a sample. Maps that are not finite give NaN.
"""

import keras
import numpy as np
from scipy.stats import rankdata
from skimage import metrics

from xai_utils.metrics.faithfulness import is_defined, unit_scale


def rank_correlation(maps, others):
    """Spearman's correlation of each map with the other. A constant one has 0, with itself 1."""
    first, second = centred_ranks(maps), centred_ranks(others)
    length = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    product = np.sum(first * second, axis=1)
    found = np.divide(product, length, out=np.zeros_like(product), where=length > 0)
    return _defined(np.where(_equal(maps, others), 1.0, found), maps, others)


def structural_similarity(maps, others):
    """SSIM (Wang 2004) of the two maps, each scaled to [0, 1]; window 7."""
    pairs = zip(unit_scale(maps), unit_scale(others))
    found = [metrics.structural_similarity(*pair, data_range=1.0, win_size=7) for pair in pairs]
    return _defined(np.array(found), maps, others)


def change(maps, others):
    """``‖others - maps‖ / ‖maps‖`` (Yeh 2019, eq. 3, for given changes of the input).

    Where both maps are 0 nothing changes, 0; where only the first is, the change is without bounds,
    and counts as 1, as if it had come from a map of equal length.
    """
    axes = tuple(range(1, np.ndim(maps)))
    distance = np.sqrt(np.sum(np.square(np.asarray(others, float) - maps), axis=axes))
    length = np.sqrt(np.sum(np.square(np.asarray(maps, float)), axis=axes))
    relative = np.divide(distance, length, out=(distance > 0).astype(float), where=length > 0)
    return _defined(relative, maps, others)


def learned_layers(model):
    """The names of the layers with trained weights, the one next to the scores first."""
    return [layer.name for layer in model.layers if layer.trainable_weights][::-1]


def randomizations(model):
    """Which layers to re-initialize: ``{name: [layer, …]}``.

    *Cascading*: from the scores down to a layer; *independent*: that layer alone. At the layer next
    to the scores the two are the same and stand once, as cascading.
    """
    layers = learned_layers(model)
    cascading = {f"cascading {name}": layers[: i + 1] for i, name in enumerate(layers)}
    return cascading | {f"independent {name}": [name] for name in layers[1:]}


def randomized(model, layers, seed=0):
    """A copy of the model with the weights of ``layers`` drawn anew by their initializers.

    Re-initialized, not shuffled: Adebayo's first variant. All other weights are the model's. Sets
    the global random states, from which Keras draws.
    """
    keras.utils.set_random_seed(seed)
    copy = type(model).from_config(model.get_config())
    for layer, original in zip(copy.layers, model.layers):
        if original.name not in layers:
            layer.set_weights(original.get_weights())
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with what it derives from its weights
    return copy


def with_noise(x, share=0.02, seed=0):
    """The input with Gaussian noise of the share ``share`` of the range of its values."""
    drawn = np.random.default_rng(seed).standard_normal(x.shape, np.float32)
    axes = tuple(range(1, x.ndim))
    spread = x.max(axis=axes, keepdims=True) - x.min(axis=axes, keepdims=True)
    return (x + share * spread * drawn).astype(np.float32)


def centred_ranks(maps):
    """The ranks of each map's points, ``(n, points)``, ties at their mean, less the mean rank."""
    ranks = rankdata(np.reshape(maps, (len(maps), -1)), axis=1)
    return ranks - ranks.mean(axis=1, keepdims=True)


def _equal(maps, others):
    return np.equal(maps, others).all(axis=tuple(range(1, np.ndim(maps))))


def _defined(values, maps, others):
    return np.where(is_defined(maps) & is_defined(others), values, np.nan)

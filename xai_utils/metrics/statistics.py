"""What many maps and scores say together."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata


def rank_agreement(maps):
    """Spearman's rank correlation of each pair of methods, the median over the samples.

    ``maps`` is ``{method: (n, *space)}``; the table has a row and a column for each. A sample on
    which one of a pair is constant has no correlation and does not count for that pair.
    """
    ranks = {name: _unit_ranks(values) for name, values in maps.items()}

    def agreement(first, second):
        correlations = np.sum(ranks[first] * ranks[second], axis=1)
        known = correlations[np.isfinite(correlations)]
        return np.median(known) if len(known) else np.nan

    table = [[agreement(first, second) for second in ranks] for first in ranks]
    return pd.DataFrame(table, index=list(ranks), columns=list(ranks))


def extremes(agreement):
    """The pairs that agree most and least: two lists ``[method, method, value]``."""
    above = np.triu(np.ones(agreement.shape, bool), k=1)
    pairs = agreement.where(above).stack()
    return [[*pairs.idxmax(), float(pairs.max())], [*pairs.idxmin(), float(pairs.min())]]


def _unit_ranks(maps):
    """The ranks of each map's points, centred and of length 1; NaN for a constant map."""
    ranks = rankdata(maps.reshape(len(maps), -1), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.sqrt(np.sum(ranks**2, axis=1, keepdims=True))
    unit = np.divide(ranks, length, out=np.full_like(ranks, np.nan), where=length > 0)
    return unit.astype(np.float32)

"""Scores as they are shown."""

import pandas as pd

from xai_utils.metrics import sanity
from xai_utils.networks.architectures import shallow_cnn
from xai_utils.study import tables


def test_all_have_forgotten_where_the_last_cascade_ends():
    """The names of layers begin alike; the cascade down to ``conv1d`` is the last of all."""
    rules = [
        *sanity.randomizations(shallow_cnn()),
        "cascading conv1d #2",
        "cascading conv1d #3",
        "noise",
    ]
    assert "cascading conv1d_1" in rules
    found = tables.all_forgotten(pd.DataFrame({"rule": rules}))
    assert found.rule.tolist() == ["cascading conv1d", "cascading conv1d #2", "cascading conv1d #3"]

import numpy as np
import pytest

from xai_utils.data import DataError, mnist1d

# The support column of the classification reports that were published with the official data.
PUBLISHED_SUPPORT = [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]


def test_the_official_split_has_the_published_numbers_of_signals():
    data = mnist1d.load()
    assert data.train.x.shape == (4000, 40, 1) and data.test.x.shape == (1000, 40, 1)
    assert np.bincount(data.test.y).tolist() == PUBLISHED_SUPPORT


def test_loading_leaves_the_global_random_state_alone():
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    mnist1d.load()
    assert np.random.rand() == expected


def test_other_data_than_the_official_are_refused(monkeypatch):
    arrays = mnist1d._generate()
    arrays["x"][0, 0] += 1e-4
    monkeypatch.setattr(mnist1d, "_generate", lambda: arrays)
    with pytest.raises(DataError, match="requirements.lock"):
        mnist1d.load()


def test_the_checksum_overlooks_differences_in_the_last_digits():
    arrays = mnist1d._generate()
    before = mnist1d.checksum(arrays)
    arrays["x"] = arrays["x"] + 1e-15
    assert mnist1d.checksum(arrays) == before


def test_templates_are_ten_and_start_at_zero():
    templates = mnist1d.templates()
    assert templates.shape == (10, 12)
    assert np.all(templates[:, 0] == 0)

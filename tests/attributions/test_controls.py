import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain


def maps_of(method, x=None, **options):
    return explain(small_network(2), some_inputs(2) if x is None else x, method=method, **options)


def test_center_falls_from_the_middle_to_the_corners():
    one = maps_of("center")[0]
    assert np.array_equal(one, one[::-1]) and np.array_equal(one, one.T)
    assert one[7, 7] == one.max() and one[0, 0] == one.min()
    corner = np.sqrt(2) / 2 - np.sqrt(2) * 7.5 / 16
    assert one[0, 0] == pytest.approx(corner, abs=1e-6) and corner > 0


def test_edge_is_zero_on_a_constant_image_and_largest_at_the_step():
    x = np.zeros((1, 16, 16, 3))
    assert not maps_of("edge", x).any()
    x[:, :, 8:] = 1
    assert {*np.argwhere(maps_of("edge", x)[0] > 0)[:, 1]} == {7, 8}


def test_smooth_noise_is_smoother_than_noise():
    def roughness(maps):
        return np.abs(np.diff(maps, axis=1)).mean() / maps.std()

    assert roughness(maps_of("random_smooth", width=0.1)) < 0.5 * roughness(maps_of("random"))


def test_constant_is_constant():
    assert np.ptp(maps_of("constant")) == 0


def test_edges_of_one_channel_do_not_depend_on_the_others():
    x = np.zeros((2, 16, 16, 3))
    x[0, :, 8:], x[1, :, 8:] = [1, 1, 1], [1, -1, 1]
    up, mixed = maps_of("edge", x)
    np.testing.assert_allclose(up, mixed)
    assert up.max() == pytest.approx(4 * np.sqrt(3))  # Sobel's 1 + 2 + 1, in three channels

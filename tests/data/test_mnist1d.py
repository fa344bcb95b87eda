import sys

import numpy as np
import pytest
from mnist1d import data as generator
from scipy.signal import detrend

from xai_utils.data import DataError, mnist1d

# The support column of the classification reports that were published with the official data.
PUBLISHED_SUPPORT = [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]


def test_the_official_split_has_the_published_numbers_of_signals():
    data = mnist1d.load()
    assert data.train.x.shape == (4000, 40, 1) and data.test.x.shape == (1000, 40, 1)
    assert np.bincount(data.test.y).tolist() == PUBLISHED_SUPPORT


@pytest.mark.parametrize("generate", [mnist1d.load, mnist1d.template_intervals])
def test_generating_leaves_the_global_random_state_alone(generate):
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    generate()
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


@pytest.fixture(scope="module")
def intervals():
    return mnist1d.template_intervals()


@pytest.fixture(scope="module")
def observed():
    """The generator's default run, observed: its test signals, and where it had the template.

    Both ``(1000, 40)``. Noise is asked for with the translated template, which is zero in the
    padding and nowhere else; what is seen there goes with its signal through the shuffle.
    """
    steps = sys.modules["mnist1d.transform"]  # the package gives this name to a function
    noise, transform, seen = steps.corr_noise_like, generator.transform, []

    def observed_noise(x, scale):
        seen.append((x != 0).astype(float))
        return noise(x, scale)

    def observed_transform(x, t, args):
        signal, t = transform(x, t, args)
        return np.stack([signal, steps.interpolate(seen[-1], args.final_seq_length)]), t

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "corr_noise_like", observed_noise)
        patch.setattr(generator, "transform", observed_transform)
        arrays = mnist1d._generate()
    signals, places = np.concatenate([arrays["x"], arrays["x_test"]]).swapaxes(0, 1)
    signals = (signals - signals.mean()) / signals.std()
    return signals[4000:], (places >= (places.min() + places.max()) / 2)[4000:]


def just_after(intervals):
    return np.roll(intervals, 1, axis=1) & ~intervals


def test_the_observed_run_gives_the_official_signals(observed):
    assert np.allclose(observed[0], mnist1d._generate()["x_test"], rtol=0, atol=1e-12)


def test_intervals_are_where_the_generator_had_the_template(intervals, observed):
    # The last step, from template to padding, is all template to the generator and half to us: the
    # other half is less than one of the 40 points.
    extra = observed[1] & ~intervals
    assert np.all(observed[1] | ~intervals)
    assert np.all(just_after(intervals) | ~extra)


def test_intervals_are_as_long_as_the_padding_allows(intervals):
    # The 12 + p points of a padded template span the 39 steps of a signal, and half the height of
    # a box is reached half a step after its 12 points and, in the dilated signal of 72 points,
    # at most half a step before. An interval of that length has its floor or one more points.
    args = generator.get_dataset_args()
    steps = args.final_seq_length - 1
    longest, shortest = (11.5 * steps / (11 + padding) for padding in args.padding)
    longest += 0.5 * steps / (args.template_len + args.padding[1] - 1)
    lengths = intervals.sum(axis=1)
    assert intervals.shape == (1000, 40) and intervals.dtype == bool
    assert (int(shortest), int(longest) + 1) == (6, 10)
    assert lengths.min() >= 6 and lengths.max() <= 10


def test_no_template_wraps_around_the_end(intervals):
    # Translation rolls by at most 47 of 72 points, of which a template takes at most 18.
    starts = np.diff(intervals.astype(int), axis=1, prepend=0) == 1
    assert np.all(starts.sum(axis=1) == 1)
    assert not intervals[:, 36:].any()


def test_without_noise_a_signal_is_padding_outside_its_interval(intervals):
    args = generator.get_dataset_args()
    args.corr_noise_scale = args.iid_noise_scale = args.shear_scale = 0.0
    quiet = mnist1d._generate(args=args)["x_test"]
    # The point after the end may hold up to half of the template's last step, and where a template
    # fades in, the hundred-millionth with which it starts.
    padding = quiet[~(intervals | just_after(intervals))]
    assert np.ptp(padding) < 1e-6
    assert np.all(np.abs(quiet - padding[0]).max(axis=1, where=intervals, initial=0) > 0.5)


def test_the_templates_are_found_in_the_intervals_and_not_beside_them(intervals):
    test = mnist1d.load().test

    def resemblance(shift):
        values = []
        for signal, label, interval in zip(test.x[..., 0], test.y, intervals):
            part = np.roll(signal, -shift)[interval]
            grid = np.linspace(0, 11, len(part))
            template = np.interp(grid, np.arange(12), mnist1d.templates()[label])
            values.append(np.corrcoef(detrend(part), detrend(template))[0, 1])
        return np.mean(values)

    assert resemblance(0) > 0.9
    assert all(resemblance(shift) < 0.3 for shift in (-4, -2, 2, 4))


def test_a_template_that_stands_twice_is_found_at_its_other_place():
    template = np.array([0.0, 2.0, 1.0, 3.0])
    signal = np.zeros(20)
    signal[3:7], signal[12:16] = template, 0.5 * template + 1  # higher and flatter: the same shape
    inside = np.zeros(20, bool)
    inside[3:7] = True
    place, resemblance = mnist1d.other_place(signal, inside, template)
    assert np.flatnonzero(place).tolist() == [12, 13, 14, 15] and resemblance == pytest.approx(1)
    signal[12:16], signal[17] = 0.0, 1.0
    assert mnist1d.other_place(signal, inside, template)[1] < 0.9
    with pytest.raises(ValueError, match="no other place of 4 points"):
        mnist1d.other_place(signal[:9], inside[:9], template)


def test_intervals_of_other_draws_are_refused(monkeypatch):
    arrays = mnist1d._generate()
    other = arrays | {"y_test": arrays["y_test"][::-1]}
    monkeypatch.setattr(mnist1d, "_generate", lambda **changes: other if changes else arrays)
    with pytest.raises(DataError, match="random numbers"):
        mnist1d.template_intervals()

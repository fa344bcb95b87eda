import pandas as pd
import pytest

from xai_utils import reproduction


def test_published_numbers_are_paired_with_ours():
    rows = reproduction.compare("hmt", {("grad_cam", "drop_rate", "top90%"): 0.5029})
    assert rows.published.tolist() == [0.503]
    assert rows.difference.tolist() == pytest.approx([-0.0001])


@pytest.mark.parametrize("reproduced, agrees", [(0.8449, False), (0.8451, True), (0.8549, True), (0.856, False)])
def test_agreement_is_at_the_printed_digits(reproduced, agrees):
    """0.85 was printed with two digits, as was 1.00, of which the file keeps one."""
    published = pd.Series([0.85, 1.0])
    rows = pd.DataFrame({"source": "s", "dataset": "d", "metric": "m", "published": published})
    rows["difference"] = pd.Series([reproduced, 1.004]) - published
    assert list(reproduction.agrees_as_printed(rows)) == [agrees, True]

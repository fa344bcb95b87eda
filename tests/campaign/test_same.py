"""The same every time: every file but for recorded times, to the byte."""

import pytest

from tests.campaign.rebuilds import Rebuild, undisturbed
from tests.runs import differing

pytestmark = [
    pytest.mark.campaign("Rebuilds of quick from nothing, identical to the byte"),
    pytest.mark.slow,
]


@pytest.mark.parametrize("number", range(5))
def test_a_rebuild_from_nothing_is_identical(number, shared, tmp_path):
    first = undisturbed(shared, tmp_path / "first")
    assert len(first) > 200
    if number:
        rebuild = Rebuild(tmp_path, number)
        assert differing(rebuild.run(), first) == []
        assert rebuild.put_aside() == set()

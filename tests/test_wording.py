import pytest

from xai_utils.wording import listed, some


@pytest.mark.parametrize("items, text", [(["a"], "a"), (["a", "b"], "a and b"), ([1, 2, 3], "1, 2 and 3"), ([], "")])
def test_lists_in_prose(items, text):
    assert listed(items) == text


def test_long_lists_are_cut_and_counted():
    assert some("abcde") == "a, b, c, d and e" and some("abcdefg") == "a, b, c, d and 3 others"

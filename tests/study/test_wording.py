import pytest

from xai_utils.study.wording import chance, listed, printed, some


@pytest.mark.parametrize(
    "items, text", [(["a"], "a"), (["a", "b"], "a and b"), ([1, 2, 3], "1, 2 and 3"), ([], "")]
)
def test_lists_in_prose(items, text):
    assert listed(items) == text


def test_long_lists_are_cut_and_counted():
    assert some("abcd") == "a, b, c and d" and some("abcdefg") == "a, b, c and 4 others"


@pytest.mark.parametrize(
    "number, form, text",
    [
        (0.25, ".1%", "25.0%"),
        (-0.04, "+.2f", "−0.04"),
        (-0.00001, "+.4f", "+0.0000"),
        (-0.001, ".2f", "0.00"),
    ],
)
def test_numbers_have_a_real_minus_and_none_before_a_zero(number, form, text):
    assert printed(number, form) == text


@pytest.mark.parametrize(
    "p, text",
    [(0.7675, "p = 0.77"), (0.03125, "p = 0.031"), (0.0001, "p = 0.0001"), (2e-9, "p < 0.0001")],
)
def test_p_values_are_never_zero(p, text):
    assert chance(p) == text

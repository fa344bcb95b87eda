"""What the tests of the assignment say."""

import importlib.util

import numpy as np
import pytest

from course.__main__ import HERE, NAME

specification = importlib.util.spec_from_file_location(
    "checks_alone", HERE / "source" / NAME / "checks.py"
)
checks = importlib.util.module_from_spec(specification)
specification.loader.exec_module(checks)


@pytest.mark.parametrize(
    "found, said",
    [
        (None, "f: found None. Does the function end in a return?"),
        ("a", "f: expected numbers, found str."),
        ([1.0, 2.0, 3.0], "f: expected [1., 2.], found [1., 2., 3.]."),
        (1.0, "f: expected [1., 2.], found 1.."),
        ([1.0], "f: expected [1., 2.], found [1.]. That comes out where one is missing."),
        (np.zeros((4, 5)), "f: expected an array of shape (2,), found an array of shape (4, 5)."),
        ([1.0, 3.0], "f: expected [1., 2.], found [1., 3.]."),
        ([2.0, 4.0], "f: expected [1., 2.], found [2., 4.]. That comes out where it is doubled."),
        (
            [np.nan, 2.0],
            "f: expected [1., 2.], found [nan,  2.]. That comes out where 0 is divided by 0.",
        ),
    ],
)
def test_an_error_says_what_was_expected_and_which_mistake_gives_what_was_found(found, said):
    mistakes = {"it is doubled": [2, 4], "0 is divided by 0": [np.nan, 2], "one is missing": [1]}
    with pytest.raises(AssertionError) as error:
        checks.expect("f", found, [1, 2], mistakes)
    assert str(error.value) == said


def test_of_a_large_array_the_place_that_differs_most_is_named():
    expected = np.zeros((5, 5))
    found = expected.copy()
    found[3, 1], found[0, 0] = 0.5, 0.1
    with pytest.raises(AssertionError, match=r"f: expected 0 at \[3, 1\], found 0.5\."):
        checks.expect("f", found, expected)


def test_what_is_right_within_the_tolerance_passes():
    checks.expect("f", [1, 2.00001], [1, 2], {"it is doubled": [2, 4]}, tolerance=1e-4)
    checks.expect("f", 0, 0)
    with pytest.raises(AssertionError):
        checks.expect("f", [1, 2.001], [1, 2], tolerance=1e-4)


def test_functions_stand_in_for_a_while_and_nothing_else_changes():
    namespace = {"own": 1, "other": 2}
    with pytest.raises(ZeroDivisionError), checks.instead(namespace, own=3, missing=4):
        assert namespace == {"own": 3, "other": 2, "missing": 4}
        namespace["made"] = 5
        1 / 0  # noqa: B018
    assert namespace == {"own": 1, "other": 2, "made": 5}


def test_what_is_not_there_yet_is_said():
    checks.needs("a", {"a": 1})
    with pytest.raises(AssertionError, match="b is not there yet"):
        checks.needs("b", {"a": 1})

"""What the tests of the notebooks say. You need not read this file; the tests do."""

import contextlib

import numpy as np


def expect(what, found, expected, mistakes=None, tolerance=1e-5):
    """Compare what a function returned with what it should; the error says what is probably wrong.

    ``mistakes`` maps sentences to what comes out where they are true. ``tolerance`` is a share of the largest
    of the expected values.
    """
    expected, found = np.asarray(expected, float), _as_numbers(what, found)
    if _same(found, expected, tolerance):
        return
    said = f"{what}: {_difference(found, expected)}."
    for sentence, value in (mistakes or {}).items():
        if _same(found, np.asarray(value, float), tolerance):
            raise AssertionError(f"{said} That comes out where {sentence}.")
    raise AssertionError(said)


def needs(name, namespace):
    """Say that a cell above must be run, or its answer be written, where ``name`` is not there yet."""
    if name not in namespace:
        raise AssertionError(
            f"{name} is not there yet: write the answers above, then run the cells above."
        )


@contextlib.contextmanager
def instead(namespace, **functions):
    """Put functions in the place of your own for a while: of those that have marks of their own."""
    own = {name: namespace[name] for name in functions if name in namespace}
    namespace.update(functions)
    try:
        yield
    finally:
        for name in functions:
            del namespace[name]
        namespace.update(own)


def _as_numbers(what, found):
    if found is None:
        raise AssertionError(f"{what}: found None. Does the function end in a return?")
    try:
        return np.asarray(found, float)
    except (TypeError, ValueError):
        raise AssertionError(f"{what}: expected numbers, found {type(found).__name__}.") from None


def _same(found, expected, tolerance):
    """Whether shape and all values agree; NaN agrees with NaN alone."""
    if found.shape != expected.shape:
        return False
    scale = np.nanmax(np.abs(expected), initial=1e-12)
    return np.allclose(found, expected, rtol=0, atol=tolerance * scale, equal_nan=True)


def _difference(found, expected):
    """Small arrays as they are, of large ones the shapes or the place that differs most."""
    if max(expected.size, found.size) <= 12:
        return f"expected {_text(expected)}, found {_text(found)}"
    if found.shape != expected.shape:
        return f"expected {_shape(expected)}, found {_shape(found)}"
    apart = np.where(np.isnan(found), np.inf, np.abs(found - expected))
    place = np.unravel_index(apart.argmax(), apart.shape)
    at = ", ".join(map(str, place))
    return f"expected {expected[place]:.4g} at [{at}], found {found[place]:.4g}"


def _text(values):
    return np.array2string(values, precision=4, separator=", ", suppress_small=True)


def _shape(values):
    return f"an array of shape {values.shape}" if values.ndim else "a number"

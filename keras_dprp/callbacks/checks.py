"""Checks of the callback's arguments."""

import numpy as np


def share(value, name):
    """None, or a number in (0, 1]."""
    if value is None:
        return
    _number(value, name)
    if not 0 < value <= 1:
        raise ValueError(
            f"`{name}` must be None or in (0, 1]. Received: {name}={value}"
        )


def threshold(value):
    """A number in [0, 1)."""
    _number(value, "threshold")
    if not 0 <= value < 1:
        raise ValueError(f"`threshold` must be in [0, 1). Received: threshold={value}")


def one_of(value, known, name):
    """One of a few strings."""
    if value not in known:
        raise ValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")


def whole_number(value, name, minimum, optional=False):
    """An int of at least `minimum`."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(
            f"`{name}` must be an int{' or None' if optional else ''}. "
            f"Received: {name}={value!r} (of type {type(value).__name__})"
        )
    if value < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value}"
        )


def _number(value, name):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(
            f"`{name}` must be a number. "
            f"Received: {name}={value!r} (of type {type(value).__name__})"
        )

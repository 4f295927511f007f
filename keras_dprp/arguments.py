"""Checks of the arguments that say how small a network is to be, and when."""

import numpy as np

from keras_dprp.costs import METRICS


def check_size(target, budget, metric, threshold):
    """How small: at most one of a share, an amount and a threshold.

    Raises:
        TypeError: If one of them is no number.
        ValueError: If one is outside its range, or more than one is given.
    """
    given = {"target": target, "budget": budget, "threshold": threshold}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        number(value, name)
    if len(given) > 1:
        raise ValueError(
            "At most one of `target`, `budget` and `threshold` can be given. "
            f"Received: {', '.join(f'{n}={v}' for n, v in given.items())}"
        )
    if target is not None and not 0 < target <= 1:
        raise ValueError(
            f"`target` must be None or in (0, 1]. Received: target={target}"
        )
    if budget is not None and not 0 < budget < float("inf"):
        raise ValueError(
            "`budget` must be None or a number of parameters or MACs above 0. "
            f"Received: budget={budget}"
        )
    if threshold is not None and not 0 <= threshold < 1:
        raise ValueError(
            f"`threshold` must be None or in [0, 1). Received: threshold={threshold}"
        )
    if metric not in METRICS:
        raise ValueError(
            f"`metric` must be one of {METRICS}. Received: metric={metric!r}"
        )


def check_steps(multiple_of, min_rank):
    """Which ranks there are."""
    whole_number(multiple_of, "multiple_of", 1)
    whole_number(min_rank, "min_rank", 1)


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


def number(value, name):
    """Raise a TypeError unless a value is a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(
            f"`{name}` must be a number. "
            f"Received: {name}={value!r} (of type {type(value).__name__})"
        )

"""How to train, checked."""

import math
import numbers
from dataclasses import dataclass

from tflite_export.interpreter import check_count


@dataclass(frozen=True)
class Training:
    """Settings of one `fit` of tf_keras."""

    epochs: int
    learning_rate: float
    batch_size: int
    seed: int


def check_training(epochs, learning_rate, batch_size, seed):
    """Return the `Training`, or raise a TypeError or ValueError."""
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    check_number("learning_rate", learning_rate, 0, math.inf)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(
            f"`seed` must be an int from 0 to 2**32 - 1. Received: {seed!r}"
        )
    return Training(epochs, float(learning_rate), batch_size, seed)


def check_number(name, value, low, high):
    """Raise unless `value`, an argument, is a number between the limits.

    Args:
        name: The argument's name.
        value: What came.
        low: What it must be more than.
        high: What it must be less than.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be a number. "
            f"Received: {value!r} (of type {type(value).__name__})"
        )
    if not low < value < high:
        raise ValueError(
            f"`{name}` must be more than {low} and less than {high}. "
            f"Received: {value!r}"
        )

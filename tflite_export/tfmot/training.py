"""How to train, checked."""

import math
from dataclasses import dataclass

from tflite_export.settings import check_count, check_real


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
    """Raise unless `value`, an argument, is a number between the limits."""
    check_real(name, value)
    if not low < value < high:
        raise ValueError(
            f"`{name}` must be more than {low} and less than {high}. "
            f"Received: {value!r}"
        )

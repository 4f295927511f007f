"""Floats and the integers that stand for them in a file."""

import numpy as np


def quantized(array, details):
    """Return floats as what a tensor of a file holds.

    Args:
        array: Of the tensor's shape.
        details: A dict, as the interpreter describes the tensor.
    """
    scale, zero_point = details["quantization"]
    if not scale:
        return array.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    steps = np.round(array / scale + zero_point)
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def dequantized(array, details):
    """Return what a tensor of a file holds as floats, if it is quantized; a copy.

    Args:
        array: Of the tensor's shape.
        details: A dict, as the interpreter describes the tensor.
    """
    scale, zero_point = details["quantization"]
    # A copy: the interpreter writes the next sample's outputs to the same place.
    array = np.array(array)
    return ((array - float(zero_point)) * scale).astype("float32") if scale else array

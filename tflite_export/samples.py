"""Representative data, checked; or noise in its place."""

import dataclasses

import numpy as np

from tflite_export import arrays, streams

NOISE_SAMPLES = 32


def resolve(inputs, data, limit=None, argument="representative_data"):
    """The inputs with every size known, and one array of samples for each.

    Args:
        inputs: A list of `ModelInput`; sizes may be None where the data tell them.
        data: None (seeded noise), an array, a list or tuple of arrays
            in the order of the inputs, or a dict of arrays by input name; the first
            axis of each counts samples. Or what `streams.read` reads.
        limit: How many samples to read; None reads all.
        argument: Name of the user's argument, for errors.

    Returns:
        A list of `ModelInput` and a list of arrays of their dtypes.

    Raises:
        TypeError: If the data are no arrays of numbers.
        ValueError: If number, names, shapes or values do not fit the inputs.
    """
    for tensor in inputs:
        if tensor.dtype not in ("float32", "bool") and "int" not in tensor.dtype:
            raise ValueError(
                "Inputs must be float32, integer or bool. "
                f"Received: input '{tensor.name}' of dtype {tensor.dtype}"
            )
    if data is None:
        return inputs, [_noise(tensor, argument) for tensor in inputs]
    if streams.is_stream(data):
        data = streams.read(inputs, data, argument, limit)
    data = arrays.fit(inputs, data, argument, limit)
    known = [
        dataclasses.replace(tensor, shape=x.shape[1:])
        for tensor, x in zip(inputs, data, strict=True)
    ]
    return known, data


def _noise(tensor, argument):
    if None in tensor.shape:
        raise ValueError(
            f"Input '{tensor.name}' has sizes that are not known, "
            f"{(None, *tensor.shape)}, and a file has fixed ones. Pass "
            f"`{argument}` of the sizes to export for."
        )
    generator = np.random.default_rng(0)
    shape = (NOISE_SAMPLES, *tensor.shape)
    if tensor.dtype == "float32":
        return generator.standard_normal(shape, dtype="float32")
    # Integers are indices as a rule, and every table has two rows.
    return generator.integers(0, 2, shape).astype(tensor.dtype)

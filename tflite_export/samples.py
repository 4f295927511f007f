"""Representative data, checked; or noise in its place."""

import dataclasses

import numpy as np

from tflite_export import arrays

NOISE_SAMPLES = 32


def resolve(inputs, representative_data, limit=None):
    """The inputs with every size known, and one array of samples for each.

    Args:
        inputs: A list of `ModelInput`; sizes may be None where the data tell them.
        representative_data: None (seeded noise), an array, a list or tuple of arrays
            in the order of the inputs, or a dict of arrays by input name; the first
            axis of each counts samples.
        limit: How many samples to read; None reads all.

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
    if representative_data is None:
        return inputs, [_noise(tensor) for tensor in inputs]
    data = arrays.fit(inputs, representative_data, "representative_data", limit)
    known = [
        dataclasses.replace(tensor, shape=x.shape[1:])
        for tensor, x in zip(inputs, data, strict=True)
    ]
    return known, data


def _noise(tensor):
    if None in tensor.shape:
        raise ValueError(
            f"Input '{tensor.name}' has sizes that are not known, "
            f"{(None, *tensor.shape)}, and a file has fixed ones. Pass "
            "`representative_data` of the sizes to export for."
        )
    generator = np.random.default_rng(0)
    shape = (NOISE_SAMPLES, *tensor.shape)
    if tensor.dtype == "float32":
        return generator.standard_normal(shape, dtype="float32")
    # Integers are indices as a rule, and every table has two rows.
    return generator.integers(0, 2, shape).astype(tensor.dtype)

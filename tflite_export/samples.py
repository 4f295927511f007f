"""Representative data, checked; or noise in its place."""

from collections.abc import Mapping

import numpy as np

from tflite_export.graph import ModelInput

NOISE_SAMPLES = 32


def resolve(inputs, representative_data):
    """The inputs with every size known, and one array of samples for each.

    Args:
        inputs: A list of `ModelInput`; sizes may be None where the data tell them.
        representative_data: None (seeded noise), an array, a list or tuple of arrays
            in the order of the inputs, or a dict of arrays by input name; the first
            axis of each counts samples.

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
    given = _by_input(inputs, representative_data)
    arrays = [_fit(tensor, data) for tensor, data in zip(inputs, given, strict=True)]
    counts = {tensor.name: len(x) for tensor, x in zip(inputs, arrays, strict=True)}
    if len(set(counts.values())) > 1:
        raise ValueError(
            "`representative_data` must have as many samples for every input. "
            f"Received: {counts}"
        )
    known = [
        ModelInput(tensor.name, x.shape[1:], tensor.dtype)
        for tensor, x in zip(inputs, arrays, strict=True)
    ]
    return known, arrays


def _noise(tensor):
    if None in tensor.shape:
        raise ValueError(
            f"Input '{tensor.name}' has sizes that are not known, "
            f"{_batch_of(tensor)}, and a file has fixed ones. Pass "
            "`representative_data` of the sizes to export for."
        )
    generator = np.random.default_rng(0)
    shape = (NOISE_SAMPLES, *tensor.shape)
    if tensor.dtype == "float32":
        return generator.standard_normal(shape, dtype="float32")
    # Integers are indices as a rule, and every table has two rows.
    return generator.integers(0, 2, shape).astype(tensor.dtype)


def _by_input(inputs, data):
    names = [tensor.name for tensor in inputs]
    if isinstance(data, Mapping):
        if set(data) != set(names):
            raise ValueError(
                f"`representative_data` must have the inputs' names, {names}. "
                f"Received: {list(data)}"
            )
        return [data[name] for name in names]
    if isinstance(data, list | tuple):
        if len(data) != len(names):
            raise ValueError(
                "`representative_data` must have one array for each input, "
                f"{names}. Received: {len(data)} items"
            )
        return list(data)
    if len(names) > 1:
        raise ValueError(
            "`representative_data` must be a list or a dict of arrays, one for each "
            f"of {names}. Received: an object of type {type(data).__name__}"
        )
    return [data]


def _fit(tensor, data):
    # Whatever NumPy reads: arrays, tensors of every backend.
    array = np.asarray(data) if hasattr(data, "__array__") else None
    if array is None or not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        raise TypeError(
            f"`representative_data` for input '{tensor.name}' must be an array that "
            f"casts to {tensor.dtype}. Received: an object of type "
            f"{type(data).__name__}"
            + ("" if array is None else f" and dtype {array.dtype}")
        )
    expected = _batch_of(tensor)
    fits = array.ndim == len(expected) and all(
        size in (None, actual)
        for size, actual in zip(expected, array.shape, strict=True)
    )
    if not fits or len(array) == 0:
        raise ValueError(
            f"`representative_data` for input '{tensor.name}' must have shape "
            f"{expected}, samples first. Received: shape {array.shape}"
        )
    array = array.astype(tensor.dtype)
    if not np.isfinite(array).all():
        raise ValueError(
            f"`representative_data` for input '{tensor.name}' must be finite. "
            "Received: NaN or infinity"
        )
    return array


def _batch_of(tensor):
    return (None, *tensor.shape)

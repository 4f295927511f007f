"""A user's arrays, checked against the inputs that they are for."""

from collections.abc import Mapping

import numpy as np


def fit(inputs, data, argument, limit=None):
    """One array for each of some `ModelInput`, of its dtype, sizes and values checked.

    Args:
        inputs: A list of `ModelInput`; sizes may be None.
        data: An array, a dict of arrays by input name, or where no two inputs are of
            one shape and dtype a list or tuple of arrays in the order of the inputs;
            the first axis of each counts samples.
        argument: Name of the user's argument, for errors.
        limit: How many samples to read; None reads all.
    """
    given = _by_input(inputs, data, argument)
    arrays = [_array(*pair, argument) for pair in zip(inputs, given, strict=True)]
    counts = {tensor.name: len(x) for tensor, x in zip(inputs, arrays, strict=True)}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"`{argument}` must have as many samples for every input. "
            f"Received: {counts}"
        )
    return [
        _cast(tensor, x[:limit], argument)
        for tensor, x in zip(inputs, arrays, strict=True)
    ]


def _by_input(inputs, data, argument):
    names = [tensor.name for tensor in inputs]
    if isinstance(data, Mapping):
        # The keys first, by which `fit` takes a dict: names may be those of others.
        others = zip(*(reversed(x.other_names) for x in inputs), strict=True)
        for known in (*others, names):
            if set(data) == set(known):
                return [data[name] for name in known]
        raise ValueError(
            f"`{argument}` must have the inputs' names, {names}. Received: {list(data)}"
        )
    if isinstance(data, list | tuple):
        if len(data) != len(names):
            raise ValueError(
                f"`{argument}` must have one array for each input, {names}. "
                f"Received: {len(data)} items"
            )
        _refuse_alike(inputs, argument)
        return list(data)
    if len(names) > 1:
        raise ValueError(
            f"`{argument}` must be a list or a dict of arrays, one for each of "
            f"{names}. Received: an object of type {type(data).__name__}"
        )
    return [data]


def _refuse_alike(inputs, argument):
    """Raise a ValueError if two inputs could be swapped in a list, and nobody knew."""
    alike: dict[tuple, list[str]] = {}
    for tensor in inputs:
        alike.setdefault((tensor.shape, tensor.dtype), []).append(tensor.name)
    for names in alike.values():
        if len(names) > 1:
            raise ValueError(
                f"`{argument}` must be a dict of arrays by input name where inputs are "
                f"of one shape and dtype, as {names} are: in a list they may be "
                "swapped. Received: a list"
            )


def _array(tensor, data, argument):
    # Whatever NumPy reads: arrays, tensors of every backend.
    array = np.asarray(data) if hasattr(data, "__array__") else None
    if array is None or not _may_cast(array.dtype, np.dtype(tensor.dtype)):
        raise TypeError(
            f"`{argument}` for input '{tensor.name}' must be an array that casts to "
            f"{tensor.dtype}. Received: an object of type {type(data).__name__}"
            + ("" if array is None else f" and dtype {array.dtype}")
        )
    expected = (None, *tensor.shape)
    fits = array.ndim == len(expected) and all(
        size in (None, actual)
        for size, actual in zip(expected, array.shape, strict=True)
    )
    if not fits or len(array) == 0:
        raise ValueError(
            f"`{argument}` for input '{tensor.name}' must have shape {expected}, "
            f"samples first. Received: shape {array.shape}"
        )
    return array


def _may_cast(dtype, wanted):
    integers = np.issubdtype(dtype, np.integer) and np.issubdtype(wanted, np.integer)
    return integers or np.can_cast(dtype, wanted, "same_kind")


def _cast(tensor, array, argument):
    if np.issubdtype(tensor.dtype, np.integer):
        lowest, highest = int(array.min()), int(array.max())
        limits = np.iinfo(tensor.dtype)
        if lowest < limits.min or highest > limits.max:
            raise ValueError(
                f"`{argument}` for input '{tensor.name}' must fit {tensor.dtype}. "
                f"Received: values from {lowest} to {highest}"
            )
    with np.errstate(over="ignore"):
        cast = array.astype(tensor.dtype, copy=False)
    if not np.isfinite(cast).all():
        raise ValueError(
            f"`{argument}` for input '{tensor.name}' must be finite. Received: NaN, "
            f"infinity, or more than {tensor.dtype} holds"
        )
    return cast

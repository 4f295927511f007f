"""Representative data that come in batches, as arrays."""

import inspect
import itertools
from collections.abc import Mapping

import numpy as np

# Calibration gains nothing from more, and a stream may have no end.
STREAM_SAMPLES = 512


def is_stream(data):
    """Whether `data` come in batches: a dataset, an iterable, a function of one."""
    if hasattr(data, "__array__") or isinstance(data, list | tuple | Mapping | str):
        return False
    return hasattr(data, "__iter__") or callable(data) or _is_py_dataset(data)


def read(inputs, data, argument, limit=None):
    """The first samples of a stream, as a list or dict of arrays.

    Args:
        inputs: A list of `ModelInput`.
        data: A `tf.data.Dataset`, a `keras.utils.PyDataset`, a generator or another
            iterable of batches or single samples: the inputs alone, or as for `fit`
            a tuple of the inputs, targets and maybe weights. Inputs are an array, a
            list or tuple of arrays in the order of the inputs, or a dict of arrays.
            Or a function without arguments that returns one of these, as TensorFlow's
            converter takes it.
        argument: Name of the user's argument, for errors.
        limit: How many samples to read; None reads up to 512.
    """
    limit = limit or STREAM_SAMPLES
    if callable(data) and not hasattr(data, "__iter__"):
        data = _called(data, argument)
    batches, count = [], 0
    for element in _elements(data):
        batch = _batch(inputs, element, argument)
        batches.append(batch)
        count += len(batch[0][1])
        if count >= limit:
            break
    if not batches:
        raise ValueError(
            f"`{argument}` must yield at least one batch. "
            f"Received: an object of type {type(data).__name__} that yields none"
        )
    return _joined(batches, argument, limit)


def _called(function, argument):
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise TypeError(
            f"`{argument}`, if it is a function, must take no arguments. "
            f"Received: {function!r} ({error})"
        ) from error
    data = function()
    if not is_stream(data):
        raise TypeError(
            f"`{argument}`, if it is a function, must yield batches. "
            f"Received: {function!r}, which returns an object of type "
            f"{type(data).__name__}"
        )
    return data


def _is_py_dataset(data):
    return hasattr(data, "__getitem__") and hasattr(data, "num_batches")


def _elements(data):
    if not _is_py_dataset(data):
        return data
    count = data.num_batches
    indices = itertools.count() if count is None else range(count)
    return (data[index] for index in indices)


def _batch(inputs, element, argument):
    """Pairs of an input's place, a number or a name, and its array, samples first."""
    x = element[0] if isinstance(element, tuple) and element else element
    if isinstance(x, Mapping):
        named = list(x.items())
    else:
        named = list(enumerate(x if isinstance(x, list | tuple) else [x]))
    if not named or not all(hasattr(array, "__array__") for _, array in named):
        raise TypeError(
            f"`{argument}` must yield arrays, lists or dicts of them, or tuples of "
            "such inputs and targets. Received: an element of type "
            f"{type(element).__name__} with "
            f"{[type(array).__name__ for _, array in named]}"
        )
    ranks = _ranks(inputs)
    arrays = [(place, np.asarray(array)) for place, array in named]
    single = all(array.ndim == ranks.get(place) for place, array in arrays)
    return [(place, array[None] if single else array) for place, array in arrays]


def _ranks(inputs):
    """Number of axes of one sample, by all that an input may be called."""
    ranks: dict[int | str, int] = {}
    for number, tensor in enumerate(inputs):
        names = (number, tensor.name, *tensor.other_names)
        ranks |= dict.fromkeys(names, len(tensor.shape))
    return ranks


def _joined(batches, argument, limit):
    places = [[place for place, _ in batch] for batch in batches]
    shapes = [[array.shape[1:] for _, array in batch] for batch in batches]
    for others in (places, shapes):
        for other in others:
            if other != others[0]:
                raise ValueError(
                    f"`{argument}` must yield elements of one structure and shape. "
                    f"Received: {others[0]} and {other}"
                )
    columns = zip(*[[array for _, array in batch] for batch in batches], strict=True)
    arrays = [np.concatenate(column)[:limit] for column in columns]
    if isinstance(places[0][0], int):
        return arrays
    return dict(zip(places[0], arrays, strict=True))

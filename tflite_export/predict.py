"""Outputs of a .tflite file, run by LiteRT."""

import os
from collections.abc import Mapping

import numpy as np

from tflite_export.extras import require


def predict(path, inputs, threads=1):
    """Run a .tflite file on samples, one at a time, as a device would.

    Quantized inputs and outputs are floats here: they are converted with the scales
    in the file.

    Args:
        path: A file that `export` wrote.
        inputs: An array, samples first; or a dict of arrays by input name.
        threads: Threads the interpreter may use.

    Returns:
        An array, samples first; a dict of arrays by output name if there are several.

    Raises:
        ImportError: If LiteRT is not installed.
        ValueError: If there is no such file, or the names or shapes of the inputs are
            not the file's.

    Example:
    >>> logits = tflite_export.predict("model.tflite", x_test)
    >>> accuracy = numpy.mean(logits.argmax(axis=-1) == y_test)
    """
    require("ai_edge_litert")
    from ai_edge_litert.interpreter import Interpreter

    if not os.path.isfile(path):
        raise ValueError(f"There must be a file at `path`. Received: '{path}'")
    interpreter = Interpreter(model_path=os.fspath(path), num_threads=threads)
    run = interpreter.get_signature_runner()
    takes, gives = run.get_input_details(), run.get_output_details()
    arrays = _by_name(inputs, takes)
    outputs: dict[str, list] = {name: [] for name in gives}
    for index in range(len(next(iter(arrays.values())))):
        feeds = {
            name: _quantized(array[index : index + 1], takes[name])
            for name, array in arrays.items()
        }
        for name, values in run(**feeds).items():
            outputs[name].append(_dequantized(values, gives[name]))
    results = {name: np.concatenate(values) for name, values in outputs.items()}
    return results if len(results) > 1 else next(iter(results.values()))


def _by_name(inputs, takes):
    if not isinstance(inputs, Mapping) and len(takes) == 1:
        inputs = {name: inputs for name in takes}
    if not isinstance(inputs, Mapping) or set(inputs) != set(takes):
        names = list(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise ValueError(
            f"`inputs` must hold one array for each of {sorted(takes)}. "
            f"Received: {names}"
        )
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    for name, array in arrays.items():
        expected = tuple(takes[name]["shape"][1:].tolist())
        if array.shape[1:] != expected or not len(array):
            raise ValueError(
                f"Input '{name}' must have shape {(None, *expected)}, samples first. "
                f"Received: shape {array.shape}"
            )
    if len({len(array) for array in arrays.values()}) > 1:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise ValueError(
            f"`inputs` must have as many samples for every input. Received: {shapes}"
        )
    return arrays


def _quantized(array, details):
    scale, zero_point = details["quantization"]
    if not scale:
        return array.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    steps = np.round(array / scale + zero_point)
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def _dequantized(array, details):
    scale, zero_point = details["quantization"]
    # A copy: the interpreter writes the next sample's outputs to the same place.
    array = np.array(array)
    return ((array - float(zero_point)) * scale).astype("float32") if scale else array

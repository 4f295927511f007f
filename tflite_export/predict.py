"""Outputs of a .tflite file, run by LiteRT."""

from collections.abc import Mapping

import numpy as np

from tflite_export.arrays import fit
from tflite_export.graph import ModelInput
from tflite_export.interpreter import dequantized, load, quantized
from tflite_export.settings import require


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
        TypeError: If an argument has the wrong type.
        ValueError: If there is no such file, or the names, shapes or values of the
            inputs are not the file's.

    Example:
    >>> logits = tflite_export.predict("model.tflite", x_test)
    >>> accuracy = numpy.mean(logits.argmax(axis=-1) == y_test)
    """
    require("ai_edge_litert")
    run = _signature_runner(path, threads)
    takes, gives = run.get_input_details(), run.get_output_details()
    arrays = _fit(inputs, takes)
    outputs: dict[str, list] = {name: [] for name in gives}
    for index in range(len(next(iter(arrays.values())))):
        feeds = {
            name: quantized(array[index : index + 1], takes[name])
            for name, array in arrays.items()
        }
        for name, values in run(**feeds).items():
            outputs[name].append(dequantized(values, gives[name]))
    results = {name: np.concatenate(values) for name, values in outputs.items()}
    return results if len(results) > 1 else next(iter(results.values()))


def file_outputs(path, inputs, arrays, names):
    """A list of a file's outputs, in the order of their names."""
    feeds = {x.name: array for x, array in zip(inputs, arrays, strict=True)}
    outputs = predict(path, feeds)
    return [outputs] if len(names) == 1 else [outputs[name] for name in names]


def _signature_runner(path, threads):
    interpreter = load(path, threads)
    try:
        return interpreter.get_signature_runner()
    except ValueError as error:
        raise ValueError(
            f"The file must have one signature, as those of `export` have. "
            f"Received: '{path}' ({error})"
        ) from error


def _fit(inputs, takes):
    """One array for each input by name; what is quantized in the file is float here."""
    tensors = [
        ModelInput(
            name,
            tuple(details["shape"][1:].tolist()),
            "float32" if details["quantization"][0] else details["dtype"].__name__,
        )
        for name, details in takes.items()
    ]
    if len(takes) > 1 and not isinstance(inputs, Mapping):
        # The file's order is another one than the model's.
        raise ValueError(
            f"`inputs` must be a dict of arrays, one for each of {list(takes)}. "
            f"Received: an object of type {type(inputs).__name__}"
        )
    arrays = fit(tensors, inputs, "inputs")
    return dict(zip(takes, arrays, strict=True))

"""A Keras model and a file of it in, the layer that departs first out."""

import tempfile
from pathlib import Path

from tflite_export import samples as sampling
from tflite_export.exporter import export
from tflite_export.graph import check_model, model_inputs
from tflite_export.interpreter import load
from tflite_export.layerwise.difference import Difference
from tflite_export.layerwise.file_tensors import FileTensors
from tflite_export.layerwise.layer_calls import trace
from tflite_export.layerwise.layers_report import LayerCheck, LayersReport
from tflite_export.layerwise.matching import aligned, match
from tflite_export.quiet import audible, quiet
from tflite_export.settings import NEEDED, require
from tflite_export.stock import stock_model
from tflite_export.verify import MAX_SAMPLES

# A good int8 file of ResNet-20 has layers that are 0.13 off.
TOLERANCE = 0.25
FUSED = "fused with a layer after it, or left out"
RENAMED = "no tensor of its name in the file"


def compare_layers(model, path, samples=None, tolerance=TOLERANCE, verbose=True):
    """Find the layer whose output in a file is the first that departs from Keras's.

    For a quantized file whose outputs are off. The model is exported once more, as a
    float32 file, to learn which tensor holds which layer's output; a layer that was
    fused, as a normalization and a ReLU are into their convolution, is compared as
    part of the last one in its tensor. Errors of early layers show in all later ones.

    Args:
        model: The model that the file was exported from, as for `export`.
        path: A .tflite file that `export` wrote.
        samples: Typical inputs, as `representative_data` of `export`; the first 32
            are compared. None takes seeded noise.
        tolerance: Error from which on a layer departs, in standard deviations of its
            output.
        verbose: Whether to print the report.

    Returns:
        A `LayersReport`.

    Raises:
        ImportError: If TensorFlow or LiteRT is not installed.
        RuntimeError: If the model cannot be exported in float32.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, or the file is of another model.

    Example:
    >>> report = tflite_export.compare_layers(model, "model.tflite", x_test)
    >>> report.first.layer, report.first.error
    >>> tflite_export.plot_layers(report).savefig("layers.png")
    """
    require(*NEEDED)
    check_model(model)
    _check_tolerance(tolerance)
    load(path, 1)
    stock = stock_model(model)
    inputs, data = sampling.resolve(
        model_inputs(stock), samples, MAX_SAMPLES, "samples"
    )
    data = {tensor.name: x for tensor, x in zip(inputs, data, strict=True)}
    with quiet(), tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference.tflite"
        export(stock, reference, None, data, verbose=False)
        report = _compare(stock, reference, path, data, tolerance)
    if verbose:
        with audible():
            print(report)
    return report


def _check_tolerance(tolerance):
    is_number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if not is_number or not tolerance > 0:
        raise ValueError(
            f"`tolerance` must be a number above 0. Received: {tolerance!r}"
        )


def _compare(model, reference, path, data, tolerance):
    function, calls = trace(model)
    rows = _rows(data)
    matched = _match(function, calls, reference, rows[0])
    tensors = FileTensors(path)
    _check_inputs(tensors, data, path)
    present = {number: name for number, name in matched.items() if name in tensors}
    if not present:
        raise ValueError(
            "The file must be one that `export` wrote of this model. "
            f"Received: '{path}', in which no tensor has the name of one of its layers"
        )
    differences = {number: Difference() for number in present}
    for row in rows:
        outputs = _outputs(function, row)
        tensors.run(row)
        for number, name in present.items():
            expected = aligned(outputs[number], tensors[name])
            if expected is None:
                raise ValueError(_other_shape(path, calls[number], outputs[number]))
            differences[number].add(expected, tensors[name])
    return LayersReport(
        str(path),
        tuple(
            LayerCheck(calls[number], name, each.error, each.sqnr_db)
            for (number, name), each in zip(
                present.items(), differences.values(), strict=True
            )
        ),
        _unmatched(calls, matched, present),
        len(rows),
        tolerance,
    )


def _rows(data):
    """One dict of arrays with a batch of 1 for each sample."""
    count = len(next(iter(data.values())))
    return [{name: x[i : i + 1] for name, x in data.items()} for i in range(count)]


def _match(function, calls, reference, row):
    tensors = FileTensors(reference)
    tensors.run(row)
    return match(calls, _outputs(function, row), tensors)


def _outputs(function, row):
    """Keras's outputs of one sample; None for calls that give several tensors."""
    import keras

    # A GPU may round to less than float32.
    with keras.device("cpu:0"):
        tensors = [keras.ops.convert_to_tensor(array) for array in row.values()]
        outputs = function(tensors)
    return [
        keras.ops.convert_to_numpy(output) if hasattr(output, "shape") else None
        for output in outputs
    ]


def _check_inputs(tensors, data, path):
    expected = {name: tuple(x.shape[1:]) for name, x in data.items()}
    if tensors.input_shapes != expected:
        raise ValueError(
            f"The file must have the model's inputs, {expected}. "
            f"Received: '{path}' with {tensors.input_shapes}"
        )


def _other_shape(path, call, output):
    return (
        "The file must be one that `export` wrote of this model. "
        f"Received: '{path}', in which layer '{call}' has another shape "
        f"than {output.shape}"
    )


def _unmatched(calls, matched, present):
    reasons = {}
    for number, call in enumerate(calls):
        if number not in present:
            reasons[call] = RENAMED if number in matched else FUSED
    return reasons

"""LiteRT's outputs against Keras's."""

import numpy as np

from tflite_export.graph import call_flat, output_names
from tflite_export.predict import predict
from tflite_export.report import OutputCheck

MAX_SAMPLES = 32
# In the unit of `_unit`.
FLOAT32_TOLERANCE = 1e-3


def keras_outputs(model, samples):
    """What a file's outputs are compared with.

    Args:
        model: A Keras model.
        samples: One array for each input; the first 32 samples are used.

    Returns:
        A list of arrays, one for each output.

    Raises:
        RuntimeError: If an output is not finite.
        ValueError: If an output has not one row for each sample.
    """
    import keras

    # A GPU may round to less than float32.
    with keras.device("cpu:0"):
        tensors = [keras.ops.convert_to_tensor(x[:MAX_SAMPLES]) for x in samples]
        outputs = call_flat(model, tensors)
    outputs = [keras.ops.convert_to_numpy(output) for output in outputs]
    count = len(tensors[0])
    for name, values in zip(output_names(model), outputs, strict=True):
        if values.shape[:1] != (count,):
            raise ValueError(
                "Outputs must have one row for each sample. Received: output "
                f"'{name}' of shape {values.shape} for {count} samples"
            )
        if not np.isfinite(values).all():
            raise RuntimeError(
                f"Keras's output '{name}' holds NaN or infinity, so nothing can be "
                "compared with it. If noise is no input for this model, pass "
                "`representative_data`."
            )
    return outputs


def verify(path, inputs, samples, expected, quantization):
    """Run a file in LiteRT, sample by sample, and compare its outputs.

    Args:
        path: The .tflite file.
        inputs: A list of `ModelInput`.
        samples: One array for each input.
        expected: A dict of Keras's outputs by name.
        quantization: None holds the file to 1e-3 of the outputs' unit: their standard
            deviation, or a thousandth of their largest magnitude where that is more.

    Returns:
        A tuple of `OutputCheck`.

    Raises:
        RuntimeError: If the file cannot be run, its outputs are not finite, or for
            float32 differ by more.
    """
    count = len(next(iter(expected.values())))
    feeds = {x.name: array[:count] for x, array in zip(inputs, samples, strict=True)}
    actual = _predict(path, feeds, quantization)
    if len(expected) == 1:
        actual = dict.fromkeys(expected, actual)
    checks = tuple(compare(name, expected[name], actual[name]) for name in expected)
    for check in checks:
        if quantization is None and check.largest_difference > FLOAT32_TOLERANCE:
            raise RuntimeError(
                f"LiteRT's output '{check.name}' differs from Keras's by "
                f"{check.largest_difference:.1e} of its standard deviation (or of a "
                "thousandth of its largest magnitude, where that is more); at most "
                f"{FLOAT32_TOLERANCE:.0e} is allowed."
            )
    return checks


def _predict(path, feeds, quantization):
    try:
        return predict(path, feeds)
    except ValueError as error:
        hint = (
            " Activations that are 0 for all of `representative_data` have no scale in "
            "int8: pass data that reach them, or choose 'dynamic'."
        )
        raise RuntimeError(
            f"LiteRT cannot run the converted file: {error.__cause__ or error}."
            + (hint if quantization == "int8" else "")
        ) from error


def compare(name, expected, actual):
    """How far an output is from what was expected, as an `OutputCheck`.

    Args:
        name: Of the output.
        expected: Array of Keras's outputs, samples first.
        actual: Array of the same shape.

    Raises:
        RuntimeError: If `actual` is not finite.
    """
    if not np.isfinite(actual).all():
        raise RuntimeError(f"LiteRT's output '{name}' holds NaN or infinity.")
    expected = expected.astype("float64")
    difference = np.abs(actual - expected) / _unit(expected)
    classes = expected.shape[-1] if expected.ndim > 1 else 1
    agreement = None
    if classes > 1:
        agreement = float(np.mean(expected.argmax(-1) == actual.argmax(-1)))
    return OutputCheck(
        name, float(difference.max()), float(difference.mean()), agreement
    )


def _unit(outputs):
    # Outputs that hardly vary carry the rounding error of their magnitude.
    return max(outputs.std(), 1e-3 * np.abs(outputs).max()) or 1.0

"""LiteRT's outputs against Keras's."""

import numpy as np

from tflite_export.graph import call_flat, output_names
from tflite_export.report import OutputCheck

MAX_SAMPLES = 32
# In units of the standard deviation of Keras's outputs.
FLOAT32_TOLERANCE = 1e-3


def verify(model, path, inputs, samples, quantization):
    """Run a file in LiteRT and compare it with its model, sample by sample.

    Args:
        model: The Keras model that was converted.
        path: The .tflite file.
        inputs: A list of `ModelInput`.
        samples: One array for each input; the first 32 samples are used.
        quantization: None holds the file to 1e-3 standard deviations.

    Returns:
        A list of `OutputCheck`, and the number of samples.

    Raises:
        RuntimeError: If the outputs are not finite, or for float32 differ by more.
    """
    samples = [array[:MAX_SAMPLES] for array in samples]
    names = output_names(model)
    expected = _run_keras(model, samples)
    actual = _run_litert(path, [tensor.name for tensor in inputs], samples, names)
    checks = [
        _compare(*outputs) for outputs in zip(names, expected, actual, strict=True)
    ]
    if quantization is None:
        _hold_to_tolerance(checks)
    return checks, len(samples[0])


def _hold_to_tolerance(checks):
    for check in checks:
        if check.largest_difference > FLOAT32_TOLERANCE:
            raise RuntimeError(
                f"LiteRT's output '{check.name}' differs from Keras's by "
                f"{check.largest_difference:.1e} of its standard deviation; at most "
                f"{FLOAT32_TOLERANCE:.0e} is allowed."
            )


def _run_keras(model, samples):
    import keras

    # A GPU may round to less than float32.
    with keras.device("cpu:0"):
        outputs = call_flat(model, [keras.ops.convert_to_tensor(x) for x in samples])
    return [keras.ops.convert_to_numpy(output) for output in outputs]


def _run_litert(path, input_names, samples, names):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    run = interpreter.get_signature_runner()
    takes, gives = run.get_input_details(), run.get_output_details()
    outputs: list[list] = [[] for _ in names]
    for index in range(len(samples[0])):
        feeds = {
            name: _quantized(array[index : index + 1], takes[name])
            for name, array in zip(input_names, samples, strict=True)
        }
        results = run(**feeds)
        for collected, name in zip(outputs, names, strict=True):
            collected.append(_dequantized(results[name], gives[name]))
    return [np.concatenate(collected) for collected in outputs]


def _quantized(array, details):
    scale, zero_point = details["quantization"]
    if not scale:
        return array
    limits = np.iinfo(details["dtype"])
    steps = np.round(array / scale + zero_point)
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def _dequantized(array, details):
    scale, zero_point = details["quantization"]
    # A copy: the interpreter writes the next sample's outputs to the same place.
    array = np.array(array, "float64")
    return (array - zero_point) * scale if scale else array


def _compare(name, expected, actual):
    for source, outputs in (("Keras", expected), ("LiteRT", actual)):
        if not np.isfinite(outputs).all():
            raise RuntimeError(f"{source}'s output '{name}' holds NaN or infinity.")
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

"""A Keras model in, a checked .tflite file and a report out."""

import dataclasses

from tflite_export import samples
from tflite_export.extras import require
from tflite_export.graph import check_model, model_inputs, output_names
from tflite_export.quantize import check_settings
from tflite_export.staging import staged
from tflite_export.stock import float32_model, folded_model
from tflite_export.verify import MAX_SAMPLES, keras_outputs


def export(
    model,
    path,
    quantization=None,
    representative_data=None,
    io_dtype="float32",
    verbose=True,
):
    """Write a Keras model as a .tflite file that was run and compared before.

    Factorised layers are folded on the way, and mixed precision becomes float32. The
    file takes one sample at a time. LiteRT runs it on up to 32 samples of
    `representative_data` (or on seeded noise) and the outputs are compared with
    Keras's; only then does the file appear at `path`, and whatever was there before
    survives a failure. A model on another backend than TensorFlow is converted in a
    process of its own, which knows no custom layers but this project's.

    Args:
        model: A functional or a built Sequential `keras.Model`; nested models, several
            inputs and several outputs included.
        path: Where to write, in a folder that exists.
        quantization: None (float32), "float16" (weights), "dynamic" (int8 weights,
            activations quantized as it runs) or "int8" (all in integers).
        representative_data: Typical inputs, samples first: an array, a list of arrays
            in the order of the inputs, or a dict of arrays by input name. "int8" needs
            it and calibrates with all of it; a few hundred samples are enough. Sizes
            that the model leaves open are taken from it.
        io_dtype: For "int8", the dtype of float inputs and outputs in the file:
            "float32", "int8" or "uint8".
        verbose: Whether to print the report.

    Returns:
        An `ExportReport`.

    Raises:
        ImportError: If TensorFlow or LiteRT is not installed.
        RuntimeError: If outputs are not finite or, for float32, off by 1e-3 of their
            standard deviation or more.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, the file cannot be written there, or the
            model needs an operation that LiteRT lacks.

    Example:
    >>> report = tflite_export.export(model, "model.tflite", "int8", x_train[:200])
    >>> report.latency_ms, report.largest_difference
    """
    require("tensorflow", "ai_edge_litert", "ai_edge_quantizer")
    check_model(model)
    settings = check_settings(quantization, io_dtype, representative_data)
    model = float32_model(model)
    inputs, data = samples.resolve(model_inputs(model), representative_data)
    if settings.quantization != "int8":
        # Only calibration makes use of more.
        data = [array[:MAX_SAMPLES] for array in data]
    with staged(path) as temporary:
        report = _build(model, temporary, inputs, data, settings)
    report = dataclasses.replace(report, path=str(path))
    if verbose:
        print(report)
    return report


def _build(model, path, inputs, data, settings):
    import keras

    if keras.backend.backend() == "tensorflow":
        from tflite_export.build import build
    else:
        from tflite_export.child import build
    outputs = keras_outputs(model, data)
    expected = dict(zip(output_names(model), outputs, strict=True))
    return build(folded_model(model), path, inputs, data, expected, settings)

"""A Keras model in, a checked .tflite file and a report out."""

import dataclasses
import warnings

from tflite_export import description, samples
from tflite_export.extras import NEEDED, require
from tflite_export.graph import check_model, model_inputs, output_names
from tflite_export.quantize import check_settings
from tflite_export.quiet import audible, quiet
from tflite_export.staging import staged
from tflite_export.stock import float32_model, folded_model
from tflite_export.verify import MAX_SAMPLES, keras_outputs

# Mean difference of quantized outputs, in the unit of `OutputCheck`. Outputs that have
# nothing to do with Keras's are about 1 off, those of a good file some hundredths.
MUCH = 0.25


def export(
    model,
    path,
    quantization=None,
    representative_data=None,
    io_dtype="float32",
    labels=None,
    input_range=None,
    verbose=True,
):
    """Write a Keras model as a .tflite file that was run and compared before.

    Factorised layers are folded on the way (though not in a model that has some inside
    another layer, as in TimeDistributed), and mixed precision becomes float32. The
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
            activations quantized as it runs) or "int8" (all in integers, but for the
            operations that LiteRT has only in float; each is between a DEQUANTIZE and
            a QUANTIZE, which the report counts).
        representative_data: Typical inputs, samples first: an array, a list of arrays
            in the order of the inputs, or a dict of arrays by input name (or by key,
            if the model takes a dict). Or a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or a generator of batches, with or without targets.
            "int8" needs it and calibrates with all of it (of what comes in batches
            with the first 512); a few hundred samples are enough, and else 32 are
            read. Sizes that the model leaves open are taken from it.
        io_dtype: For "int8", the dtype of float inputs and outputs in the file:
            "float32", "int8" or "uint8". With "uint8" a model that begins with
            `Rescaling` or `Normalization` takes pixels as they are, if
            `representative_data` are whole numbers from 0 to 255; one whose `Input`
            is uint8 always does.
        labels: Names of the classes, in the order of a classifier's outputs: a list of
            one str for each. They go into the file, for apps to read.
        input_range: What black and white are in the images of a classifier, as
            (0, 255) or (-1, 1). It goes into the file like `labels`; a model that
            scales pixels by itself has (0, 255).
        verbose: Whether to print the report.

    Returns:
        An `ExportReport`. A quantized file that is far off is warned of.

    Raises:
        ImportError: If TensorFlow or LiteRT is not installed.
        RuntimeError: If outputs are not finite or, for float32, off by more than 1e-3
            of their standard deviation (or of a thousandth of their largest magnitude,
            where that is more).
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, the file cannot be written there, or the
            model needs an operation that LiteRT lacks.

    Example:
    >>> report = tflite_export.export(model, "model.tflite", "int8", x_train[:200])
    >>> report.latency_ms, report.largest_difference
    """
    require(*NEEDED)
    check_model(model)
    settings = dataclasses.replace(
        check_settings(quantization, io_dtype, representative_data),
        labels=description.check_labels(labels, model),
        input_range=description.check_input_range(input_range, model),
    )
    # Keras warns anew of what it warned of as the model was made.
    with quiet():
        model = float32_model(model)
    # Only calibration makes use of more.
    limit = None if settings.quantization == "int8" else MAX_SAMPLES
    inputs, data = samples.resolve(model_inputs(model), representative_data, limit)
    if settings.input_range and representative_data is not None:
        description.check_within(settings.input_range, data[0])
    with staged(path) as temporary:
        report = _build(model, temporary, inputs, data, settings)
    report = dataclasses.replace(report, path=str(path))
    with audible():
        if verbose:
            print(report)
        if settings.quantization and report.mean_difference > MUCH:
            warnings.warn(_far_off(report), stacklevel=2)
    return report


def _far_off(report):
    return (
        f"The outputs of the {report.quantization} file differ from Keras's by "
        f"{report.mean_difference:.2f} of their standard deviation in the mean, by "
        f"{report.largest_difference:.2f} at most. Are `representative_data` typical "
        "inputs, a hundred or more, prepared as for training, without outliers? If so, "
        "find the layer where it begins with `tflite_export.compare_layers`, or choose "
        "another quantization."
    )


def _build(model, path, inputs, data, settings):
    import keras

    if keras.backend.backend() == "tensorflow":
        from tflite_export.build import build
    else:
        from tflite_export.child import build
    outputs = keras_outputs(model, data)
    expected = dict(zip(output_names(model), outputs, strict=True))
    with quiet():
        stock = folded_model(model)
    return build(stock, path, inputs, data, expected, settings)

"""A Keras model in, a checked .tflite file and a report out."""

import dataclasses

from tflite_export import description
from tflite_export.class_scores import class_scores
from tflite_export.graph import check_model, model_inputs
from tflite_export.report import announce
from tflite_export.samples import Samples, resolve
from tflite_export.settings import NEEDED, check_evaluation, check_settings, require
from tflite_export.staging import staged
from tflite_export.stock import float32_model, folded_model
from tflite_export.verify import MAX_SAMPLES, keras_outputs


def export(
    model,
    path,
    quantization=None,
    representative_data=None,
    evaluation_data=None,
    max_drop=None,
    labels=None,
    input_range=None,
    *,
    io_dtype="float32",
    verbose=True,
):
    """Write a Keras model as a .tflite file that was run and compared before.

    Factorised layers are folded on the way (though not in a model that has some inside
    another layer, as in TimeDistributed), and mixed precision becomes float32. The
    file takes one sample at a time. LiteRT runs it on up to 32 samples of
    `representative_data` (or of `evaluation_data`, or on seeded noise), and each
    channel of each output is compared with Keras's; only then does the file appear at
    `path`, and whatever was there before survives a failure. A model on another
    backend than TensorFlow is converted in a process of its own, which knows no custom
    layers but this project's.

    Args:
        model: A functional or a built Sequential `keras.Model`; nested models, several
            inputs and several outputs included.
        path: Where to write, in a folder that exists.
        quantization: None (float32), "float16" (weights), "dynamic" (int8 weights,
            activations quantized as it runs) or "int8" (all in integers, but for the
            operations that LiteRT has only in float; each is between a DEQUANTIZE and
            a QUANTIZE, which the report counts).
        representative_data: Typical inputs, samples first: an array, or for several
            inputs a dict of arrays by input name (or by key, if the model takes a
            dict); a list of them, too, unless two inputs are alike in shape and dtype.
            Or a `tf.data.Dataset`, a `keras.utils.PyDataset` or a generator of
            batches, with or without targets, or a function that returns one. "int8"
            needs it and calibrates with all of it (of what comes in batches with the
            first 512); a few hundred samples are enough, and else 32 are read. Sizes
            that the model leaves open are taken from it.
        evaluation_data: A tuple (x, y) of arrays, inputs as above and targets as for
            the model's `evaluate`. On all of it a metric is measured for the file and
            for Keras: the first that the model is compiled with, without any the
            accuracy of classes.
        max_drop: How much worse than Keras the file may be on `evaluation_data`, in
            the unit of the metric: 0.01 is a point of accuracy. None allows anything.
        labels: Names of the classes, in the order of a classifier's outputs: a list of
            one str for each. They go into the file, for apps to read.
        input_range: What black and white are in the images of a classifier, as
            (0, 255) or (-1, 1). It goes into the file like `labels`; a model that
            scales pixels by itself has (0, 255). Data of another range are refused.
        io_dtype: For "int8", the dtype of float inputs and outputs in the file:
            "float32", "int8" or "uint8". With "uint8" a model that begins with
            `Rescaling` or `Normalization` takes pixels as they are, if
            `representative_data` are whole numbers from 0 to 255; one whose `Input`
            is uint8 always does.
        verbose: Whether to print the report.

    Returns:
        An `ExportReport`. A quantized file that is far off is warned of.

    Raises:
        ImportError: If TensorFlow or LiteRT is not installed.
        RuntimeError: If the model cannot be converted; if outputs are not finite, are
            constant in the file where Keras's vary, or are off for float32 by more
            than 1e-3 in the unit of `OutputCheck`; or if the file is worse than
            `max_drop` allows.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, the file cannot be written there, or the
            model needs an operation that LiteRT lacks.

    Example:
    >>> report = tflite_export.export(
    ...     model, "model.tflite", "int8", x_train[:200], (x_test, y_test), 0.01
    ... )
    >>> report.latency_ms, report.evaluation.drop
    """
    require(*NEEDED)
    from tflite_export.evaluate import Evaluator

    check_model(model)
    settings = dataclasses.replace(
        check_settings(quantization, io_dtype, representative_data),
        labels=description.check_labels(labels, model),
        input_range=description.check_input_range(input_range, model),
    )
    check_evaluation(evaluation_data, max_drop)
    runs = float32_model(model)
    x, y = evaluation_data or (None, None)
    inputs, arrays, on_noise = _data(runs, settings, representative_data, x)
    with staged(path) as temporary:
        samples = Samples(inputs, arrays, keras_outputs(runs, arrays))
        scores = class_scores(model, samples.outputs, labels, y)
        settings = dataclasses.replace(settings, class_scores=scores)
        evaluator = None
        if evaluation_data:
            evaluator = Evaluator(model, runs, samples, evaluation_data, max_drop)
        report = _build(runs, temporary, samples, settings)
        report = dataclasses.replace(report, path=str(path), on_noise=on_noise)
        if evaluator:
            evaluation = evaluator.evaluate(temporary, quantization)
            report = dataclasses.replace(report, evaluation=evaluation)
    announce(
        report,
        verbose,
        "Are `representative_data` typical inputs, a hundred or more, prepared as for "
        "training, without outliers? If so, find the layer where it begins with "
        "`tflite_export.compare_layers`, or choose another quantization.",
    )
    return report


def _data(model, settings, representative_data, x):
    """The inputs, samples for each, and whether these are noise, for want of data."""
    argument, given = "representative_data", representative_data
    if given is None and x is not None:
        argument, given = "evaluation_data", x
    # Only calibration makes use of more.
    limit = None if settings.quantization == "int8" else MAX_SAMPLES
    inputs, arrays = resolve(model_inputs(model), given, limit, argument)
    if given is not None:
        description.check_within(settings.input_range, arrays[0], argument)
    return inputs, arrays, given is None


def _build(model, path, samples, settings):
    import keras

    if keras.backend.backend() == "tensorflow":
        from tflite_export.build import build
    else:
        from tflite_export.child import build
    return build(folded_model(model), path, samples, settings)

"""LiteRT's outputs against Keras's."""

import numpy as np

from tflite_export.graph import call_flat, output_names
from tflite_export.predict import file_outputs
from tflite_export.report import OutputCheck, places

MAX_SAMPLES = 32
# In the unit of `OutputCheck`.
FLOAT32_TOLERANCE = 1e-3
# As many tell next to nothing of a channel that has many.
FEW_VALUES = 4


def keras_outputs(model, arrays):
    """A dict of Keras's outputs by name, for the first 32 samples.

    Raises:
        RuntimeError: If an output is not finite.
        ValueError: If an output has not one row for each sample.
    """
    arrays = [array[:MAX_SAMPLES] for array in arrays]
    count = len(arrays[0])
    outputs = dict(zip(output_names(model), run_keras(model, arrays), strict=True))
    for name, values in outputs.items():
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


def run_keras(model, arrays):
    """A list of a Keras model's outputs as arrays, for one array for each input."""
    import keras

    # A GPU may round to less than float32.
    with keras.device("cpu:0"):
        tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
        outputs = call_flat(model, tensors)
    return [keras.ops.convert_to_numpy(output) for output in outputs]


def verify(path, samples, settings):
    """Run a file in LiteRT, sample by sample, and compare its outputs.

    Args:
        path: The .tflite file.
        samples: A `Samples`.
        settings: A `Settings`. Without quantization the file is held to 1e-3 of the
            unit of `OutputCheck`.

    Raises:
        RuntimeError: If the file cannot be run, its outputs are not finite, differ for
            float32 by more, or are constant where Keras's vary.
    """
    expected = samples.outputs
    actual = _run_file(path, samples, settings.quantization)
    checks = tuple(
        compare(name, expected[name], actual[name], name in settings.class_scores)
        for name in expected
    )
    for check in checks:
        worst = max(check.largest_difference, check.channel_difference)
        if not settings.quantization and worst > FLOAT32_TOLERANCE:
            raise RuntimeError(
                f"LiteRT's output '{check.name}' differs from Keras's by {worst:.1e} "
                "of its standard deviation (or of a thousandth of its largest "
                f"magnitude, where that is more); at most {FLOAT32_TOLERANCE:.0e} is "
                "allowed."
            )
    return checks


def _run_file(path, samples, quantization):
    arrays = [array[: samples.count] for array in samples.arrays]
    names = list(samples.outputs)
    try:
        outputs = file_outputs(path, samples.inputs, arrays, names)
    except ValueError as error:
        reason = f"LiteRT cannot run the converted file: {error.__cause__ or error}."
        if quantization == "int8":
            reason = (
                "LiteRT cannot run the int8 file. Most likely a layer's outputs are 0 "
                "for all of `representative_data`, and so have no scale. Pass data "
                "that reach every layer, or choose quantization='dynamic'."
            )
        raise RuntimeError(reason) from error
    return dict(zip(names, outputs, strict=True))


def compare(name, expected, actual, class_scores=False):
    """How far an output is from what was expected, as an `OutputCheck`.

    Of class scores no channel is looked at: all are of one unit, and those that hardly
    vary do not matter.

    Raises:
        RuntimeError: If `actual` is not finite, or constant where `expected` varies.
    """
    if not np.isfinite(actual).all():
        raise RuntimeError(f"LiteRT's output '{name}' holds NaN or infinity.")
    expected, actual = _channels(expected), _channels(actual)
    difference = np.abs(actual - expected)
    # Outputs that hardly vary carry the rounding error of their magnitude.
    least = 1e-3 * np.abs(expected).max(initial=0.0)
    unit = max(expected.std(), least) or 1.0
    largest, mean = float(difference.max() / unit), float(difference.mean() / unit)
    if class_scores:
        top = expected.argmax(axis=1)
        agreement = float(np.mean(top == actual.argmax(axis=1)))
        return OutputCheck(
            name, largest, mean, agreement=agreement, classes=len(np.unique(top))
        )
    units = np.maximum(expected.std(axis=0), least)
    by_channel = difference.max(axis=0) / np.where(units > 0, units, 1.0)
    constant, coarse = _lost_channels(expected, actual)
    if constant:
        raise RuntimeError(_constant(name, constant, expected.shape[1]))
    return OutputCheck(name, largest, mean, float(by_channel.max()), coarse)


def _channels(outputs):
    """Outputs as floats, one column for each channel, the last axis."""
    outputs = np.asarray(outputs, "float64")
    return outputs.reshape(-1, outputs.shape[-1] if outputs.ndim > 1 else 1)


def _lost_channels(expected, actual):
    """Numbers of the channels that vary, but have one value or a few in the file.

    All channels of an integer output share one scale: beside boxes in pixels, scores
    from 0 to 1 are less than a step of it, or a few.
    """
    spread = np.ptp(expected, axis=0)
    # Of outputs that hardly vary, rounding may leave nothing. So it may of
    # probabilities: they have 256 steps from 0 to 1, whatever the values are.
    least = 1e-3 * np.abs(expected).max(axis=0)
    if expected.min() >= 0 and expected.max() <= 1:
        least = np.maximum(least, FEW_VALUES / 128)
    values = np.array([len(np.unique(column)) for column in actual.T])
    many = [len(np.unique(column)) > 2 * FEW_VALUES for column in expected.T]
    varies = spread > least
    lost = varies & (values <= np.where(many, FEW_VALUES, 1))
    kept = spread[varies & ~lost]
    # What is of another kind than the rest is apart from it. Else it is the end of a
    # continuum, as the dark rim of images is.
    if kept.size and lost.any() and kept.min() < 4 * spread[lost].max():
        return (), ()
    constant = np.flatnonzero(lost & (values == 1))
    return tuple(constant.tolist()), tuple(np.flatnonzero(lost).tolist())


def _constant(name, channels, of):
    if of == 1:
        what, way_out = "is", "Choose quantization='dynamic' or None"
    else:
        what = f"has {len(channels)} of {of} channels ({places(channels)}) that are"
        way_out = (
            "Give what is of another magnitude, as boxes beside scores, as separate "
            "outputs of the model, which have a scale each; or choose "
            "quantization='dynamic'"
        )
    return (
        f"LiteRT's output '{name}' {what} the same for all samples, and Keras's vary. "
        f"In integers all channels of an output share one scale. {way_out}."
    )

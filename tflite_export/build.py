"""From a prepared model to a checked file and its report."""

from pathlib import Path

from tflite_export.benchmark import RUNS, benchmark
from tflite_export.convert import convert
from tflite_export.description import describe
from tflite_export.operations import count_operations
from tflite_export.quiet import quiet
from tflite_export.report import ExportReport
from tflite_export.verify import verify


def build(model, path, inputs, samples, expected, settings):
    """Convert, write, compare and time; on the TensorFlow backend.

    Args:
        model: A float32 model of stock layers.
        path: Where to write; the caller moves or removes it.
        inputs: A list of `ModelInput`, every size known.
        samples: One array for each input.
        expected: A dict of the outputs to find, by name.
        settings: A `quantize.Settings`.

    Returns:
        An `ExportReport`.
    """
    with quiet():
        content = convert(model, inputs, list(expected), samples, settings)
        content = describe(content, settings.labels, settings.input_range)
    return check(content, path, inputs, samples, expected, settings.quantization)


def check(content, path, inputs, samples, expected, quantization):
    """Write a converted model, run it, compare and time it.

    Args:
        content: The file's bytes.
        path: Where to write; the caller moves or removes it.
        inputs: A list of `ModelInput`, every size known.
        samples: One array for each input.
        expected: A dict of the outputs to find, by name.
        quantization: As in `quantize.Settings`.

    Returns:
        An `ExportReport`.
    """
    with quiet():
        Path(path).write_bytes(content)
        checks = verify(path, inputs, samples, expected, quantization)
    (timing,) = benchmark([path])
    return ExportReport(
        path=str(path),
        quantization=quantization,
        bytes=len(content),
        operations=count_operations(content),
        outputs=checks,
        samples=len(next(iter(expected.values()))),
        latency_ms=timing.median_ms,
        runs=RUNS,
    )

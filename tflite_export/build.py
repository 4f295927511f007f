"""From a prepared model to a checked file and its report."""

from pathlib import Path

from tflite_export.benchmark import RUNS, benchmark
from tflite_export.convert import convert
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
        Path(path).write_bytes(content)
        checks = verify(path, inputs, samples, expected, settings.quantization)
    (timing,) = benchmark([path])
    return ExportReport(
        path=str(path),
        quantization=settings.quantization,
        bytes=len(content),
        operations=count_operations(content),
        outputs=checks,
        samples=len(next(iter(expected.values()))),
        latency_ms=timing.median_ms,
        runs=RUNS,
    )

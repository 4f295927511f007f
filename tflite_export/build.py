"""From a prepared model to a checked file and its report."""

from pathlib import Path

from tflite_export.benchmark import RUNS, benchmark
from tflite_export.convert import convert
from tflite_export.operations import count_operations
from tflite_export.quiet import quiet
from tflite_export.report import ExportReport
from tflite_export.verify import verify


def build(model, path, inputs, samples, settings):
    """Convert, write, compare and time; on the TensorFlow backend.

    Args:
        model: A float32 model of stock layers.
        path: Where to write; the caller moves or removes it.
        inputs: A list of `ModelInput`, every size known.
        samples: One array for each input.
        settings: A `quantize.Settings`.

    Returns:
        An `ExportReport`.
    """
    with quiet():
        content = convert(model, inputs, samples, settings)
        Path(path).write_bytes(content)
        checks, count = verify(model, path, inputs, samples, settings.quantization)
    (timing,) = benchmark([path])
    return ExportReport(
        path=str(path),
        quantization=settings.quantization,
        bytes=len(content),
        operations=count_operations(content),
        outputs=tuple(checks),
        samples=count,
        latency_ms=timing.median_ms,
        runs=RUNS,
    )

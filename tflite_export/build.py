"""From a prepared model to a checked file and its report."""

import dataclasses
from pathlib import Path

from tflite_export.benchmark import RUNS, benchmark
from tflite_export.convert import convert
from tflite_export.description import describe
from tflite_export.interpreter import count_operations
from tflite_export.quiet import quiet
from tflite_export.report import ExportReport
from tflite_export.verify import verify


def build(model, path, samples, settings):
    """Convert, write, compare and time, on the TensorFlow backend.

    Args:
        model: A float32 model of stock layers.
        path: Where to write; the caller moves or removes it.
        samples: A `Samples`.
        settings: A `Settings`.
    """
    with quiet():
        content, float32_bytes = convert(model, samples, settings)
        content = describe(content, settings.labels, settings.input_range)
    report = check(content, path, samples, settings)
    return dataclasses.replace(report, float32_bytes=float32_bytes)


def check(content, path, samples, settings):
    """Write the bytes of a converted model, and go on as `build`."""
    with quiet():
        Path(path).write_bytes(content)
        checks = verify(path, samples, settings)
    (timing,) = benchmark([path])
    return ExportReport(
        path=str(path),
        quantization=settings.quantization,
        bytes=len(content),
        operations=count_operations(content),
        outputs=checks,
        samples=samples.count,
        latency_ms=timing.median_ms,
        runs=RUNS,
    )

"""Building in a process of its own, which has the TensorFlow backend."""

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np

from tflite_export.process import ask
from tflite_export.quiet import quiet
from tflite_export.report import ExportReport
from tflite_export.stock import plain_model


def build(model, path, inputs, samples, expected, settings):
    """As `tflite_export.build.build`, on any backend; errors come back as they are."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with quiet():
            plain_model(model).save(folder / "model.keras")
        np.savez(folder / "samples.npz", *samples)
        np.savez(folder / "expected.npz", *expected.values())
        request = {
            "path": str(path),
            "inputs": [dataclasses.asdict(tensor) for tensor in inputs],
            "outputs": list(expected),
            "settings": dataclasses.asdict(settings),
        }
        (folder / "request.json").write_text(json.dumps(request))
        report = ask(
            "converting", "tflite_export.worker", folder, KERAS_BACKEND="tensorflow"
        )
    return ExportReport.from_dict(report)

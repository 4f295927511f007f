"""Building in a process of its own, which has the TensorFlow backend."""

import builtins
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

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
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tflite_export.worker", name],
            env=_environment(),
            capture_output=True,
            text=True,
        )
        reply = folder / "reply.json"
        if not reply.exists():
            raise RuntimeError(
                f"The converting process ended with code {done.returncode}: "
                + " ".join(done.stderr.split())[-500:]
            )
        return _unpack(json.loads(reply.read_text()))


def _environment():
    """This process's, with its module path; no GPU, which another backend may hold."""
    return {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
    }


def _unpack(reply):
    if "error" in reply:
        raise getattr(builtins, reply["error"], RuntimeError)(reply["message"])
    return ExportReport.from_dict(reply["report"])

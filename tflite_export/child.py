"""Building in a process of its own, which has the TensorFlow backend: both ends."""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from tflite_export.causes import cause_of
from tflite_export.graph import ModelInput
from tflite_export.process import answer, ask
from tflite_export.quiet import quiet
from tflite_export.report import ExportReport
from tflite_export.samples import Samples
from tflite_export.settings import Settings


def build(model, path, samples, settings):
    """As `tflite_export.build.build`, on any backend; errors come back as they are."""
    from tflite_export.stock import plain_model

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with quiet():
            plain_model(model).save(folder / "model.keras")
        np.savez(folder / "arrays.npz", *samples.arrays)
        np.savez(folder / "outputs.npz", *samples.outputs.values())
        request = {
            "path": str(path),
            "inputs": [dataclasses.asdict(tensor) for tensor in samples.inputs],
            "outputs": list(samples.outputs),
            "settings": dataclasses.asdict(settings),
        }
        (folder / "request.json").write_text(json.dumps(request))
        report = ask(
            "converting", "tflite_export.child", folder, KERAS_BACKEND="tensorflow"
        )
    return ExportReport.from_dict(report)


def _work(folder):
    """The report that a folder with a request asks for, as a dict."""
    from tflite_export.build import build

    request = json.loads((folder / "request.json").read_text())
    outputs = _read_arrays(folder / "outputs.npz")
    samples = Samples(
        [ModelInput(**tensor) for tensor in request["inputs"]],
        _read_arrays(folder / "arrays.npz"),
        dict(zip(request["outputs"], outputs, strict=True)),
    )
    settings = Settings(**request["settings"])
    model = _load(folder / "model.keras")
    return build(model, request["path"], samples, settings).to_dict()


def _read_arrays(path):
    with np.load(path) as arrays:
        return list(arrays.values())


def _load(path):
    import keras

    import keras_dprp  # noqa: F401  registers the factorised layers

    try:
        # Safe: the file was written by the process that asks.
        return keras.saving.load_model(path, compile=False, safe_mode=False)
    except Exception as error:
        raise ValueError(
            "The converting process cannot load the model, as it knows no layers or "
            "functions of your own. Save the model, load it with "
            "KERAS_BACKEND=tensorflow where its layers are defined, and export it "
            f"there. Received: {cause_of(error)}"
        ) from error


if __name__ == "__main__":
    answer(Path(sys.argv[1]), _work)

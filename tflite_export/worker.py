"""The process that builds for another backend: `python -m tflite_export.worker DIR`."""

import json
import sys
from pathlib import Path

import numpy as np

from tflite_export.causes import cause_of
from tflite_export.graph import ModelInput
from tflite_export.process import answer
from tflite_export.quantize import Settings


def work(folder):
    """The report that a folder with a request asks for, as a dict."""
    from tflite_export.build import build

    request = json.loads((folder / "request.json").read_text())
    expected = _read_arrays(folder / "expected.npz")
    report = build(
        _load(folder / "model.keras"),
        request["path"],
        [ModelInput(**tensor) for tensor in request["inputs"]],
        _read_arrays(folder / "samples.npz"),
        dict(zip(request["outputs"], expected, strict=True)),
        Settings(**request["settings"]),
    )
    return report.to_dict()


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
    answer(Path(sys.argv[1]), work)

"""The process that builds for another backend: `python -m tflite_export.worker DIR`."""

import json
import sys
from pathlib import Path

import numpy as np

from tflite_export.graph import ModelInput
from tflite_export.quantize import Settings


def main(folder):
    """Answer the request in a folder with a report, or an error's type and text."""
    try:
        reply = {"report": _build(folder).to_dict()}
    except Exception as error:
        reply = {"error": type(error).__name__, "message": str(error)}
    (folder / "reply.json").write_text(json.dumps(reply))


def _build(folder):
    from tflite_export.build import build

    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "samples.npz") as arrays:
        samples = list(arrays.values())
    return build(
        _load(folder / "model.keras"),
        request["path"],
        [ModelInput(**tensor) for tensor in request["inputs"]],
        samples,
        Settings(**request["settings"]),
    )


def _load(path):
    import keras

    try:
        # Safe: the file was written by the process that asks.
        return keras.saving.load_model(path, compile=False, safe_mode=False)
    except Exception as error:
        # Keras gives the cause last, between two dumps of the configuration.
        reason = str(error).rpartition("Exception encountered: ")[2].partition(". ")[0]
        raise ValueError(
            "The model holds layers that the converting process cannot load. Define "
            "them in a module that can be imported, or export on the TensorFlow "
            f"backend (KERAS_BACKEND=tensorflow). Received: {reason}"
        ) from error


if __name__ == "__main__":
    main(Path(sys.argv[1]))

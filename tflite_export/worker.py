"""The process that builds for another backend: `python -m tflite_export.worker DIR`."""

import json
import sys
from pathlib import Path

import numpy as np

from tflite_export.causes import cause_of
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
    expected = _read_arrays(folder / "expected.npz")
    return build(
        _load(folder / "model.keras"),
        request["path"],
        [ModelInput(**tensor) for tensor in request["inputs"]],
        _read_arrays(folder / "samples.npz"),
        dict(zip(request["outputs"], expected, strict=True)),
        Settings(**request["settings"]),
    )


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
    main(Path(sys.argv[1]))

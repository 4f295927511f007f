"""What the command line reads: a model, data, and labels."""

import contextlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from tflite_export.causes import cause_of
from tflite_export.quiet import quiet


def check_source(source):
    """Raise a ValueError unless there is a whole .keras file at a path."""
    if not source.endswith(".keras"):
        raise ValueError(f"The model must be a .keras file. Received: '{source}'")
    if not Path(source).is_file():
        raise ValueError(f"There must be a file at each path. Received: '{source}'")
    if not zipfile.is_zipfile(source):
        raise ValueError(
            "The model must be a whole .keras file, a zip archive. "
            f"Received: '{source}', which is empty, damaged or of another kind"
        )
    with zipfile.ZipFile(source) as archive:
        names = archive.namelist()
    if "config.json" not in names:
        raise ValueError(
            "The model must be a .keras file with a config.json in it. "
            f"Received: '{source}' with {names[:5]}"
        )


def read_model(path):
    """The model in a .keras file, compiled if it can be."""
    # TensorFlow logs as it is imported and as it finds devices.
    with quiet():
        import keras

        import keras_dprp  # noqa: F401  registers the factorised layers

        with contextlib.suppress(Exception):
            # Its loss and metrics tell more of it, where they are Keras's own.
            return keras.saving.load_model(path)
        try:
            return keras.saving.load_model(path, compile=False)
        # What a damaged file raises depends on where it is damaged.
        except Exception as error:
            raise ValueError(
                f"The model cannot be read: {type(error).__name__}: {cause_of(error)}. "
                "The command line knows no layers or functions of your own; if the "
                "model has some, call tflite_export.export where they are defined. "
                f"Received: '{path}'"
            ) from error


def read_data(path):
    """Representative data: an array, or a dict of arrays by input name."""
    arrays = _read_arrays(path, "Representative data", (".npy", ".npz"))
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def read_evaluation(path):
    """Evaluation data: inputs and targets."""
    arrays = _read_arrays(path, "Evaluation data", (".npz",))
    if len(arrays) < 2 or "y" not in arrays:
        raise ValueError(
            "Evaluation data must be inputs x (or one array for each input, by name) "
            f"and targets y. Received: '{path}' with {list(arrays)}"
        )
    y = arrays.pop("y")
    return (next(iter(arrays.values())) if len(arrays) == 1 else arrays), y


def _read_arrays(path, what, suffixes):
    """A dict of the arrays in a file, by their names."""
    if not (path.endswith(suffixes) and Path(path).is_file()):
        raise ValueError(
            f"{what} must be a {' or '.join(suffixes)} file. Received: '{path}'"
        )
    try:
        # NumPy leaves a file open that it cannot read.
        with open(path, "rb") as file:
            data = np.load(file)
            return {"x": data} if isinstance(data, np.ndarray) else dict(data)
    except (EOFError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{what} cannot be read: {error}. Received: '{path}'"
        ) from error


def read_labels(path):
    """A list of labels, one a line."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            "Labels must be a text file of one label a line, in UTF-8. "
            f"Received: '{path}' ({error})"
        ) from error

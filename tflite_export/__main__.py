"""The command line: `python -m tflite_export`."""

import argparse
import os
import sys
import zipfile
from pathlib import Path

import numpy as np

from tflite_export.benchmark import RUNS, benchmark, timings_table
from tflite_export.exporter import export
from tflite_export.quantize import IO_DTYPES, QUANTIZATIONS
from tflite_export.quiet import quiet

EXPORT_OPTIONS = ("quantization", "representative_data", "io_dtype")
BENCHMARK_OPTIONS = ("threads", "runs")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Print one line, without the usage before it."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def main(arguments=None):
    """Export one model, or time files.

    Args:
        arguments: A list of str; None takes the command line's.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    given = {name: value for name, value in vars(options).items() if value is not None}
    others = EXPORT_OPTIONS if options.benchmark else BENCHMARK_OPTIONS
    for name in others:
        if name in given:
            flag = "--" + name.replace("_", "-")
            place = "with" if options.benchmark else "without"
            parser.error(f"{flag} means nothing {place} --benchmark")
    try:
        if options.benchmark:
            _benchmark(options.files, given)
        elif len(options.files) == 2:
            _export(options.files[0], options.files[1], given)
        else:
            parser.error(
                "give a .keras file and the .tflite file to write. "
                f"Received: {options.files}"
            )
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        parser.error(str(error))


def _parser():
    parser = _Parser(
        prog="python -m tflite_export",
        description="Export a .keras file to a checked .tflite file, or time files.",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="model.keras model.tflite, or with --benchmark .tflite files",
    )
    parser.add_argument(
        "--quantization", choices=[kind for kind in QUANTIZATIONS if kind]
    )
    parser.add_argument(
        "--representative-data",
        metavar="FILE",
        help=".npy, or .npz with one array for each input, by name; samples first",
    )
    parser.add_argument(
        "--io-dtype", choices=IO_DTYPES, help="of an int8 file's inputs and outputs"
    )
    parser.add_argument(
        "--benchmark", action="store_true", help="time .tflite files side by side"
    )
    parser.add_argument("--threads", type=int, help="default: 1")
    parser.add_argument("--runs", type=int, help=f"default: {RUNS}")
    return parser


def _benchmark(files, given):
    settings = {name: given[name] for name in BENCHMARK_OPTIONS if name in given}
    print(timings_table(benchmark(files, **settings)))


def _export(source, path, given):
    settings = {name: given[name] for name in EXPORT_OPTIONS if name in given}
    if "representative_data" in settings:
        settings["representative_data"] = _read_data(settings["representative_data"])
    export(_read_model(source), path, **settings)


def _read_model(path):
    if not (path.endswith(".keras") and Path(path).is_file()):
        raise ValueError(f"The model must be a .keras file. Received: '{path}'")
    # TensorFlow logs as it is imported and as it finds devices.
    with quiet():
        import keras

        import keras_dprp  # noqa: F401  registers the factorised layers

        return keras.saving.load_model(path, compile=False)


def _read_data(path):
    if not (path.endswith((".npy", ".npz")) and Path(path).is_file()):
        raise ValueError(
            f"Representative data must be a .npy or .npz file. Received: '{path}'"
        )
    try:
        data = np.load(path)
        if isinstance(data, np.ndarray):
            return data
        arrays = dict(data)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"Representative data cannot be read: {error}. Received: '{path}'"
        ) from error
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


if __name__ == "__main__":
    # Any backend's .keras file can be read on the one that converts.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.exit(main())

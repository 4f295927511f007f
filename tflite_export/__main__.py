"""The command line: `python -m tflite_export`."""

import argparse
import contextlib
import os
import re
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

from tflite_export.benchmark import RUNS, benchmark, timings_json, timings_table
from tflite_export.causes import cause_of
from tflite_export.exporter import export
from tflite_export.extras import NEEDED, require
from tflite_export.quantize import IO_DTYPES, QUANTIZATIONS
from tflite_export.quiet import quiet
from tflite_export.staging import check_path, staged

EXPORT_OPTIONS = (
    "quantization",
    "representative_data",
    "io_dtype",
    "labels",
    "input_range",
)
BENCHMARK_OPTIONS = ("threads", "runs", "json")


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
            place = "with" if options.benchmark else "without"
            parser.error(f"{_flag(name)} means nothing {place} --benchmark")
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
        parser.error(_in_options(str(error)))


def _flag(name):
    return "--" + name.replace("_", "-")


def _in_options(message):
    """A message about arguments of a function as one about the command line's."""
    for name in EXPORT_OPTIONS + BENCHMARK_OPTIONS:
        message = message.replace(f"`{name}`", _flag(name))
        message = re.sub(rf"\b{name}='(\w+)'", rf"{_flag(name)} \1", message)
    return message.replace("`path`", "FILE")


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
        "--quantization",
        choices=[kind for kind in QUANTIZATIONS if kind],
        help="float16: weights; dynamic: int8 weights, the rest as it runs; int8: all "
        "in integers, needs representative data; default: none (float32)",
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
        "--labels", metavar="FILE", help="names of the classes, one a line"
    )
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("BLACK", "WHITE"),
        help="what black and white are in the input, as 0 255",
    )
    parser.add_argument(
        "--benchmark", action="store_true", help="time .tflite files side by side"
    )
    parser.add_argument(
        "--threads", type=_counts, metavar="N[,N...]", help="to time with; default: 1"
    )
    parser.add_argument("--runs", type=int, help=f"of each file; default: {RUNS}")
    parser.add_argument(
        "--json", metavar="FILE", help="where to write the timings beside printing them"
    )
    return parser


def _counts(text):
    try:
        return [int(count) for count in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be ints with commas between. Received: '{text}'"
        ) from error


def _benchmark(files, given):
    runs = given.get("runs", RUNS)
    with contextlib.ExitStack() as stack:
        # A place that cannot be written is refused before minutes of timing.
        place = stack.enter_context(staged(given["json"])) if "json" in given else None
        timings = benchmark(files, given.get("threads", 1), runs)
        if place is not None:
            place.write_text(timings_json(timings, runs))
    print(timings_table(timings))


def _export(source, path, given):
    """Check all that can be checked before TensorFlow and the model are loaded."""
    require(*NEEDED)
    settings = {name: given[name] for name in EXPORT_OPTIONS if name in given}
    _check_options(settings)
    check_path(path)
    _check_source(source)
    if "representative_data" in settings:
        settings["representative_data"] = _read_data(settings["representative_data"])
    if "labels" in settings:
        settings["labels"] = _read_labels(settings["labels"])
    export(_read_model(source), path, **settings)


def _check_options(settings):
    is_int8 = settings.get("quantization") == "int8"
    if "io_dtype" in settings and not is_int8:
        raise ValueError(
            f"--io-dtype {settings['io_dtype']} needs --quantization int8. "
            f"Received: --quantization {settings.get('quantization', 'none')}"
        )
    if is_int8 and "representative_data" not in settings:
        raise ValueError(
            "--quantization int8 needs --representative-data: a .npy file of a hundred "
            "or more typical inputs (.npz for several inputs), samples first, prepared "
            "as for training. Received: none"
        )


def _check_source(source):
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


def _read_model(path):
    # TensorFlow logs as it is imported and as it finds devices.
    with quiet():
        import keras

        import keras_dprp  # noqa: F401  registers the factorised layers

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


def _read_data(path):
    if not (path.endswith((".npy", ".npz")) and Path(path).is_file()):
        raise ValueError(
            f"Representative data must be a .npy or .npz file. Received: '{path}'"
        )
    try:
        # NumPy leaves a file open that it cannot read.
        with open(path, "rb") as file:
            data = np.load(file)
            if isinstance(data, np.ndarray):
                return data
            arrays = dict(data)
    except (EOFError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"Representative data cannot be read: {error}. Received: '{path}'"
        ) from error
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _read_labels(path):
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            "Labels must be a text file of one label a line, in UTF-8. "
            f"Received: '{path}' ({error})"
        ) from error


if __name__ == "__main__":
    # Any backend's .keras file can be read on the one that converts.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.exit(main())

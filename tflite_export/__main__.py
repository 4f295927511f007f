"""The command line: `python -m tflite_export`."""

import argparse
import contextlib
import os
import re
import sys

from tflite_export.benchmark import RUNS, benchmark, timings_json, timings_table
from tflite_export.exporter import export
from tflite_export.profile import time_files
from tflite_export.read_files import (
    check_source,
    read_data,
    read_evaluation,
    read_labels,
    read_model,
)
from tflite_export.settings import (
    IO_DTYPES,
    NEEDED,
    QUANTIZATIONS,
    check_evaluation,
    check_settings,
    require,
)
from tflite_export.staging import check_path, staged

EXPORT_OPTIONS = (
    "quantization",
    "representative_data",
    "evaluation_data",
    "max_drop",
    "io_dtype",
    "labels",
    "input_range",
)
BENCHMARK_OPTIONS = ("threads", "runs", "json")
PROFILE_OPTIONS = ("quantization", "output", "threads", "runs")
OPTIONS = {*EXPORT_OPTIONS, *BENCHMARK_OPTIONS, *PROFILE_OPTIONS}


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
    _check_together(parser, options, given)
    try:
        if options.benchmark:
            _benchmark(options.files, given)
        elif options.profile:
            _profile(parser, options.files, given)
        elif len(options.files) == 2:
            _export(options.files[0], options.files[1], given)
        else:
            parser.error(
                "give a .keras file and the .tflite file to write. "
                f"Received: {options.files}"
            )
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        parser.error(_in_options(str(error)))


def _check_together(parser, options, given):
    """End with an error where an option is of another purpose."""
    purpose, known = "an export", {*EXPORT_OPTIONS}
    if options.benchmark:
        purpose, known = "--benchmark", {*BENCHMARK_OPTIONS}
    elif options.profile:
        purpose, known = "--profile", {*PROFILE_OPTIONS}
    for name in sorted((OPTIONS - known) & given.keys()):
        parser.error(f"{_flag(name)} means nothing in {purpose}")
    if options.benchmark and options.profile:
        parser.error("give --benchmark or --profile. Received: both")


def _flag(name):
    return "--" + name.replace("_", "-")


def _in_options(message):
    """A message about arguments of a function as one about the command line's."""
    for name in OPTIONS:
        message = message.replace(f"`{name}`", _flag(name))
        message = re.sub(rf"\b{name}='(\w+)'", rf"{_flag(name)} \1", message)
    return message.replace("`path`", "FILE")


def _parser():
    parser = _Parser(
        prog="python -m tflite_export",
        description="Export a .keras file to a checked .tflite file, time files, or "
        "make a profile of a device.",
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
        "--evaluation-data",
        metavar="FILE",
        help=".npz with x (or one array for each input, by name) and targets y, to "
        "measure the file's accuracy, or the model's metric, beside Keras's on",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="DROP",
        help="how much worse the file may be there, as 0.01; else none is written",
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
        "--profile",
        action="store_true",
        help="with model.keras and --output write the files of its operations, with "
        "profile.json time them on this machine",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the profile to write, a .json file"
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


def _profile(parser, files, given):
    if len(files) != 1:
        parser.error(f"give one model.keras or one profile.json. Received: {files}")
    (source,) = files
    if source.endswith(".keras"):
        if "output" not in given or {"threads", "runs"} & given.keys():
            parser.error(
                "give -o profile.json with a model, and --threads and --runs with a "
                f"profile. Received: {source}"
            )
        require(*NEEDED)
        from tflite_export.operation_files import write_files

        check_source(source)
        model = read_model(source)
        write_files(model, given["output"], given.get("quantization"))
        return
    if "output" in given or "quantization" in given:
        parser.error(
            "give a .keras file with --output and --quantization; a profile has both. "
            f"Received: {source}"
        )
    counts = given.get("threads", [1])
    if len(counts) > 1:
        parser.error(f"a profile is of one number of threads. Received: {counts}")
    try:
        time_files(source, counts[0], given.get("runs", RUNS))
    except KeyboardInterrupt:
        parser.exit(130, "\nInterrupted: the same command goes on where it was\n")


def _export(source, path, given):
    """Check all that can be checked before TensorFlow and the model are loaded."""
    require(*NEEDED)
    check_path(path)
    readers = {
        "representative_data": read_data,
        "evaluation_data": read_evaluation,
        "labels": read_labels,
    }
    settings = {
        name: readers.get(name, lambda value: value)(given[name])
        for name in EXPORT_OPTIONS
        if name in given
    }
    check_settings(
        settings.get("quantization"),
        settings.get("io_dtype", "float32"),
        settings.get("representative_data"),
    )
    check_evaluation(settings.get("evaluation_data"), settings.get("max_drop"))
    check_source(source)
    export(read_model(source), path, **settings)


if __name__ == "__main__":
    # Any backend's .keras file can be read on the one that converts.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.exit(main())

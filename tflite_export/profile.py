"""Times the files of a profile on this device; LiteRT and NumPy are all it needs."""

import json
import statistics
from pathlib import Path

from tflite_export.benchmark import RUNS, benchmark, machine
from tflite_export.settings import check_count
from tflite_export.staging import staged

# How often a file does its operation: to call LiteRT at all takes a microsecond or two.
COPIES = 8
# Where the tensors of a file happen to lie in memory moves its time.
LOADS = 3
# Files that take turns. After each such group the times are written.
GROUP = 10


def time_files(path, threads=1, runs=RUNS, verbose=True):
    """Time what a profile has no times of yet, and write them into it.

    The network takes its turns in every group of files, so that a device that slows
    down as it gets warm does so for all alike. Interrupted, it goes on where it was.

    Args:
        path: Of a profile, with the folder of its files beside it.
        threads: Int. Threads the interpreter may use.
        runs: Int. Timed runs of each file, each of the times that it is loaded.
        verbose: Whether to show the progress.

    Raises:
        ValueError: If the profile or a file is missing or damaged, or the profile was
            begun on another device or with other threads.
    """
    check_count("threads", threads)
    check_count("runs", runs)
    content, folder = _read(path), folder_of(path)
    device = {**machine(), "threads": threads}
    if content["device"] not in (None, device):
        raise ValueError(
            "A profile must be of one device, one version and one number of threads: "
            f"begun with {content['device']}, it cannot go on. Received: {device}"
        )
    content["device"] = device
    network, operations = content["network"], content["operations"]
    missing = [each for each in operations if each["milliseconds"] is None]
    for begin in range(0, len(missing), GROUP):
        group = missing[begin : begin + GROUP]
        files = [folder / each["file"] for each in [network, *group]]
        first, *others = _milliseconds(files, threads, runs)
        if network["milliseconds"] is None:
            network["milliseconds"] = first
        for each, milliseconds in zip(group, others, strict=True):
            share = milliseconds / first / COPIES
            each["milliseconds"] = share * network["milliseconds"]
        with staged(path) as temporary:
            write(content, temporary)
        if verbose:
            done = len(operations) - len(missing) + begin + len(group)
            print(f"{done} of {len(operations)} operations timed", flush=True)
    if verbose:
        print(f"The network takes {network['milliseconds']:.4g} ms")


def _milliseconds(files, threads, runs):
    """Medians over several loads of the files, in their order."""
    loads = [benchmark(files, threads, runs) for _ in range(LOADS)]
    return [
        statistics.median(timing.median_ms for timing in timings)
        for timings in zip(*loads, strict=True)
    ]


def folder_of(path):
    """The folder with the files of a profile."""
    return Path(path).with_suffix("")


def write(content, file):
    """Write what a profile holds, a dict, to a file."""
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _read(path):
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        # What is looked up is there, or the file is another one.
        for each in [content["network"], *content["operations"]]:
            _ = each["file"], each["milliseconds"]
        _ = content["device"]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            "A profile must be a .json file that `python -m tflite_export --profile "
            f"model.keras -o profile.json` wrote. Received: '{path}' ({error})"
        ) from error
    return content

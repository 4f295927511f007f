"""Latency of .tflite files, side by side."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflite_export.interpreter import load
from tflite_export.quiet import quiet
from tflite_export.report import duration_text
from tflite_export.settings import check_count, require
from tflite_export.tables import text_table

RUNS = 50
WARMUP_RUNS = 5


@dataclass(frozen=True)
class Timing:
    """Latency of one file.

    Attributes:
        path: The file.
        median_ms: Median over the runs, in milliseconds.
        p95_ms: 95th percentile over the runs, in milliseconds.
        ratio: Median over the first file's median with as many threads.
        threads: Threads the interpreter might use.
    """

    path: str
    median_ms: float
    p95_ms: float
    ratio: float
    threads: int = 1


def benchmark(paths, threads=1, runs=RUNS):
    """Time one or several .tflite files on this machine.

    The files take turns, run by run, so that load from elsewhere hits all alike.
    Inputs are seeded noise. LiteRT and NumPy are all it needs.

    Args:
        paths: A list of files; sizes left open, the batch first, are taken as 1.
        threads: Threads the interpreter may use; or a list of such counts, which are
            timed one after the other.
        runs: Timed runs of each file, after a few that are not timed.

    Returns:
        A list of `Timing`, in the order of `threads` and then of `paths`.

    Raises:
        ImportError: If LiteRT is not installed.
        TypeError: If a path is no path.
        ValueError: If there is no file, a file is missing or is no .tflite file, or
            `threads` or `runs` is below 1.

    Example:
    >>> dense, pruned = benchmark(["dense.tflite", "pruned.tflite"])
    >>> pruned.ratio
    """
    require("ai_edge_litert")
    counts = list(threads) if isinstance(threads, list | tuple) else [threads]
    if not counts:
        raise ValueError(f"`threads` must hold a count. Received: {threads!r}")
    for count in counts:
        check_count("threads", count)
    check_count("runs", runs)
    if not isinstance(paths, list | tuple) or not paths:
        raise ValueError(f"`paths` must be a list of files. Received: {paths!r}")
    return [timing for count in counts for timing in _take_turns(paths, count, runs)]


def _take_turns(paths, threads, runs):
    with quiet():
        interpreters = [_load(path, threads) for path in paths]
        for _ in range(WARMUP_RUNS):
            for interpreter in interpreters:
                interpreter.invoke()
        seconds = [
            [_time(interpreter) for interpreter in interpreters] for _ in range(runs)
        ]
    milliseconds = 1e3 * np.array(seconds)
    medians = np.median(milliseconds, axis=0)
    tails = np.percentile(milliseconds, 95, axis=0)
    return [
        Timing(
            str(path), float(median), float(tail), float(median / medians[0]), threads
        )
        for path, median, tail in zip(paths, medians, tails, strict=True)
    ]


def timings_table(timings):
    """Return timings as a readable table.

    Args:
        timings: A list of `Timing`.
    """
    rows = [
        [
            timing.path,
            str(timing.threads),
            duration_text(timing.median_ms),
            duration_text(timing.p95_ms),
            f"{timing.ratio:.2f}",
        ]
        for timing in timings
    ]
    return text_table(rows, ["file", "threads", "median", "p95", "ratio"])


def timings_json(timings, runs):
    """Return timings and the machine they hold for, as JSON."""
    results = {
        "runs": runs,
        "warmup_runs": WARMUP_RUNS,
        "machine": machine(),
        "timings": [dataclasses.asdict(timing) for timing in timings],
    }
    return json.dumps(results, indent=2) + "\n"


def machine():
    """A dict that says what this machine is, and which LiteRT it has."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    # ARM boards tell their own name, PCs that of their processor.
    names = dict(re.findall(r"^(model name|Model)\s*: (.+)$", text, re.MULTILINE))
    return {
        "name": names.get("Model") or names.get("model name") or platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "ai_edge_litert": importlib.metadata.version("ai-edge-litert"),
    }


def _load(path, threads):
    interpreter = load(path, threads)
    generator = np.random.default_rng(0)
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], _noise(generator, tensor))
    return interpreter


def _noise(generator, tensor):
    dtype = np.dtype(tensor["dtype"])
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(tensor["shape"]).astype(dtype)
    # 0 and 1 are valid indices of every table, and values of every quantized input.
    return generator.integers(0, 2, tensor["shape"]).astype(dtype)


def _time(interpreter):
    start = time.perf_counter()
    interpreter.invoke()
    return time.perf_counter() - start

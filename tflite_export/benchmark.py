"""Latency of .tflite files, side by side."""

import time
from dataclasses import dataclass

import numpy as np

from tflite_export.extras import require
from tflite_export.interpreter import check_count, load
from tflite_export.quiet import quiet
from tflite_export.report import duration_text, table_text

RUNS = 50
WARMUP_RUNS = 5


@dataclass(frozen=True)
class Timing:
    """Latency of one file.

    Attributes:
        path: The file.
        median_ms: Median over the runs, in milliseconds.
        p95_ms: 95th percentile over the runs, in milliseconds.
        ratio: Median over the first file's median.
    """

    path: str
    median_ms: float
    p95_ms: float
    ratio: float


def benchmark(paths, threads=1, runs=RUNS):
    """Time one or several .tflite files on this machine.

    The files take turns, run by run, so that load from elsewhere hits all alike.
    Inputs are seeded noise.

    Args:
        paths: A list of files; sizes left open, the batch first, are taken as 1.
        threads: Threads the interpreter may use.
        runs: Timed runs of each file, after a few that are not timed.

    Returns:
        A list of `Timing` in the order of `paths`.

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
    check_count("threads", threads)
    check_count("runs", runs)
    if not isinstance(paths, list | tuple) or not paths:
        raise ValueError(f"`paths` must be a list of files. Received: {paths!r}")
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
        Timing(str(path), float(median), float(tail), float(median / medians[0]))
        for path, median, tail in zip(paths, medians, tails, strict=True)
    ]


def timings_table(timings):
    """Return timings as a readable table.

    Args:
        timings: A list of `Timing`.
    """
    from rich.table import Table

    table = Table()
    table.add_column("file", overflow="fold")
    for heading in ("median", "p95", "ratio"):
        table.add_column(heading, justify="right")
    for timing in timings:
        table.add_row(
            timing.path,
            duration_text(timing.median_ms),
            duration_text(timing.p95_ms),
            f"{timing.ratio:.2f}",
        )
    return table_text(table)


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

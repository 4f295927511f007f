"""Times of .tflite files that are loaded anew several times, in another order.

Where a file's tensors happen to lie in memory, and after which other one it runs, moves
its latency by several per cent; and so does, for a while, what else the host does.
"""

import random


def timings_of(files, loads, runs):
    """Time files in turns on one thread.

    Args:
        files: Paths.
        loads: Int. How often they are loaded.
        runs: Int. Timed runs of each, each time.

    Returns:
        A dict from the path, a string, to a list of `Timing`, one for each load.
    """
    from tflite_export.benchmark import benchmark

    files, order = list(files), random.Random(0)
    timings: dict[str, list] = {str(path): [] for path in files}
    for _ in range(loads):
        order.shuffle(files)
        for timing in benchmark(files, runs=runs):
            timings[timing.path].append(timing)
    return timings

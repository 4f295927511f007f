"""How long LiteRT takes here for operations, layers and networks of many sizes.

    python benchmarks/processors/run.py --files /tmp/files

Files take turns, and the shortest of several medians counts: what else runs on a
machine only ever adds to a time. Writes `results.json` beside this file; `fit.py` then
fits the constants of this processor to half of it. Files that are there already are
used, so that a run can be interrupted.
"""

import argparse
import dataclasses
import json
import os
import random
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Files are written on it.
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras_dprp as dprp
from keras_dprp.profiles import operation_from
from tflite_export.benchmark import benchmark
from tflite_export.operation_files import operation_model, write_file

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
sys.path[:0] = [str(HERE), str(HERE.parent)]

import networks  # noqa: E402
import sizes  # noqa: E402
from environment import describe  # noqa: E402

FORMATS = {"float32": None, "int8": "int8"}
# Which operations ResNet-20 has; they are timed anew, beside those of random sizes.
PROFILES = HERE.parent / "latency_budget" / "profiles"
LOADS, RUNS, GROUP = 50, 6, 5


def rows(folder):
    """Every row, without its time but with a file and how often that does it."""
    for form in FORMATS:
        yield from _operations(folder, form)
        for kind in sizes.LAYERS:
            for number, shape in enumerate(sizes.LAYER_SHAPES):
                row = {"what": "layer", "layer": kind, "shape": shape}
                file = folder / f"{kind}-{number}-{form}.tflite"
                write(lambda k=kind, s=shape: sizes.layer_model(k, s), file, form)
                yield {**row, "set": "fit", "format": form}, file, sizes.COPIES
        for name in networks.RANKS:
            for number, (row, model) in enumerate(networks.variants(name)):
                file = folder / f"{name}-{number}-{form}.tflite"
                write(lambda m=model: m, file, form)
                row = {"what": "network", **row, "set": "test", "format": form}
                yield row, file, 1


def _operations(folder, form):
    """The operations of ResNet-20, and those of random sizes."""
    profile = json.loads((PROFILES / f"resnet20-{form}.json").read_text())
    groups = {
        "resnet20-operation": list(map(operation_from, profile["operations"])),
        "fit": sizes.operations(seed=0),
        "test": sizes.operations(seed=1),
    }
    for group, operations in groups.items():
        for number, operation in enumerate(operations):
            file = folder / f"{group}-{number}-{form}.tflite"
            write(lambda o=operation: operation_model(o), file, form)
            row = {"what": "operation", **dataclasses.asdict(operation)}
            which = "test" if group == "test" else "fit"
            yield {**row, "set": which, "format": form}, file, sizes.COPIES


def write(build, path, form):
    """Write a file of the model that a function builds, if it is not there."""
    if path.exists():
        return
    write_file(dprp.fold(build()), path, FORMATS[form])
    print(path.name, flush=True)


def shortest(files):
    """Milliseconds of files by path: the shortest of the medians of all loads."""
    times = dict.fromkeys(map(str, files), float("inf"))
    files, order = list(files), random.Random(0)
    for _ in range(LOADS):
        # A small file beside large ones finds the caches empty.
        order.shuffle(files)
        for begin in range(0, len(files), GROUP):
            for timing in benchmark(files[begin : begin + GROUP], runs=RUNS):
                times[timing.path] = min(times[timing.path], timing.median_ms)
    return times


def main():
    """Write files, time them, write all rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=Path, required=True, help="folder for them")
    folder = parser.parse_args().files
    folder.mkdir(exist_ok=True)
    found = list(rows(folder))
    times = shortest([file for _, file, _ in found])
    timed = [
        {**row, "milliseconds": times[str(file)] / copies}
        for row, file, copies in found
    ]
    RESULTS.write_text(json.dumps({**describe(), "rows": timed}, indent=1) + "\n")


if __name__ == "__main__":
    main()

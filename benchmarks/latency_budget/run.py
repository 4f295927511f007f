"""Does a profile foretell the latency of a whole file?

    python benchmarks/latency_budget/run.py --networks resnet20 resnet18

Each network is profiled on this machine, then cut to several budgets of MACs and of
milliseconds. Nothing is trained: ranks and sizes are all that time depends on. Every
file takes its turns with the dense network's. Writes `results.json` beside this file.
Profiles that are in `profiles/` are used, and go on where they were interrupted; remove
them on another machine.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Files are written on it.
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

import keras_dprp as dprp
import tflite_export
from keras_dprp import profiles
from keras_dprp.costs import NetworkCost
from tflite_export.operation_files import write_files
from tflite_export.profile import time_files

HERE = Path(__file__).parent
PROFILES = HERE / "profiles"
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "examples")]

import resnet  # noqa: E402
from environment import describe  # noqa: E402
from file_times import timings_of  # noqa: E402

FORMATS = {"float32": None, "int8": "int8"}
BUDGETS: list[dict] = [{"target": share} for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]
# Of milliseconds; those that a network does not reach are left out.
LATENCIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# More often than it takes for the tensors' places: float32 moves for seconds at a time.
LOADS, RUNS = 60, 30


def build(name):
    """A network of the CIFAR-10 example, as it begins."""
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (256, 32, 32, 3))
    return resnet.build(name, (32, 32, 3), 10, images.astype("float32"))


def profile_of(name, form):
    """Path of the profile of a network on this machine, measured if it is not there."""
    path = PROFILES / f"{name}-{form}.json"
    if not path.exists():
        write_files(build(name), path, FORMATS[form])
    time_files(path)
    return path


def rows_of(name, form, folder):
    """One row for every budget that can be met, the dense network first."""
    path = profile_of(name, form)
    profile = profiles.read(path)
    latency = {"metric": "latency", "profile": str(path)}
    budgets = [{"target": share, **latency} for share in LATENCIES]
    rows: list[dict] = []
    files: list[Path] = []
    for budget in [{}, *BUDGETS, *budgets]:
        model = dprp.factorize(build(name), filters="stage")
        if budget:
            try:
                dprp.prune(model, **budget)
            except ValueError:
                continue
        cost = NetworkCost(model, profile)
        rows.append(
            {
                "network": name,
                "format": form,
                # None of the dense network.
                "metric": budget.get("metric", "macs") if budget else None,
                "target": budget.get("target"),
                "macs_kept": cost.now("macs") / cost.dense("macs"),
                "predicted": cost.now("latency") / cost.dense("latency"),
            }
        )
        files.append(folder / f"{len(files)}.tflite")
        export(model, files[-1], FORMATS[form])
    timings = timings_of(files, LOADS, RUNS)
    for row, file in zip(rows, files, strict=True):
        loads = [timing.median_ms for timing in timings[str(file)]]
        row["milliseconds"] = statistics.median(loads)
        row["measured"] = row["milliseconds"] / rows[0]["milliseconds"]
    return rows


def export(model, path, quantization):
    """Write a file; only its time matters."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3))
    arguments = {"io_dtype": "int8"} if quantization else {}
    tflite_export.export(
        model, path, quantization, noise.astype("float32"), verbose=False, **arguments
    )


def main():
    """Profile, cut, measure, and write all rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--networks", nargs="+", choices=resnet.NETWORKS, default=["resnet20"]
    )
    options = parser.parse_args()
    rows = []
    for name in options.networks:
        for form in FORMATS:
            with tempfile.TemporaryDirectory() as folder:
                rows += rows_of(name, form, Path(folder))
            results = json.dumps({**describe(), "rows": rows}, indent=2) + "\n"
            (HERE / "results.json").write_text(results)


if __name__ == "__main__":
    main()

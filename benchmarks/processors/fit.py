"""Fits the constants of "x86-avx512" to the rows of `results.json` that are for that.

    python benchmarks/processors/fit.py

Writes them there, and beside the time of every row what they estimate for it. Whoever
runs it copies the constants into `keras_dprp/tiles.py`; a test compares.
"""

import dataclasses
import json
import statistics
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from keras_dprp.costs import NetworkCost
from keras_dprp.processors import Processor
from keras_dprp.profiles import operation_from
from keras_dprp.tiles import KERNELS, Tile

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
sys.path.insert(0, str(HERE))

import networks  # noqa: E402
import sizes  # noqa: E402

NAME = "x86-avx512"
FORMATS = {"float32": None, "int8": "int8"}
# What the time of a convolution is made of; and what comes after, by the median.
LINEAR = ("operation", "tile", "narrow", "single", "row", "output")
ALL = (*LINEAR, "depthwise", "number")


def fit(rows, form):
    """The constants of one kind of file, by name, in nanoseconds."""
    rows = [row for row in rows if row["format"] == form and row["set"] == "fit"]
    timed = [row for row in rows if row["what"] == "operation"]
    units = [{name: float(name == one) for name in LINEAR} for one in LINEAR]
    parts = [[estimate(row, form, unit) for unit in units] for row in timed]
    times = np.array([row["milliseconds"] for row in timed])
    # Errors in per cent count alike, of small operations and of large ones.
    values, _ = nnls(np.array(parts) / times[:, None], np.ones(len(times)))
    found = dict(zip(LINEAR, values.tolist(), strict=True))
    layers = [row for row in rows if row["what"] == "layer"]
    for name in ("depthwise", "number"):
        depthwise = name == "depthwise"
        own = [x for x in layers if ("Depthwise" in x["layer"]) == depthwise]
        shares = [
            (row["milliseconds"] - estimate(row, form, found))
            / estimate(row, form, {name: 1.0})
            for row in own
        ]
        found[name] = statistics.median(shares)
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def estimate(row, form, constants):
    """Milliseconds of a row by some constants; the others are 0."""
    quantization = FORMATS[form]
    KERNELS[NAME][quantization] = with_constants(KERNELS[NAME][quantization], constants)
    processor = Processor(NAME, quantization)
    if row["what"] == "operation":
        return processor.milliseconds(operation_from(row))
    model = sizes.layer_model(row["layer"], row["shape"])
    return NetworkCost(model, processor).now("latency") / sizes.COPIES


def with_constants(kernels, constants):
    """Kernels with other constants, by name."""
    new: dict = {}
    for name in ALL:
        value, now = constants.get(name, 0.0), getattr(kernels, name)
        if isinstance(now, Tile):
            new[name] = dataclasses.replace(now, step=value)
        elif now is not None:
            new[name] = value
    return dataclasses.replace(kernels, **new)


def main():
    """Fit, estimate, write."""
    results = json.loads(RESULTS.read_text())
    results["constants"] = {form: fit(results["rows"], form) for form in FORMATS}
    costs: dict = {}
    for form, constants in results["constants"].items():
        print(form, constants)
        for row in results["rows"]:
            if row["format"] == form and row["what"] != "network":
                row["estimated"] = estimate(row, form, constants)
        for name in networks.RANKS:
            for row, model in networks.variants(name):
                cost = NetworkCost(model, Processor(NAME, FORMATS[form]))
                key = name, form, row["layers"], row["rank"]
                costs[key] = cost.now("latency"), cost.now("macs") / cost.dense("macs")
    for row in results["rows"]:
        if row["what"] == "network":
            key = row["network"], row["format"], row["layers"], row["rank"]
            row["estimated"], row["macs_kept"] = costs[key]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Settings files, runs and rows: what the scripts of this folder have in common.

A settings file maps the name of an experiment to what all its seeds share: fields of
`Settings` in `examples/cifar10.py` (with penalties as a dict from class to weight) and
"seeds". Where it builds on another experiment, "weights" or "teacher" is that one's
name; each seed builds on the same seed of the other. What stands under "all" holds for
every experiment of the file that does not say otherwise. A run is one seed of an
experiment, a row a run with what came of it.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.jsonl"
# Rows of a former version of the package, which no settings file asks for any more.
HISTORY = HERE / "history.jsonl"
LATENCY = HERE / "latency.json"
MODELS = HERE / "models"
OUT = HERE / "out"
# Where the profiles are that "pruning" names.
PROFILES = ROOT / "benchmarks" / "latency_budget" / "profiles"
# What "weights" and "teacher" may be beside the name of an experiment.
NO_OTHER = (None, "", "none", "self")

# Keys that `variants.py` knows.
VARIANTS = ("rank_loss", "orthonormal", "averaged")
# Of the .tflite files that are measured.
FORMATS = ("float32", "int8")

sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples")]


def planned(path):
    """Every run of a settings file: a dict with a name and one seed."""
    experiments = json.loads(Path(path).read_text())
    shared = experiments.pop("all", {})
    runs = []
    for name, own in experiments.items():
        settings = {**shared, **own}
        seeds = settings.pop("seeds")
        runs += [{"experiment": name, **settings, "seed": seed} for seed in seeds]
    return runs


def run_name(run):
    """A name for files."""
    return f"{run['experiment']}-seed{run['seed']}"


def needed(run):
    """Names of the runs whose networks this one needs, by "weights" and "teacher"."""
    return {
        key: f"{run[key]}-seed{run['seed']}"
        for key in ("weights", "teacher")
        if run.get(key) not in NO_OTHER
    }


def network_of(name, out):
    """Path of the network of a run: one that was trained here, or a committed one."""
    path = out / f"{name}.keras"
    return path if path.exists() else MODELS / f"{name}.keras"


def row_of(name, out, results):
    """The row of a run that was trained here, or of one that is in the results."""
    known = {run_name(row): row for row in rows(results)} | trained(out)
    if name not in known:
        raise ValueError(
            f"The run {name} must have a row in {results} or in {out}, for its epochs "
            f"count. Received: {sorted(known)}"
        )
    return known[name]


def rows(path):
    """The rows of a results file; none if it is not there yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def trained(out):
    """The rows of the trainings in a folder, by name."""
    paths = sorted(out.glob("*-seed*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def check(run):
    """Raise where a settings file has a key that means nothing.

    A slip of the pen would train for hours under the name of what was meant.
    """
    known = setting_names() | {"experiment", "seed", *VARIANTS}
    unknown = sorted(set(run) - known)
    if unknown:
        raise ValueError(
            f"Keys of {run['experiment']} must be seeds or in {sorted(known)}. "
            f"Received: {unknown}"
        )


def setting_names():
    """Names of the fields of the example's `Settings`."""
    from cifar10 import Settings

    return {field.name for field in dataclasses.fields(Settings)}


def settings_of(run, data, out=OUT):
    """The `Settings` of the example; networks that others trained are in `out`."""
    from cifar10 import Settings

    names = setting_names()
    arguments = {key: value for key, value in run.items() if key in names}
    arguments["factorize"] = {
        name: penalties_of(value) if isinstance(value, dict) else value
        for name, value in run.get("factorize", {}).items()
    }
    pruning = run.get("pruning", {})
    if "profile" in pruning:
        path = str(PROFILES / pruning["profile"])
        arguments["pruning"] = {**pruning, "profile": path}
    for key, name in needed(run).items():
        arguments[key] = str(network_of(name, out))
    return Settings(**{**arguments, "data": str(data)})


def penalties_of(weights):
    """Penalty objects from a dict of class name and weight."""
    from keras_dprp import penalties

    return [getattr(penalties, name)(weight) for name, weight in weights.items()]


def write_whole(path, text):
    """Write a file that is either there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, path)

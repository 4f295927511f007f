"""Settings files, runs and rows: what the scripts of this folder have in common.

A settings file maps the name of an experiment to what all its seeds share: fields of
`Settings` in `examples/cifar10.py` (with penalties as a dict from class to weight),
"seeds", and, where it builds on another experiment, that one's name: "teacher", or
"source", the trained network that a rival compresses. "variant" names a class of
`variants.py`. A run is one seed of an experiment, a row a run with what came of it.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.jsonl"
LATENCY = HERE / "latency.json"
OUT = HERE / "out"

sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples")]


def planned(path):
    """Every run of a settings file: a dict with a name and one seed."""
    experiments = json.loads(Path(path).read_text())
    return [
        {"experiment": name, **settings, "seed": seed}
        for name, settings in experiments.items()
        for seed in settings.pop("seeds")
    ]


def run_name(run):
    """A name for files."""
    return f"{run['experiment']}-seed{run['seed']}"


def needed(run):
    """The name of the run whose network this one needs, None if it needs none."""
    experiment = run.get("teacher") or run.get("source")
    return run_name({**run, "experiment": experiment}) if experiment else None


def rows(path):
    """The rows of a results file; none if it is not there yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def trained(out):
    """The rows of trainings in a folder that are not in a results file yet, by name."""
    paths = sorted(out.glob("*-seed*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def settings_of(run, data, out=OUT):
    """The `Settings` of the example; networks that others trained are in `out`."""
    from cifar10 import Settings

    fields = {field.name for field in dataclasses.fields(Settings)}
    arguments = {key: value for key, value in run.items() if key in fields}
    arguments["factorize"] = {
        name: penalties_of(value) if isinstance(value, dict) else value
        for name, value in run.get("factorize", {}).items()
    }
    if run.get("teacher"):
        arguments["teacher"] = str(out / f"{needed(run)}.keras")
    return Settings(data=str(data), **arguments)


def penalties_of(weights):
    """Penalty objects from a dict of class name and weight."""
    import variants

    from keras_dprp import penalties

    return [
        (getattr(penalties, name, None) or getattr(variants, name))(weight)
        for name, weight in weights.items()
    ]


def write_whole(path, text):
    """Write a file that is either there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, path)

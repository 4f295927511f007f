"""Trains what a settings file asks for; appends a row a run to `results.jsonl`.

    cd benchmarks/paper
    KERAS_BACKEND=jax python run.py settings/main.json --data cifar10.npz --jobs 4

A settings file maps the name of an experiment to the settings that all its seeds
share: fields of `Settings` in `examples/cifar10.py`, "seeds", and the arguments of
`factorize` and `RankPruningCallback`, with penalties as a dict from class to weight.
Runs whose row is there already are skipped; one that was interrupted resumes.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples")]

# Of all GPU memory, shared by the jobs; JAX takes three quarters if nothing is said.
GPU_SHARE = 0.9


def planned(path):
    """Every run of a settings file: a dict with a name and one seed."""
    experiments = json.loads(Path(path).read_text())
    return [
        {"experiment": name, "seed": seed, **settings}
        for name, settings in experiments.items()
        for seed in settings.pop("seeds")
    ]


def run_name(run):
    """A name for files."""
    return f"{run['experiment']}-seed{run['seed']}"


def rows(path):
    """The rows of a results file; none if it is not there yet."""
    path = Path(path)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def train(run, data, out):
    """Train one run in this process; writes its row and its folded network."""
    import keras
    from cifar10 import Settings
    from cifar10 import train as train_example
    from environment import describe

    import keras_dprp as dprp

    settings = {k: v for k, v in run.items() if k != "experiment"}
    settings["factorize"] = {
        name: _penalties(value) if isinstance(value, dict) else value
        for name, value in settings.get("factorize", {}).items()
    }
    backup = keras.callbacks.BackupAndRestore(str(out / f"{run_name(run)}-backup"))
    network, results, _, pruning = train_example(
        Settings(data=data, **settings), [backup]
    )
    dprp.fold(network).save(out / f"{run_name(run)}.keras")
    if pruning is not None:
        dprp.plot_ranks(pruning).savefig(out / f"{run_name(run)}.png", dpi=100)
    row = {**run, **results, **describe()}
    (out / f"{run_name(run)}.json").write_text(json.dumps(row))


def _penalties(weights):
    from keras_dprp import penalties

    return [getattr(penalties, name)(weight) for name, weight in weights.items()]


def start(run, options):
    """Train one run in a process of its own; its row, None if it failed."""
    command = [sys.executable, __file__, options.settings, "--data", options.data]
    command += ["--out", options.out, "--only", run_name(run)]
    environment = {
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{GPU_SHARE / options.jobs:.2f}",
        **os.environ,
    }
    with open(options.out / f"{run_name(run)}.log", "a") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=log)
    if done.returncode:
        print(f"{run_name(run)} failed; see its .log in {options.out}")
        return None
    return json.loads((options.out / f"{run_name(run)}.json").read_text())


def main():
    """Train all that has no row yet, several at a time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("settings", help="JSON file of experiments")
    parser.add_argument("--data", required=True, help='"tfds" or FILE.npz')
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="logs, networks")
    parser.add_argument("--only", help="train this run here, e.g. resnet20-dense-seed0")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = planned(options.settings)
    if options.only:
        (run,) = (run for run in runs if run_name(run) == options.only)
        train(run, options.data, options.out)
        return
    done = {run_name(row) for row in rows(options.results)}
    waiting = [run for run in runs if run_name(run) not in done]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for row in pool.map(lambda run: start(run, options), waiting):
            if row is not None:
                with options.results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{run_name(row)}: {row['accuracy']:.2%}")


if __name__ == "__main__":
    main()

"""Trains what settings files ask for, several runs at a time.

    cd benchmarks/paper
    KERAS_BACKEND=jax python run.py settings/main.json --data cifar10.npz --jobs 3
    python collect.py --data cifar10.npz

Each training leaves a row, its network of stock layers and a log in `--out`;
`collect.py`, which needs TensorFlow and no GPU, exports the networks and appends the
rows to `results.jsonl`. A run whose row is in either place is skipped; one that was
interrupted goes on from its last backup. Runs that need the network of another one come
after it, or take the committed one.

Several small networks fill a GPU best under NVIDIA's Multi-Process Service.
"""

import argparse
import dataclasses
import functools
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from experiments import (
    OUT,
    RESULTS,
    VARIANTS,
    check,
    needed,
    planned,
    row_of,
    rows,
    run_name,
    settings_of,
    trained,
    write_whole,
)
from pool import train_all

# Of a GPU's memory, shared by its jobs; JAX takes three quarters if nothing is said.
GPU_SHARE = 0.9
BACKUP_EVERY = 10  # epochs


def train(run, data, out, results):
    """Train one run in this process; writes its row and its network."""
    import cifar10
    import variants
    from environment import describe
    from epoch_times import EpochTimes

    check(run)
    variants.apply(run)
    settings = settings_of(run, data, out)
    built_on = origin(run, out, results)
    times = EpochTimes()
    folder = out / f"{run_name(run)}-backup"
    # Written last: without it the process was killed in its first backup.
    resumed = (folder / "training_metadata.json").exists()
    if not resumed:
        shutil.rmtree(folder, ignore_errors=True)
    network, measured, _, _ = cifar10.train(
        settings, [backup_and_restore(folder), times]
    )
    network.save(out / f"{run_name(run)}.keras")
    row = {
        "experiment": run["experiment"],
        # Defaults included: they may change after this run.
        **dataclasses.asdict(settings),
        "factorize": run.get("factorize", {}),
        "pruning": run.get("pruning", {}),
        **{key: run[key] for key in VARIANTS if key in run},
        **measured,
        **built_on,
        # Of an interrupted run, what was measured since it went on.
        "resumed": resumed,
        "epoch_seconds": times.seconds,
        "peak_memory_bytes": peak_memory(),
        **describe(),
    }
    del row["data"]
    if settings.validate:
        row["validation_accuracy"], row["accuracy"] = row["accuracy"], None
    write_whole(out / f"{run_name(run)}.json", json.dumps(row))


def origin(run, out, results):
    """What a row says of the networks that it builds on: their epochs count too."""
    row = {}
    for key, name in needed(run).items():
        other = row_of(name, out, results)
        row[key] = run[key]
        row[f"{key}_epochs"] = other["epochs"] + other.get("weights_epochs", 0)
    return row


def backup_and_restore(folder):
    """Keras's, every few epochs: on a GPU one epoch takes less than a second."""
    import keras

    class Backup(keras.callbacks.BackupAndRestore):
        def on_epoch_end(self, epoch, logs=None):
            if (epoch + 1) % BACKUP_EVERY == 0:
                super().on_epoch_end(epoch, logs)

    # A process killed while it writes a backup still has the one before.
    return Backup(str(folder), double_checkpoint=True)


def peak_memory():
    """Bytes: of the GPU where JAX has one, else of the process."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.local_devices()[0].memory_stats() or {}
        if "peak_bytes_in_use" in statistics:
            return statistics["peak_bytes_in_use"]
    # Linux counts in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def start(run, gpu, options):
    """Train one run in a process of its own; whether it succeeded."""
    command = [sys.executable, __file__, *options.settings, "--data", options.data]
    command += ["--out", options.out, "--results", options.results]
    command += ["--only", run_name(run)]
    jobs = -(-options.jobs // options.gpus)
    environment = {
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{GPU_SHARE / jobs:.3f}",
        # As many threads in each job as there are cores wait for one another, above
        # all in the many small decompositions of an event.
        "OPENBLAS_NUM_THREADS": "1",
        **os.environ,
    }
    if options.gpus > 1:
        environment["CUDA_VISIBLE_DEVICES"] = str(gpu)
    with open(options.out / f"{run_name(run)}.log", "a") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=log)
    if done.returncode:
        print(f"{run_name(run)} failed; see its .log in {options.out}", flush=True)
        return False
    row = json.loads((options.out / f"{run_name(run)}.json").read_text())
    accuracy = row["validation_accuracy" if row["validate"] else "accuracy"]
    print(
        f"{run_name(run)}: {accuracy:.2%} with {row['macs_kept']:.1%} of the "
        f"MACs in {row['seconds']:.0f} s",
        flush=True,
    )
    return True


def main():
    """Train all that has no row yet, several at a time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("settings", nargs="+", help="JSON files of experiments")
    parser.add_argument(
        "--data", required=True, help='"tfds", FILE.npz, or a folder of DATASET.npz'
    )
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--gpus", type=int, default=1, help="that share the jobs")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these")
    parser.add_argument("--out", type=Path, default=OUT, help="rows, networks, logs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="rows collected")
    parser.add_argument("--only", help="train this run here, e.g. resnet20-dense-seed0")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    every = [run for path in options.settings for run in planned(path)]
    runs = {run_name(run): run for run in every}
    if options.only:
        if options.only not in runs:
            parser.error(f"--only must be in {list(runs)}. Got: {options.only}")
        train(runs[options.only], options.data, options.out, options.results)
        return
    done = {run_name(row) for row in rows(options.results)} | set(trained(options.out))
    wanted = {
        name: run
        for name, run in runs.items()
        if name not in done and run["seed"] in (options.seeds or [run["seed"]])
    }
    failed, left_out = train_all(
        list(wanted.values()),
        functools.partial(start, options=options),
        options.jobs,
        options.gpus,
    )
    for name in left_out:
        others = ", ".join(needed(runs[name]).values())
        print(f"{name} is left out: it needs {others}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

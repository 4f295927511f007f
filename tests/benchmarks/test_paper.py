"""The runner of the paper's experiments: trains once, resumes, completes rows."""

import json
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import tflite_export

PAPER = Path(__file__).parent.parent.parent / "benchmarks" / "paper"
SETTINGS = {
    # Before the network that both need, as a file may have it.
    "cut": {
        "model": "resnet8",
        "weights": "dense",
        "epochs": 1,
        "seeds": [1],
        "pruning": {"target": 0.5},
    },
    "small": {
        "model": "resnet8",
        "weights": "dense",
        "teacher": "dense",
        "rank_loss": "sum",
        "epochs": 2,
        "seeds": [1],
        "factorize": {"compression": {"L1": 0.01}},
        "pruning": {"target": 0.4, "start": 1},
    },
}
MORE = {
    "dense": {
        "model": "resnet8",
        "method": "dense",
        "epochs": 2,
        "validate": True,
        "seeds": [1],
    },
}


@pytest.fixture
def folder(tmp_path):
    """Settings and a data set of 40 small images."""
    for name, settings in (("settings", SETTINGS), ("more", MORE)):
        (tmp_path / f"{name}.json").write_text(json.dumps(settings))
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 30), ("test", 10)):
        arrays[f"x_{split}"] = rng.integers(0, 255, (count, 8, 8, 3)).astype("uint8")
        arrays[f"y_{split}"] = rng.integers(0, 3, count).astype("uint8")
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path


def run(script, folder, *arguments):
    command = [sys.executable, PAPER / script, *arguments]
    command += ["--data", folder / "data.npz", "--out", folder / "out"]
    command += ["--results", folder / "results.jsonl"]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="The trainings of the paper run on JAX."
)
def test_a_row_for_every_run_and_only_once(folder):
    files = [folder / name for name in ("settings.json", "more.json")]
    for again in (False, True):
        done = run("run.py", folder, *files, "--jobs", "2", "--gpus", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        # Nothing is left to do the second time.
        assert done.stdout.count("-seed1: ") == (0 if again else 3)
    for _ in range(2):
        done = run("collect.py", folder)
        assert done.returncode == 0, done.stderr
    lines = (folder / "results.jsonl").read_text().splitlines()
    rows = {row["experiment"]: row for row in map(json.loads, lines)}
    assert len(lines) == len(rows) == 3

    row = rows["small"]
    assert (row["seed"], row["model"], row["method"]) == (1, "resnet8", "dprp")
    assert (row["teacher"], row["teacher_epochs"]) == ("dense", 2)
    assert row["rank_loss"] == "sum"
    assert row["factorize"] == {"compression": {"L1": 0.01}}
    assert row["macs_kept"] <= 0.4
    assert row["event_epochs"] == [1]
    first, last = row["ranks"]
    assert sum(last.values()) < sum(first.values())
    assert len(row["epoch_seconds"]) == 2
    assert not row["resumed"]
    assert row["accuracy"] == pytest.approx(row["history"]["val_accuracy"][-1])
    assert row["tflite"]["int8"]["bytes"] < row["tflite"]["float32"]["bytes"]
    assert row["peak_memory_bytes"] > 0
    assert row["versions"]["keras"] == keras.__version__

    assert rows["cut"]["macs_kept"] <= 0.5
    assert "teacher_epochs" not in rows["cut"]
    for name in ("cut", "small"):
        # What the network began with counts too.
        assert (rows[name]["weights"], rows[name]["weights_epochs"]) == ("dense", 2)

    # What is about the validation split never meets the test images.
    assert rows["dense"]["accuracy"] is None
    held_out = rows["dense"]["history"]["val_accuracy"][-1]
    assert rows["dense"]["validation_accuracy"] == pytest.approx(held_out)
    assert "tflite" not in rows["dense"]


def test_a_teacher_may_be_a_committed_network(folder, paper):
    import experiments
    from run import origin

    taught = {"experiment": "taught", "seed": 1, "teacher": "resnet20-dense"}
    name = "resnet20-dense-seed1"
    assert experiments.needed(taught) == {"teacher": name}
    assert experiments.network_of(name, folder).exists()
    committed = experiments.HISTORY
    assert experiments.row_of(name, folder, committed)["epochs"] == 200
    with pytest.raises(ValueError, match=f"The run {name} must have a row"):
        experiments.row_of(name, folder, folder / "results.jsonl")
    row = origin(taught, folder, committed)
    assert row == {"teacher": "resnet20-dense", "teacher_epochs": 200}
    for nobody in ("self", "none", ""):
        assert origin({**taught, "teacher": nobody}, folder, committed) == {}
    # One that was trained here comes first.
    (folder / f"{name}.keras").touch()
    assert experiments.network_of(name, folder) == folder / f"{name}.keras"


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="The trainings of the paper run on JAX."
)
def test_a_killed_run_goes_on_from_its_last_backup(folder):
    long = {"model": "resnet8", "method": "dense", "epochs": 100, "seeds": [0]}
    (folder / "settings.json").write_text(json.dumps({"long": long}))
    arguments = [PAPER / "run.py", folder / "settings.json", "--only", "long-seed0"]
    arguments += ["--data", folder / "data.npz", "--out", folder / "out"]
    backup = folder / "out" / "long-seed0-backup"
    backup.mkdir(parents=True)
    # As if it had been killed before, in the middle of its first backup.
    (backup / "latest.weights.h5").write_bytes(b"\x89HDF")
    with subprocess.Popen([sys.executable, *map(str, arguments)]) as process:
        while not (backup / "training_metadata.json").exists():
            time.sleep(0.05)
        process.kill()
    assert not (folder / "out" / "long-seed0.json").exists()
    assert run("run.py", folder, folder / "settings.json").returncode == 0
    row = json.loads((folder / "out" / "long-seed0.json").read_text())
    assert row["resumed"]
    assert 0 < len(row["epoch_seconds"]) < 100


def test_a_run_that_fails_is_told(folder):
    settings = {
        "broken": {"model": "resnet21", "epochs": 1, "seeds": [0]},
        "misspelt": {"model": "resnet8", "epoch": 1, "seeds": [0]},
        "taught": {"model": "resnet8", "teacher": "broken", "seeds": [0]},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    done = run("run.py", folder, folder / "settings.json")
    assert done.returncode == 1
    assert "broken-seed0 failed" in done.stdout
    assert "resnet21" in (folder / "out" / "broken-seed0.log").read_text()
    log = (folder / "out" / "misspelt-seed0.log").read_text()
    assert "Keys of misspelt must be" in log
    assert "Received: ['epoch']" in log
    assert "taught-seed0 is left out: it needs broken-seed0" in done.stdout
    unknown = run("run.py", folder, folder / "settings.json", "--only", "taught")
    assert "--only must be in ['broken-seed0'" in unknown.stderr


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Files are made with TensorFlow."
)
@pytest.mark.parametrize("suffix", (".keras", ".tflite"))
def test_the_accuracy_of_a_committed_network_is_checked(folder, suffix):
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3))
    path = folder / f"net-seed0{suffix}"
    if suffix == ".keras":
        network.save(path)
    else:
        tflite_export.export(network, path, "float16", verbose=False)
    with np.load(folder / "data.npz") as arrays:
        logits = network.predict(arrays["x_test"], verbose=0)
        accuracy = float(np.mean(logits.argmax(axis=-1) == arrays["y_test"]))
    row = {"experiment": "net", "seed": 0, "epochs": 1}
    for recorded, expected in ((accuracy, 0), (accuracy + 0.1, 1)):
        line = json.dumps({**row, "accuracy": recorded})
        (folder / "results.jsonl").write_text(line + "\n")
        command = [sys.executable, PAPER / "evaluate.py", path]
        command += ["--data", folder / "data.npz"]
        command += ["--results", folder / "results.jsonl"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == expected, done.stderr
        assert f"{accuracy:.2%}" in done.stdout


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="The files are the same."
)
def test_the_files_of_committed_networks_are_timed(folder):
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3))
    network.save(folder / "net-seed0.keras")
    row = {"experiment": "net", "seed": 0, "epochs": 1}
    (folder / "results.jsonl").write_text(json.dumps(row) + "\n")
    command = [sys.executable, PAPER / "latency.py", folder / "net-seed0.keras"]
    command += ["--data", folder / "data.npz", "--results", folder / "results.jsonl"]
    command += ["--out", folder / "latency.json", "--runs", "5"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "latency.json").read_text())
    assert results["runs"] == 5
    for form in ("float32", "int8"):
        times = results["latency"]["net"][form]
        assert 0 < times["median_ms"] <= times["p95_ms"]

"""The runner of the paper's experiments: trains once, resumes, completes rows."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

PAPER = Path(__file__).parent.parent.parent / "benchmarks" / "paper"
SETTINGS = {
    # Before the network that both need, as a file may have it.
    "cut": {
        "model": "resnet8",
        "method": "truncated",
        "source": "dense",
        "epochs": 1,
        "seeds": [1],
        "pruning": {"target": 0.5},
    },
    "small": {
        "model": "resnet8",
        "teacher": "dense",
        "variant": "no-exact-svd",
        "epochs": 2,
        "seeds": [1],
        "factorize": {"compression": {"L1": 0.01}},
        "pruning": {"target": 0.4, "metric": "macs", "start": 1, "stop": 1},
    },
    "dense": {
        "model": "resnet8",
        "method": "dense",
        "epochs": 1,
        "validate": True,
        "seeds": [1],
    },
}


@pytest.fixture
def folder(tmp_path):
    """Settings and a data set of 40 small images."""
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
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
    for again in (False, True):
        done = run("run.py", folder, folder / "settings.json", "--jobs", "2")
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
    assert (row["seed"], row["model"], row["method"]) == (1, "resnet8", "distilled")
    assert (row["teacher_epochs"], row["variant"]) == (1, "no-exact-svd")
    assert row["factorize"] == {"compression": {"L1": 0.01}}
    assert row["macs_kept"] <= 0.4
    first, last = row["ranks"]
    assert sum(last.values()) < sum(first.values())
    assert len(row["epoch_seconds"]) == 2
    assert not row["resumed"]
    assert 0 <= row["accuracy"] <= 1
    assert row["tflite"]["int8"]["bytes"] < row["tflite"]["float32"]["bytes"]
    assert row["peak_memory_bytes"] > 0
    assert row["versions"]["keras"] == keras.__version__
    assert len(row["spectra"]["stage3_block1_b"]) == 192

    assert rows["cut"]["parameters_kept"] <= 0.5
    assert rows["cut"]["epochs"] == rows["dense"]["epochs"] == 1

    # What is about the validation split never meets the test images.
    assert rows["dense"]["accuracy"] is None
    assert 0 <= rows["dense"]["validation_accuracy"] <= 1
    assert "tflite" not in rows["dense"]


def test_a_teacher_may_be_a_committed_network(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(PAPER))
    import experiments

    taught = {"experiment": "taught", "seed": 2, "teacher": "resnet20-dense"}
    assert experiments.needed(taught) == "resnet20-dense-seed2"
    name = experiments.needed({**taught, "teacher_seed": 1})
    assert experiments.network_of(name, folder).exists()
    assert experiments.row_of(name, folder)["epochs"] == 200
    # One that was trained here comes first.
    (folder / f"{name}.keras").touch()
    assert experiments.network_of(name, folder) == folder / f"{name}.keras"
    sys.modules.pop("experiments")


def test_a_run_that_fails_is_told(folder):
    settings = {"broken": {"model": "resnet21", "epochs": 1, "seeds": [0]}}
    (folder / "settings.json").write_text(json.dumps(settings))
    done = run("run.py", folder, folder / "settings.json")
    assert done.returncode == 1
    assert "broken-seed0 failed" in done.stdout
    assert "resnet21" in (folder / "out" / "broken-seed0.log").read_text()


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Rows are made by trainings on JAX."
)
def test_the_accuracy_of_a_committed_network_is_checked(folder):
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3))
    network.save(folder / "net-seed0.keras")
    with np.load(folder / "data.npz") as arrays:
        logits = network.predict(arrays["x_test"], verbose=0)
        accuracy = float(np.mean(logits.argmax(axis=-1) == arrays["y_test"]))
    row = {"experiment": "net", "seed": 0, "epochs": 1}
    for recorded, expected in ((accuracy, 0), (accuracy + 0.1, 1)):
        line = json.dumps({**row, "accuracy": recorded})
        (folder / "results.jsonl").write_text(line + "\n")
        command = [sys.executable, PAPER / "evaluate.py", folder / "net-seed0.keras"]
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

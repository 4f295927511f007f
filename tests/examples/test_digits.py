"""The digits example, and that the README says what its benchmark measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parent.parent.parent
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.mark.skipif(not ON_TENSORFLOW, reason="`make demo` runs it on TensorFlow.")
def test_a_short_run(tmp_path):
    command = [sys.executable, ROOT / "examples" / "digits.py", "--epochs=4"]
    done = subprocess.run(
        [*map(str, command), "--out", str(tmp_path)],
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    dense, dense_int8, small, int8 = results["networks"]
    assert dense["accuracy"] > 0.5
    assert small["macs"] <= 0.4 * dense["macs"]
    assert int8["bytes"] < dense_int8["bytes"] < dense["bytes"]
    assert int8["bytes"] < small["bytes"] < dense["bytes"]
    for network in ("dense", "dense-int8", "dprp-float32", "dprp-int8"):
        assert (tmp_path / f"{network}.tflite").exists()
    assert (tmp_path / "ranks.png").exists()


def test_the_readme_has_the_measured_figures():
    command = [sys.executable, ROOT / "benchmarks" / "digits" / "report.py", "--check"]
    subprocess.run(list(map(str, command)), check=True)


def test_the_benchmark_holds_what_is_promised():
    results = json.loads((ROOT / "benchmarks" / "digits" / "results.json").read_text())
    assert [run["seed"] for run in results["runs"]] == [0, 1, 2]
    for run in results["runs"]:
        dense, _, small, _ = run["networks"]
        assert dense["accuracy"] >= 0.98
        assert small["accuracy"] >= dense["accuracy"] - 0.01
        assert small["parameters"] <= 0.4 * dense["parameters"]
        assert small["macs"] <= 0.4 * dense["macs"]
        assert small["bytes"] <= 0.6 * dense["bytes"]
        assert small["latency_ms"] < dense["latency_ms"]

"""Pages that small reports write say what the committed results hold."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import keras
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Needs no Keras: once is enough."
)
@pytest.mark.parametrize(
    "name",
    [
        "defaults",
        "file_sizes",
        "latency_budget",
        "processors",
        "quantization",
        "training_speed",
    ],
)
def test_the_page_is_what_the_results_give(name):
    report = BENCHMARKS / name / "report.py"
    subprocess.run([sys.executable, str(report), "--check"], check=True)


def test_training_time_has_a_line_for_every_method(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = BENCHMARKS / "training_speed" / "report.py"
    spec = importlib.util.spec_from_file_location("training_time_report", path)
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)

    def run(method, event=(), after=1.0):
        seconds = [3.0, 1.0, 1.0, 5.0 if event else 1.0, after, after]
        return {
            "method": method,
            "jit_compile": True,
            "seconds": sum(seconds),
            "epoch_seconds": seconds,
            "event_epochs": list(event),
        }

    taught = "dprp, own teacher"
    results = {
        "images": 500,
        "epochs": 6,
        "batch": 250,
        "runs": [run("dense"), run("dprp", (3,)), run(taught, (3,), 2.0)],
        "backend": "jax",
        "hardware": {"processor": "Some CPU", "cores": 2, "gpu": None},
        "versions": {},
    }
    assert report.methods(results) == ["dprp", taught]
    total = report.total_line("cpu", results, taught)
    assert total[1] == "DPRP, own teacher"
    assert total[-5:-2] == ["8", "14", "1.75"]
    # Steps an epoch, seconds: dense, before and after; events, and what one adds.
    parts = report.parts_line("cpu", results, taught)
    assert parts[2:8] == ["2", "1.00", "1.00", "2.00", "1", "4.0"]

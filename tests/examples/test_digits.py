"""The digits example, and that the README says what its benchmark measured."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tflite_export

ROOT = Path(__file__).parent.parent.parent
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture
def digits(examples):
    import digits

    return digits


# Networks that have hardly learned are hard to quantize.
@pytest.mark.filterwarnings("ignore:The outputs of the int8 file differ:UserWarning")
@pytest.mark.filterwarnings("ignore:Of output 'logits', channels:UserWarning")
@pytest.mark.skipif(not ON_TENSORFLOW, reason="`make demo` runs it on TensorFlow.")
def test_a_short_run(digits, tmp_path, monkeypatch, capsys):
    arguments = ["digits.py", "--epochs=2", "--places=1", f"--out={tmp_path}"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(digits, "EVALUATED", 1)
    eagerly = property(lambda model: True, lambda model, value: None)
    monkeypatch.setattr(keras.Model, "run_eagerly", eagerly)
    digits.main()
    results = json.loads((tmp_path / "results.json").read_text())
    files = {(x["network"], x["form"]): x for x in results["files"]}
    for form in ("float32", "int8"):
        dense, narrower, small = (
            files[name, form] for name in ("dense", "narrower", "DPRP")
        )
        assert small["macs"] <= 0.25 * dense["macs"]
        assert narrower["macs"] < 0.3 * dense["macs"]
        assert max(narrower["bytes"], small["bytes"]) < 0.5 * dense["bytes"]
    _, _, (images, labels) = digits.load_splits(places=1)
    for row in results["files"]:
        assert (tmp_path / row["file"]).stat().st_size == row["bytes"]
        scores = tflite_export.predict(tmp_path / row["file"], images)
        assert row["test_accuracy"] == np.mean(scores.argmax(axis=-1) == labels)
    # What loads without this package costs what the files do.
    plain = keras.saving.load_model(tmp_path / "dprp.keras", compile=False)
    assert plain.count_params() == files["DPRP", "int8"]["parameters"]
    assert (tmp_path / "ranks.png").exists()
    printed = capsys.readouterr().out
    assert "As int8 files, DPRP is" in " ".join(printed.split())
    text = printed.partition("\nnetwork ")[2].splitlines()
    assert max(len(line) for line in text if str(tmp_path) not in line) <= 80


def test_no_scan_is_in_two_splits(digits, monkeypatch):
    scans = {}

    def remember(images, labels, places, seed):
        scans[seed] = {image.tobytes() for image in images}

    monkeypatch.setattr(digits, "place", remember)
    digits.load_splits()
    training, validation, test = scans.values()
    assert not training & validation and not (training | validation) & test


@given(places=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_image_shows_its_scan_as_a_whole(digits, places, seed):
    scans = np.random.default_rng(seed).random((4, 8, 8)).astype("float32")
    images, labels = digits.place(scans, np.arange(4), places, seed)
    assert images.shape == (4 * places, 16, 16, 1)
    for image, label in zip(images[..., 0], labels, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (8, 8))
        assert (windows == scans[label]).all(axis=(2, 3)).any()


def test_the_readme_has_the_measured_figures():
    command = [sys.executable, ROOT / "benchmarks" / "digits" / "report.py", "--check"]
    subprocess.run(list(map(str, command)), check=True)


def test_the_benchmark_holds_what_is_promised():
    results = json.loads((ROOT / "benchmarks" / "digits" / "results.json").read_text())
    assert [run["seed"] for run in results["runs"]] == [0, 1, 2]

    def mean(network, form, key):
        return statistics.mean(
            row[key]
            for run in results["runs"]
            for row in run["files"]
            if (row["network"], row["form"]) == (network, form)
        )

    for form in ("float32", "int8"):
        dense, narrower, small = (
            mean(name, form, "test_accuracy") for name in ("dense", "narrower", "DPRP")
        )
        assert narrower < small and dense - small < 0.01
        assert mean("DPRP", form, "macs") <= 0.25 * mean("dense", form, "macs")
        assert mean("DPRP", form, "latency_ms") < mean("dense", form, "latency_ms")

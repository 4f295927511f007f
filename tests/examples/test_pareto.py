"""The example that compares sizes of a network."""

import json
import sys

import keras
import matplotlib.image
import numpy as np
import pytest
from keras import layers

import keras_dprp as dprp

SHARES, NARROWER = [0.3, 0.6], [4]


@pytest.fixture
def pareto(examples):
    import pareto

    return pareto


def build(width):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(width, 3, activation="relu", name="first"),
            layers.Conv2D(width, 3, activation="relu", name="second"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3),
        ]
    )


def train(model, training, validation, epochs, callbacks):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(*training, epochs=epochs, callbacks=callbacks, verbose=0)


def data(count):
    images = np.random.default_rng(count).random((count, 8, 8, 1)).astype("float32")
    return images, np.arange(count) % 3


def compare(pareto, folder, train=train, shares=SHARES):
    splits = data(16), data(20), data(30)
    return pareto.compare(build, train, splits, 1, 8, shares, NARROWER, folder)


def test_every_network_trains_as_long_and_each_cut_begins_with_the_trained_one(
    pareto, tmp_path, monkeypatch
):
    fits, networks = [], {}

    def remember(model, training, validation, epochs, callbacks):
        before = kernel_of(model)
        train(model, training, validation, epochs, callbacks)
        fits.append((epochs, before, kernel_of(model)))

    def networks_only(trained, *arguments):
        networks.update(trained)
        return [{"network": name} for name in trained]

    monkeypatch.setattr(pareto, "measure", networks_only)
    rows = compare(pareto, tmp_path, remember)
    assert [(row["network"], row["family"]) for row in rows] == [
        ("dense", "dense"),
        ("DPRP 30%", "DPRP"),
        ("DPRP 60%", "DPRP"),
        ("width 4", "narrower"),
    ]
    assert [epochs for epochs, _, _ in fits] == [1, 1, 1, 1, 2]
    _, _, trained = fits[0]
    for _, before, _ in fits[1:4]:
        np.testing.assert_array_equal(before, trained)
    for share in SHARES:
        report = dprp.summary(networks[f"DPRP {share:.0%}"])
        assert 0.5 * share < report.macs_kept <= share


def kernel_of(model):
    return keras.ops.convert_to_numpy(model.get_layer("first").kernel)


def test_a_share_out_of_reach_is_an_error_before_training(pareto, tmp_path):
    def never(*arguments):
        raise AssertionError("trained")

    with pytest.raises(ValueError, match="target"):
        compare(pareto, tmp_path, never, shares=[0.5, 0.001])


def test_a_picture_a_table_and_the_smallest_file(pareto, tmp_path, monkeypatch, capsys):
    rows = [
        {
            "network": network,
            "family": family,
            "form": form,
            "file": f"{network}-{form}.tflite",
            "macs": size,
            "bytes": 4 * size // shrinks,
            "latency_ms": 1e-4 * size / shrinks,
            "validation_accuracy": accuracy,
            "test_accuracy": accuracy - 0.001,
        }
        for form, shrinks in (("float32", 1), ("int8", 3))
        for network, family, size, accuracy in (
            ("dense", "dense", 10_000, 0.98),
            ("DPRP 30%", "DPRP", 3000, 0.975),
            ("width 4", "narrower", 2000, 0.95),
        )
    ]
    monkeypatch.setattr(pareto, "compare", lambda *arguments: rows)
    monkeypatch.setattr(sys, "argv", ["pareto.py", f"--out={tmp_path}"])
    pareto.main()
    assert json.loads((tmp_path / "results.json").read_text())["files"] == rows
    assert matplotlib.image.imread(tmp_path / "pareto.png").shape[1] > 1000
    printed = " ".join(capsys.readouterr().out.split())
    # Width 4 is smaller, and loses more than a point.
    assert "DPRP 30%-int8.tflite is the smallest: 4,000 bytes and 100.0 µs" in printed
    assert "On test images it has 97.40%, the dense float32 file 97.90%" in printed


@pytest.mark.parametrize("wrong", ["--max-drop=-0.1", "--epochs=0"])
def test_a_wrong_option_is_refused(wrong, pareto, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pareto.py", wrong, f"--out={tmp_path}"])
    with pytest.raises(SystemExit):
        pareto.main()
    assert "Received: " in capsys.readouterr().err

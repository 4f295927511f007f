"""Profiles of this machine: written, timed, broken off, and used."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_dprp as dprp
from tflite_export import profile as timing
from tflite_export.__main__ import main
from tflite_export.operation_files import operation_model, operations_of, write_files
from tflite_export.profile import time_files

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Files are written on TensorFlow."
)


def network():
    return keras.Sequential(
        [
            keras.Input((8, 8, 8), name="image"),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(16, 3, groups=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(4),
        ]
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A profile without times; copied by the tests that time it."""
    path = tmp_path_factory.mktemp("profile") / "board.json"
    write_files(network(), path, verbose=False)
    return path


@pytest.fixture
def profile(written, tmp_path):
    (tmp_path / "board").symlink_to(written.with_suffix(""))
    path = tmp_path / "board.json"
    path.write_text(written.read_text())
    return path


def entries(path):
    content = json.loads(path.read_text())
    return [content["network"], *content["operations"]]


def test_a_model_of_an_operation_computes_what_it_says():
    _, operations = operations_of(network())
    assert len({each.kernel for each in operations}) == 4  # 3x3, 3x1, 1x3, dense
    for operation in operations:
        model = operation_model(operation)
        inputs = np.prod(model.input_shape[1:]) // operation.channels
        assert inputs == np.prod(operation.inputs)
        for tensor in model.outputs:
            assert tensor.shape[-1] == operation.filters
            assert np.prod(tensor.shape[1:-1]) == np.prod(operation.outputs)
        macs = dprp.summary(model).macs
        assert macs == operation.macs * len(model.outputs)


def test_a_timed_profile_is_what_a_budget_needs(profile, capsys):
    time_files(profile, runs=3)
    said = capsys.readouterr().out
    assert f"{len(entries(profile)) - 1} of" in said
    assert "The network takes" in said
    assert all(each["milliseconds"] > 0 for each in entries(profile))
    model = dprp.factorize(network())
    plan = dprp.plan(model, target=1.0, metric="latency", profile=str(profile))
    assert plan.latency_kept == 1.0


def test_what_was_timed_is_not_timed_again(profile, monkeypatch, capsys):
    calls = []

    def once(files, *arguments):
        calls.append(files)
        if len(calls) > timing.LOADS:
            raise KeyboardInterrupt
        return benchmark(files, *arguments)

    benchmark = timing.benchmark
    monkeypatch.setattr(timing, "benchmark", once)
    with pytest.raises(KeyboardInterrupt):
        time_files(profile, runs=1, verbose=False)
    before = [each["milliseconds"] for each in entries(profile)]
    timed = [value for value in before if value is not None]
    assert 0 < len(timed) < len(before)
    with pytest.raises(SystemExit) as end:
        main(["--profile", str(profile)])
    assert end.value.code == 130
    assert "goes on where it was" in capsys.readouterr().err
    monkeypatch.undo()
    time_files(profile, runs=1, verbose=False)
    after = [each["milliseconds"] for each in entries(profile)]
    assert None not in after
    assert after[: len(timed)] == before[: len(timed)] == timed


def test_a_profile_is_of_one_device_and_number_of_threads(profile):
    time_files(profile, runs=1, verbose=False)
    with pytest.raises(ValueError, match="one device.*'threads': 1.*'threads': 2"):
        time_files(profile, threads=2, runs=1)


def test_files_on_the_command_line(tmp_path, capsys):
    source, path = tmp_path / "model.keras", tmp_path / "int8.json"
    keras.Sequential([keras.Input((16,)), layers.Dense(16), layers.Dense(4)]).save(
        source
    )
    arguments = ["--profile", str(source), "-o", str(path), "--quantization", "int8"]
    main(arguments)
    assert "python -m tflite_export --profile int8.json" in capsys.readouterr().out
    main(["--profile", str(path), "--runs", "2", "--threads", "2"])
    content = json.loads(path.read_text())
    assert content["quantization"] == "int8"
    assert content["device"]["threads"] == 2
    assert "operations timed" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(arguments)
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["model.keras"], "give -o profile.json with a model"),
        (["model.keras", "-o", "p.json", "--runs", "3"], "give -o profile.json"),
        (["p.json", "-o", "other.json"], "a profile has both"),
        (["p.json", "--threads", "1,2"], "one number of threads"),
        (["p.json", "q.json"], "give one model.keras or one profile.json"),
        (["p.json", "--benchmark"], "--benchmark or --profile"),
        (["p.json", "--labels", "l.txt"], "--labels means nothing in --profile"),
        (["none.json"], "No such file"),
    ],
)
def test_bad_command_lines(arguments, match, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["--profile", *arguments])
    assert match in capsys.readouterr().err


def test_networks_without_a_profile(tmp_path):
    cut = dprp.factorize(network(), rank=2)
    with pytest.raises(ValueError, match="which are cut"):
        write_files(cut, tmp_path / "p.json")
    flat = keras.Sequential([keras.Input((4,)), layers.Flatten()])
    with pytest.raises(ValueError, match="No layer of the model can be factorised"):
        write_files(flat, tmp_path / "p.json")
    with pytest.raises(ValueError, match="must be one of .*Received: 'float16'"):
        write_files(network(), tmp_path / "p.json", "float16")
    assert not list(tmp_path.iterdir())

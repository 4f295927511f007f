"""`python -m tflite_export`."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_dprp
from tflite_export.__main__ import main

# The command itself always converts on TensorFlow.
ON_TENSORFLOW_ONLY = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="The same on every backend."
)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tflite_export", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


def test_factorized_model_to_int8(classifier, images, run_litert, tmp_path):
    source, path = tmp_path / "model.keras", tmp_path / "model.tflite"
    factorized = keras_dprp.factorize(classifier, rank=4)
    factorized.save(source)
    np.save(tmp_path / "images.npy", images)
    options = ("--representative-data", tmp_path / "images.npy", "--io-dtype", "int8")
    done = command(source, path, "--quantization", "int8", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 CONV_2D" in done.stdout
    actual = run_litert(path, image=images[:8])["classes"]
    expected = factorized.predict(images[:8], verbose=0)
    assert np.abs(actual - expected).max() < 0.3 * expected.std()


@ON_TENSORFLOW_ONLY
def test_npz_names_the_inputs(tmp_path, capsys):
    left, right = keras.Input((3,), name="left"), keras.Input((5,), name="right")
    both = layers.Concatenate()([right, left])
    keras.Model([left, right], layers.Dense(2)(both)).save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", right=np.ones((6, 5)), left=np.ones((6, 3)))
    arguments = [tmp_path / "m.keras", tmp_path / "m.tflite", "--representative-data"]
    main([*map(str, arguments), str(tmp_path / "d.npz")])
    assert "on 6 samples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "required: FILE"),
        (["model.keras"], "Received: ['model.keras']"),
        (["missing.keras", "m.tflite"], "Received: 'missing.keras'"),
        (["text.keras", "m.tflite"], "text.keras"),
        (["images.npy", "m.tflite"], "must be a .keras file"),
        (["model.keras", "missing/m.tflite"], "folder that exists"),
        (["model.keras", "m.tflite", "--quantization", "int4"], "'int4'"),
        (["model.keras", "m.tflite", "--quantization", "int8"], "representative_data"),
        (["model.keras", "m.tflite", "--runs", "3"], "--runs means nothing without"),
        (["model.keras", "m.tflite", "--representative-data", "no.npy"], "'no.npy'"),
        (["model.keras", "m.tflite", "--representative-data", "text.npy"], "text.npy"),
        (["model.keras", "m.tflite", "--representative-data", "images.npy"], "shape"),
        (["--benchmark"], "required: FILE"),
        (["--benchmark", "missing.tflite"], "Received: 'missing.tflite'"),
        (["--benchmark", "text.keras"], "Received: 'text.keras'"),
        (["--benchmark", "a.tflite", "--quantization", "int8"], "means nothing with"),
        (["--benchmark", "a.tflite", "--runs", "0"], "`runs` must be an int"),
        (["--benchmark", "a.tflite", "--threads", "x"], "invalid int"),
    ],
)
def test_bad_input_is_one_line(arguments, match, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save("model.keras")
    np.save("images.npy", np.zeros((2, 3)))
    for name in ("text.keras", "text.npy"):
        (tmp_path / name).write_text("not what the name says")
    before = set(tmp_path.iterdir())
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert err.count("\n") == 1 and err.endswith("\n") and match in err
    assert set(tmp_path.iterdir()) == before


def test_bad_input_of_the_process():
    done = command("missing.keras", "model.tflite")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "missing.keras" in done.stderr


@ON_TENSORFLOW_ONLY
def test_benchmark_needs_neither_keras_nor_tensorflow(small_file):
    code = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_module('tflite_export', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code\n"
        "print({'keras', 'tensorflow', 'jax'} & set(sys.modules))\n"
    )
    arguments = ["--benchmark", small_file, small_file, "--runs", "3", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("set()\n")
    assert "p95 ms" in done.stdout and "1.00" in done.stdout

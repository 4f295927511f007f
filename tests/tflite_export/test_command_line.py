"""`python -m tflite_export`."""

import json
import os
import subprocess
import sys
import zipfile

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


class Own(layers.Layer):
    def call(self, inputs):
        return inputs


def make_bad_files(folder):
    """Files of all kinds in a folder, the current one; one of them is good."""
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save("model.keras")
    keras.Sequential([keras.Input((4,)), Own()]).save("own.keras")
    np.save("images.npy", np.zeros((2, 3)))
    np.savez("no_y.npz", x=np.zeros((2, 4)))
    os.mkfifo("pipe")
    for name in ("text.keras", "text.npy"):
        (folder / name).write_text("not what the name says")
    for name in ("empty.keras", "empty.npy", "empty.npz"):
        (folder / name).touch()
    content = (folder / "model.keras").read_bytes()
    for name in ("half.keras", "half.npz"):
        (folder / name).write_bytes(content[: len(content) // 2])
    with zipfile.ZipFile("zip.keras", "w") as archive:
        archive.writestr("a.txt", "no model")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "required: FILE"),
        (["model.keras"], "Received: ['model.keras']"),
        (["missing.keras", "m.tflite"], "Received: 'missing.keras'"),
        (["text.keras", "m.tflite"], "text.keras"),
        (["images.npy", "m.tflite"], "must be a .keras file"),
        (["none.keras", "m.tflite"], "There must be a file at each path"),
        (["model.keras", "missing/m.tflite"], "folder that exists"),
        (["model.keras", "m.tflite", "--quantization", "int4"], "'int4'"),
        (
            ["model.keras", "m.tflite", "--quantization", "int8"],
            "--representative-data",
        ),
        (["model.keras", "m.tflite", "--io-dtype", "int8"], "--io-dtype int8 needs"),
        (["empty.keras", "m.tflite"], "'empty.keras', which is empty"),
        (["half.keras", "m.tflite"], "'half.keras', which is empty, damaged"),
        (["zip.keras", "m.tflite"], "config.json"),
        (["own.keras", "m.tflite"], "Could not locate class 'Own'. The command line"),
        (["model.keras", "m.tflite", "--representative-data", "empty.npy"], "No data"),
        (["model.keras", "m.tflite", "--representative-data", "empty.npz"], "No data"),
        (["model.keras", "m.tflite", "--representative-data", "half.npz"], "zip file"),
        (["model.keras", "pipe"], "FILE must be a regular file. Received: 'pipe'"),
        (
            ["model.keras", "m.tflite", "--runs", "3"],
            "nothing in an export",
        ),
        (["model.keras", "m.tflite", "--representative-data", "no.npy"], "'no.npy'"),
        (["model.keras", "m.tflite", "--representative-data", "text.npy"], "text.npy"),
        (
            ["model.keras", "m.tflite", "--representative-data", "images.npy"],
            "--representative-data for input 'input_layer' must",
        ),
        (["model.keras", "m.tflite", "--evaluation-data", "no.npz"], "'no.npz'"),
        (["model.keras", "m.tflite", "--evaluation-data", "images.npy"], "a .npz file"),
        (
            ["model.keras", "m.tflite", "--evaluation-data", "no_y.npz"],
            "targets y. Received: 'no_y.npz' with ['x']",
        ),
        (["model.keras", "m.tflite", "--max-drop", "0.1"], "needs --evaluation-data"),
        (["model.keras", "m.tflite", "--max-drop", "a"], "invalid float value: 'a'"),
        (
            ["--benchmark", "a.tflite", "--max-drop", "0.1"],
            "nothing in --benchmark",
        ),
        (["--benchmark"], "required: FILE"),
        (["--benchmark", "missing.tflite"], "Received: 'missing.tflite'"),
        (["--benchmark", "text.keras"], "Received: 'text.keras'"),
        (
            ["--benchmark", "a.tflite", "--quantization", "int8"],
            "nothing in --benchmark",
        ),
        (["--benchmark", "a.tflite", "--runs", "0"], "--runs must be an int"),
        (["--benchmark", "a.tflite", "--threads", "1,x"], "Received: '1,x'"),
        (["--benchmark", "a.tflite", "--threads", "1,0"], "--threads must be an int"),
        (["--benchmark", "a.tflite", "--json", "no/t.json"], "folder that exists"),
        (
            ["model.keras", "m.tflite", "--json", "t.json"],
            "nothing in an export",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, match, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_bad_files(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert err.count("\n") == 1 and err.endswith("\n") and match in err
    assert len(err) < 400
    assert set(tmp_path.iterdir()) == before


@ON_TENSORFLOW_ONLY
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["m.keras", "no/m.tflite"], "folder that exists"),
        (["m.keras", "m.tflite", "--io-dtype", "int8"], "--io-dtype int8 needs"),
        (["m.keras", "m.tflite", "--quantization", "int8"], "--representative-data"),
        (["m.keras", "m.tflite"], "'m.keras', which is empty"),
    ],
)
def test_bad_input_is_seen_before_anything_is_loaded(arguments, match, tmp_path):
    (tmp_path / "m.keras").touch()
    code = (
        "import sys\n"
        "from tflite_export.__main__ import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "finally:\n"
        "    print({'keras', 'tensorflow', 'jax'} & set(sys.modules))\n"
    )
    done = run_code(code, tmp_path)
    assert (done.returncode, done.stdout) == (2, "set()\n")
    assert match in done.stderr


@ON_TENSORFLOW_ONLY
@pytest.mark.parametrize("name", ["tensorflow", "ai_edge_quantizer"])
def test_missing_package_is_told_before_anything_else(name, tmp_path):
    code = (
        "import sys\n"
        f"sys.modules['{name}'] = None\n"
        "from tflite_export.__main__ import main\n"
        "main(['missing.keras', 'm.tflite'])\n"
    )
    done = run_code(code, tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert name in done.stderr and 'pip install "keras-dprp[export]"' in done.stderr


def run_code(code, folder):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


def test_loop_is_refused_in_options(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((5, 3)), layers.LSTM(4)]).save("m.keras")
    np.save("x.npy", np.zeros((4, 5, 3)))
    data = ["--representative-data", "x.npy"]
    with pytest.raises(SystemExit):
        main(["m.keras", "m.tflite", "--quantization", "int8", *data])
    assert "Use --quantization dynamic, which can." in capsys.readouterr().err


@ON_TENSORFLOW_ONLY
def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for word in ("float16: weights", "of an int8 file's inputs", "default: 50"):
        assert word in text


def test_bad_input_of_the_process():
    done = command("missing.keras", "model.tflite")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "missing.keras" in done.stderr


BOARD = """
import importlib.abc, runpy, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in {"tflite_export", "ai_edge_litert", "numpy", *STANDARD}:
            raise ModuleNotFoundError(name)

STANDARD = sys.stdlib_module_names
sys.meta_path.insert(0, Missing())
runpy.run_module("tflite_export", run_name="__main__", alter_sys=True)
"""


@ON_TENSORFLOW_ONLY
def test_benchmark_needs_litert_and_numpy_alone(small_file, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(small_file.read_bytes())
    options = ["--runs", "3", "--threads", "1,2", "--json", "timings.json"]
    files = [str(small_file), str(other)]
    done = subprocess.run(
        [sys.executable, "-c", BOARD, "--benchmark", *files, *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "p95" in done.stdout and done.stdout.count("1.00") >= 2
    results = json.loads((tmp_path / "timings.json").read_text())
    assert results["runs"] == 3 and results["machine"]["cores"] == os.cpu_count()
    rows = [(row["path"], row["threads"]) for row in results["timings"]]
    assert rows == [(path, threads) for threads in (1, 2) for path in files]

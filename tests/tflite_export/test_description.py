"""Labels and input range, at the end of a file that runs as before."""

import json
import re
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from exported_files import same_everywhere
from keras import layers

import tflite_export
from tflite_export.__main__ import main
from tflite_export.benchmark import benchmark

LABELS = ["ant", "bee", "Бобр", "海豚", "a wolf", "bat", "bee", '"', "{}", "z"]


def read(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["model.json"]
        return json.loads(archive.read("model.json"))


@pytest.mark.parametrize(
    ("quantization", "io_dtype"),
    [
        pytest.param(None, "float32", marks=same_everywhere),
        pytest.param("float16", "float32", marks=same_everywhere),
        pytest.param("dynamic", "float32", marks=same_everywhere),
        ("int8", "uint8"),
    ],
)
def test_the_model_is_the_one_without(
    quantization, io_dtype, classifier, images, tmp_path
):
    plain, described = tmp_path / "plain.tflite", tmp_path / "described.tflite"
    arguments = {"representative_data": images, "io_dtype": io_dtype, "verbose": False}
    tflite_export.export(classifier, plain, quantization, **arguments)
    report = tflite_export.export(
        classifier, described, quantization, labels=LABELS, **arguments
    )
    content = described.read_bytes()
    assert content.startswith(plain.read_bytes())
    assert report.bytes == len(content) < plain.stat().st_size + 1000
    assert not zipfile.is_zipfile(plain)
    np.testing.assert_array_equal(
        *(tflite_export.predict(path, images) for path in (plain, described))
    )


@pytest.fixture
def file(classifier, images, tmp_path):
    """A uint8 file with labels and a range."""
    path = tmp_path / "model.tflite"
    pixels = (images - images.min()) / (images.max() - images.min())
    arguments = {"io_dtype": "uint8", "labels": tuple(LABELS), "input_range": (0, 1)}
    tflite_export.export(classifier, path, "int8", pixels, verbose=False, **arguments)
    return path


@same_everywhere
def test_description_is_the_files(file):
    description = read(file)
    interpreter = Interpreter(model_path=str(file))
    assert description["labels"] == LABELS
    assert description["input"].pop("range") == [0, 1]
    for end, (details,) in (
        ("input", interpreter.get_input_details()),
        ("output", interpreter.get_output_details()),
    ):
        scale, zero_point = details["quantization"]
        assert description[end] == {
            "shape": details["shape"].tolist(),
            "dtype": "uint8",
            "scale": pytest.approx(scale),
            "zero_point": zero_point,
        }


COMPILED = """
import sys
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel

model = CompiledModel.from_file(sys.argv[1])
inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
inputs[0].write(np.arange(8 * 8 * 3, dtype="uint8").reshape(1, 8, 8, 3))
model.run_by_index(0, inputs, outputs)
print(outputs[0].read(10, np.uint8).tolist())
"""


@same_everywhere
def test_described_file_runs_elsewhere(file):
    """In the newer interface of LiteRT, which logs as a process ends, and timed."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    interpreter = Interpreter(model_path=str(file))
    interpreter.allocate_tensors()
    pixels = np.arange(8 * 8 * 3, dtype="uint8").reshape(1, 8, 8, 3)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    (expected,) = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert json.loads(done.stdout) == expected.tolist()
    assert benchmark([file], runs=2)[0].median_ms > 0


@same_everywhere
def test_floats_have_no_scale(classifier, tmp_path):
    path = tmp_path / "model.tflite"
    tflite_export.export(classifier, path, input_range=(-1, 1), verbose=False)
    assert read(path) == {
        "labels": None,
        "input": {
            "shape": [1, 8, 8, 3],
            "dtype": "float32",
            "scale": None,
            "zero_point": None,
            "range": [-1, 1],
        },
        "output": {
            "shape": [1, 10],
            "dtype": "float32",
            "scale": None,
            "zero_point": None,
        },
    }


@same_everywhere
def test_command_line(classifier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classifier.save("model.keras")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    options = ["--labels", "labels.txt", "--input-range", "-1", "1"]
    main(["model.keras", "model.tflite", *options])
    description = read("model.tflite")
    assert description["labels"] == LABELS
    assert description["input"]["range"] == [-1, 1]


@same_everywhere
@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--labels", "no.txt"], "one label a line, in UTF-8. Received: 'no.txt'"),
        (["--labels", "model.keras"], "in UTF-8. Received: 'model.keras'"),
        (["--labels", "two.txt"], "--labels needs a model .*Received: 2 labels"),
        (["--input-range", "1", "0"], r"--input-range must be .*Received: \[1.0, 0.0"),
        (["--input-range", "1"], "--input-range: expected 2 arguments"),
        (
            ["--benchmark", "--labels", "two.txt"],
            "--labels means nothing in --be",
        ),
    ],
)
def test_bad_options(options, match, classifier, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classifier.save("model.keras")
    (tmp_path / "two.txt").write_text("a\nb\n")
    with pytest.raises(SystemExit):
        main(["model.keras", "model.tflite", *options])
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(match, line), line
    assert not (tmp_path / "model.tflite").exists()


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(2)(inputs)])


def two_inputs():
    ends = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(ends, layers.Dense(2)(layers.Add()(ends)))


def map_of_classes():
    return keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 1)])


def small():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


@same_everywhere
@pytest.mark.parametrize(
    ("make", "arguments", "error", "match"),
    [
        (small, {"labels": "ab"}, TypeError, "`labels` .*Received: 'ab'"),
        (small, {"labels": ["a", 1]}, TypeError, "Received: 1 .*type int.* among"),
        (small, {"labels": {"a": 0}}, TypeError, "type dict"),
        (small, {"labels": ["a", " "]}, ValueError, "Received: ' ' among"),
        (small, {"labels": ["a", "b\nc"]}, ValueError, "one line each"),
        (small, {"labels": ["a"]}, ValueError, r"Received: 1 labels .*\(None, 2\)"),
        (small, {"labels": []}, ValueError, "Received: 0 labels"),
        (two_outputs, {"labels": ["a", "b"]}, ValueError, "of one output of shape"),
        (two_inputs, {"labels": ["a", "b"]}, ValueError, "of one input, and"),
        (map_of_classes, {"labels": ["a", "b"]}, ValueError, "4, 4, 2"),
        (small, {"input_range": 255}, ValueError, "two finite .*Received: 255"),
        (small, {"input_range": (1, 1)}, ValueError, r"Received: \(1, 1\)"),
        (small, {"input_range": (0, np.inf)}, ValueError, "two finite"),
        (small, {"input_range": (0, 1, 2)}, ValueError, "two finite"),
        (two_inputs, {"input_range": (0, 1)}, ValueError, "one input and one output"),
        (
            small,
            {"input_range": (0, 1), "representative_data": np.full((2, 4), 255.0)},
            ValueError,
            r"within `input_range`, \(0.0, 1.0\), .*Received: values from 255 to 255",
        ),
    ],
)
def test_bad_input(make, arguments, error, match, tmp_path):
    with pytest.raises(error, match=match):
        tflite_export.export(make(), tmp_path / "model.tflite", **arguments)
    assert not list(tmp_path.iterdir())

"""What the report says, and that nothing else is said."""

import dataclasses
import io
import json
import logging
import subprocess
import sys

import keras
import numpy as np
import pytest
from exported_files import same_everywhere
from keras import layers

import tflite_export


def test_report_tells_what_was_written(classifier, images, run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    report = tflite_export.export(
        classifier, path, "int8", images, io_dtype="int8", verbose=False
    )
    assert report.path == str(path)
    assert report.bytes == path.stat().st_size
    assert report.samples == 32
    assert report.operations == {
        "CONV_2D": 2,
        "RESHAPE": 1,
        "FULLY_CONNECTED": 1,
        "SOFTMAX": 1,
    }
    assert report.latency_ms > 0 and report.runs > 1
    actual = run_litert(path, image=images[:32])["classes"]
    expected = classifier.predict(images[:32], verbose=0)
    differences = np.abs(actual - expected) / expected.std()
    assert report.largest_difference == pytest.approx(differences.max(), rel=1e-3)
    assert report.mean_difference == pytest.approx(differences.mean(), rel=1e-3)
    assert report.agreement == np.mean(actual.argmax(-1) == expected.argmax(-1))


@same_everywhere
def test_difference_is_in_standard_deviations(images, tmp_path):
    """Outputs a thousand times as large are as far off as before."""

    def report(scale):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.GlobalAveragePooling2D(),
                layers.Dense(1, kernel_initializer=keras.initializers.Constant(scale)),
            ]
        )
        return tflite_export.export(
            model, tmp_path / "m.tflite", "int8", images, verbose=False
        )

    small, large = report(1.0), report(1000.0)
    assert small.largest_difference == pytest.approx(large.largest_difference, rel=0.2)
    assert small.agreement is None


@same_everywhere
@pytest.mark.parametrize("spread", [1e-4, 1.0])
def test_difference_of_outputs_that_hardly_vary(spread, run_litert, tmp_path):
    """Their unit is a thousandth of their magnitude, which is what floats round to."""
    path = tmp_path / "m.tflite"
    constant = keras.initializers.Constant(0.3)
    dense = layers.Dense(1, kernel_initializer=constant, name="y")
    model = keras.Sequential([keras.Input((1,), name="x"), dense])
    x = 300 + spread * np.random.default_rng(0).normal(size=(32, 1)).astype("float32")
    report = tflite_export.export(model, path, "float16", x, verbose=False)
    expected = model.predict(x, verbose=0).astype("float64")
    unit = max(expected.std(), 1e-3 * expected.max())
    assert (unit > expected.std()) == (spread < 0.01)
    largest = np.abs(run_litert(path, x=x)["y"] - expected).max() / unit
    assert largest > 0.01
    assert report.largest_difference == pytest.approx(largest, rel=1e-3)


def test_far_off_is_warned_of(classifier, images, tmp_path):
    """One sample far outside leaves the others a step or two of the 256."""
    images[-1] *= 1e4
    arguments = (classifier, tmp_path / "m.tflite", "int8", images)
    with pytest.warns(UserWarning) as caught:
        report = tflite_export.export(*arguments, verbose=False)
    (message,) = (str(warning.message) for warning in caught)
    assert f"by {report.mean_difference:.2f} of their standard deviation" in message
    assert f"by {report.largest_difference:.2f} at most" in message
    assert "`representative_data` typical inputs" in message
    assert caught[0].filename == __file__


def test_only_the_report_is_printed(classifier, tmp_path, capfd):
    report = tflite_export.export(classifier, tmp_path / "model.tflite")
    assert capfd.readouterr() == (f"{report}\n", "")
    assert "CONV_2D" in str(report) and f"{report.bytes:,} bytes" in str(report)


@same_everywhere
@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0.0123, "12.3 µs"), (1.0, "1.000 ms")]
)
def test_unit_of_latency(milliseconds, text, classifier, tmp_path):
    report = tflite_export.export(classifier, tmp_path / "m.tflite", verbose=False)
    report = dataclasses.replace(report, latency_ms=milliseconds)
    assert f" {text} (median" in str(report)


@same_everywhere
def test_verbose_false_prints_nothing(classifier, tmp_path, capfd):
    tflite_export.export(classifier, tmp_path / "model.tflite", verbose=False)
    assert capfd.readouterr() == ("", "")


@same_everywhere
def test_logger_with_a_stream_of_its_own_is_silent(classifier, tmp_path):
    """As TensorFlow's is in a notebook."""
    stream = io.StringIO()
    logger, handler = logging.getLogger("tensorflow"), logging.StreamHandler(stream)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        tflite_export.export(classifier, tmp_path / "m.tflite", verbose=False)
        assert stream.getvalue() == ""
        logger.info("Heard again")
        assert stream.getvalue() == "Heard again\n"
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@same_everywhere
def test_report_survives_json(classifier, tmp_path):
    report = tflite_export.export(classifier, tmp_path / "m.tflite", verbose=False)
    text = json.dumps(report.to_dict())
    assert tflite_export.ExportReport.from_dict(json.loads(text)) == report


def test_import_is_cheap():
    heavy = "{'keras', 'tensorflow', 'jax', 'ai_edge_litert'}"
    code = f"import sys, tflite_export; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr

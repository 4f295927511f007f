"""A file's outputs, as a user reads them."""

import keras
import numpy as np
import pytest
from keras import layers

import tflite_export

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="The same on every backend."
)


@pytest.fixture
def two_by_two(tmp_path):
    """A file of two inputs and two outputs, and the model it was made of."""
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = layers.Concatenate()([left, right])
    outputs = {
        "sum": layers.Dense(2, name="sum")(both),
        "score": layers.Dense(4, name="score")(both),
    }
    model = keras.Model({"left": left, "right": right}, outputs)
    path = tmp_path / "two.tflite"
    tflite_export.export(model, path, verbose=False)
    return path, model


def test_one_input_and_output(classifier, images, tmp_path):
    path = tmp_path / "model.tflite"
    tflite_export.export(classifier, path, verbose=False)
    expected = classifier.predict(images, verbose=0)
    np.testing.assert_allclose(
        tflite_export.predict(path, images, threads=2), expected, atol=1e-5
    )


def test_integers_are_floats_outside(classifier, images, tmp_path):
    path = tmp_path / "model.tflite"
    tflite_export.export(
        classifier, path, "int8", images, io_dtype="int8", verbose=False
    )
    outputs = tflite_export.predict(path, images)
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(
        outputs, classifier.predict(images, verbose=0), atol=0.25
    )
    assert len(np.unique(outputs[0])) > 2


def test_several_inputs_and_outputs(two_by_two):
    path, model = two_by_two
    rng = np.random.default_rng(0)
    feeds = {
        "left": rng.normal(size=(5, 3)).astype("float32"),
        "right": rng.normal(size=(5, 2)).astype("float32"),
    }
    outputs = tflite_export.predict(path, feeds)
    expected = model.predict(feeds, verbose=0)
    assert set(outputs) == {"sum", "score"}
    for name, values in outputs.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5)


LEFT, RIGHT = np.zeros((5, 3)), np.zeros((5, 2))


@pytest.mark.parametrize(
    "inputs, match",
    [
        (LEFT, r"each of \['left', 'right'\]. Received: .* type ndarray"),
        ([LEFT, RIGHT], "dict of arrays.* Received: .* type list"),
        ({"left": LEFT + np.nan, "right": RIGHT}, "'left' must be finite"),
        ({"left": LEFT + 1e39, "right": RIGHT}, "more than float32 holds"),
        ({"left": LEFT}, r"Received: \['left'\]"),
        ({"left": LEFT, "right": LEFT}, r"\(None, 2\).*Received: shape \(5, 3\)"),
        ({"left": LEFT, "right": RIGHT[:2]}, "as many samples"),
        ({"left": LEFT[:0], "right": RIGHT[:0]}, "samples first"),
    ],
)
def test_bad_inputs(inputs, match, two_by_two):
    with pytest.raises(ValueError, match=match):
        tflite_export.predict(two_by_two[0], inputs)


@pytest.mark.parametrize("array", ["text", [[0.0] * 4], 3, np.full((2, 4), "a")])
def test_no_array_of_numbers(array, small_file):
    with pytest.raises((TypeError, ValueError), match="`inputs` .*Received: an? "):
        tflite_export.predict(small_file, {"input": array})


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_damaged_file(keep, small_file, tmp_path):
    content = small_file.read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(ValueError, match="LiteRT cannot load the file. Received"):
        tflite_export.predict(path, np.zeros((2, 4)))


@pytest.mark.parametrize("threads", [0, -1, 1.5, None])
def test_threads(threads, small_file):
    with pytest.raises(ValueError, match=f"`threads` .*Received: {threads}"):
        tflite_export.predict(small_file, np.zeros((2, 4)), threads=threads)


def test_path_of_wrong_type():
    with pytest.raises(TypeError, match="path object. Received: None"):
        tflite_export.predict(None, np.zeros((2, 4)))


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="Received: .*missing.tflite"):
        tflite_export.predict(tmp_path / "missing.tflite", LEFT)

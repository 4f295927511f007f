"""What cannot be exported is refused, and leaves every file as it was."""

import sys

import keras
import numpy as np
import pytest
from keras import layers

import tflite_export

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
SHAPE = (5, 8, 8, 3)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Drifting(layers.Layer):
    """Gives something else at every call, as no converted file can."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * self.calls


def two_inputs():
    left, right = keras.Input((3,), name="left"), keras.Input((5,), name="right")
    return keras.Model([left, right], layers.Concatenate()([left, right]))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def refuse(tmp_path):
    """Check that an export raises, and that the folder is as before."""
    old = tmp_path / "old.tflite"
    old.write_bytes(b"what was there before")

    def check(error, match, model, path=old, **arguments):
        before = contents(tmp_path)
        with pytest.raises(error, match=match):
            tflite_export.export(model, path, **arguments)
        assert contents(tmp_path) == before

    return check


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (lambda: layers.Dense(2), TypeError, "must be a Keras model. Received"),
        (lambda: "model.keras", TypeError, "must be a Keras model. Received"),
        (lambda: keras.Sequential([layers.Dense(2)]), ValueError, "must be built"),
        (Subclassed, ValueError, "functional or Sequential"),
    ],
)
def test_model(model, error, match, refuse):
    refuse(error, match, model())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"quantization": "int4"}, "must be one of .*'dynamic'.* Received: 'int4'"),
        ({"quantization": "int8"}, "needs `representative_data`: a hundred"),
        ({"io_dtype": "int16"}, "`io_dtype` must be one of .* Received: 'int16'"),
        ({"io_dtype": "uint8"}, "needs quantization='int8'"),
    ],
)
def test_quantization(arguments, match, classifier, refuse):
    refuse(ValueError, match, classifier, **arguments)


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (np.zeros((5, 8, 9, 3)), ValueError, r"\(None, 8, 8, 3\).*\(5, 8, 9, 3\)"),
        (
            np.zeros((8, 8, 3)),
            ValueError,
            r"Received: shape \(8, 8, 3\)",
        ),
        (np.zeros((0, 8, 8, 3)), ValueError, r"\(0, 8, 8, 3\)"),
        (np.full(SHAPE, np.nan), ValueError, "finite"),
        (np.full(SHAPE, 1e39), ValueError, "finite. .* more than float32 holds"),
        (np.full(SHAPE, "a"), TypeError, "casts to float32"),
        (np.zeros(SHAPE, "complex64"), TypeError, "complex64"),
        ("images.npy", TypeError, "type str"),
        ([np.zeros(SHAPE), np.zeros(SHAPE)], ValueError, "Received: 2 items"),
        ({"picture": np.zeros(SHAPE)}, ValueError, r"\['image'\].*\['picture'\]"),
    ],
)
@pytest.mark.parametrize("quantization", [None, "int8"])
def test_representative_data(quantization, data, error, match, classifier, refuse):
    refuse(
        error,
        match,
        classifier,
        quantization=quantization,
        representative_data=data,
    )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros((4, 3)), r"one for each of \['left', 'right'\]"),
        ([np.zeros((4, 3))], "Received: 1 items"),
        ([np.zeros((4, 3)), np.zeros((3, 5))], "as many samples"),
        ([np.zeros((4, 5)), np.zeros((4, 3))], "'left' must have shape"),
        ({"left": np.zeros((4, 3))}, r"Received: \['left'\]"),
    ],
)
def test_representative_data_of_two_inputs(data, match, refuse):
    refuse(ValueError, match, two_inputs(), representative_data=data)


def test_open_sizes_without_data(refuse):
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)])
    refuse(ValueError, r"\(None, None, None, 3\).*Pass `representative_data`", model)


def test_float_data_for_integer_input(refuse):
    model = keras.Sequential([keras.Input((6,), dtype="int32"), layers.Embedding(9, 8)])
    refuse(TypeError, "casts to int32", model, representative_data=np.zeros((4, 6)))


@pytest.mark.parametrize(
    ("dtype", "values", "match"),
    [
        ("int32", [0, 2**31], "fit int32. Received: values from 0 to 2147483648"),
        ("int32", [-(2**31) - 1, 0], "fit int32. Received: values from -2147483649"),
        ("uint8", [-1, 3], "fit uint8. Received: values from -1 to 3"),
    ],
)
def test_integers_that_do_not_fit(dtype, values, match, refuse):
    inputs = keras.Input((1,), dtype=dtype)
    model = keras.Model(inputs, keras.ops.cast(inputs, "float32"))
    data = np.array(values)[:, None]
    refuse(ValueError, match, model, representative_data=data)


def test_stateful_layers_are_named_and_left_alone(refuse):
    inner = keras.Sequential(
        [keras.Input(batch_shape=(1, 3, 4)), layers.GRU(2, stateful=True, name="inner")]
    )
    inputs = keras.Input(batch_shape=(1, 3, 4))
    lstm = layers.LSTM(2, stateful=True, name="outer")
    model = keras.Model(inputs, layers.Add()([lstm(inputs), inner(inputs)]))
    model(np.ones((1, 3, 4), "float32"))
    before = [keras.ops.convert_to_numpy(value) for value in model.variables]
    refuse(ValueError, r"stateful .*Received: \['outer', 'inner'\]", model)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(new), old)


@pytest.mark.parametrize("axis", [None, 0])
def test_output_without_samples(axis, refuse):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.sum(layers.Dense(3)(inputs), axis))
    shape = r"\(\)" if axis is None else r"\(3,\)"
    refuse(ValueError, f"one row for each sample. .*'sum' of shape {shape}", model)


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("missing/model.tflite", "folder that exists. Received: .*missing"),
        ("", "must be a regular file. Received: .* a folder"),
        ("a\0b.tflite", "must not hold a NUL. Received: .*b.tflite"),
        # Root may write anywhere, but no file can have this name.
        (f"{'n' * 300}.tflite", "cannot be written: File name too long"),
    ],
)
def test_path(path, match, classifier, refuse, tmp_path):
    refuse(ValueError, match, classifier, path=tmp_path / path)


def test_path_of_wrong_type(classifier, refuse):
    refuse(TypeError, "`path` must be a str or a path object", classifier, path=3)


def test_unsupported_operation_is_named(refuse):
    inputs = keras.Input((4,))
    outputs = keras.ops.erfinv(0.5 * layers.Dense(3, activation="tanh")(inputs))
    refuse(ValueError, "no operation for .* Erfinv", keras.Model(inputs, outputs))


@pytest.mark.skipif(not ON_TENSORFLOW, reason="The same on every backend.")
def test_loop_cannot_be_int8(refuse):
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4)])
    data = np.zeros((4, 5, 3))
    refuse(ValueError, "WHILE", model, quantization="int8", representative_data=data)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="The same on every backend.")
def test_int8_of_dead_activations(refuse):
    dead = keras.initializers.Constant(-100.0)
    hidden = layers.Dense(3, "relu", bias_initializer=dead)
    model = keras.Sequential([keras.Input((8,)), hidden, layers.Dense(2)])
    data = np.ones((4, 8))
    match = "0 for all of `representative_data`.*choose quantization='dynamic'"
    refuse(RuntimeError, match, model, quantization="int8", representative_data=data)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="Needs a layer of its own.")
def test_float32_that_differs_is_refused(refuse):
    model = keras.Sequential([keras.Input((4,)), Drifting(name="drift")])
    refuse(RuntimeError, "'drift' differs from Keras's by .* 1e-03", model)


def test_not_finite_is_refused(refuse):
    nan = keras.initializers.Constant(np.nan)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, bias_initializer=nan)])
    refuse(RuntimeError, "Keras's output .* NaN .*`representative_data`", model)


@pytest.mark.parametrize("module", ["tensorflow", "ai_edge_litert"])
def test_missing_extra_is_named(module, classifier, refuse, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    refuse(ImportError, rf'{module}.*pip install "keras-dprp\[export\]"', classifier)


@pytest.mark.skipif(ON_TENSORFLOW, reason="No other process is used.")
def test_layer_that_cannot_be_loaded_elsewhere(refuse):
    model = keras.Sequential([keras.Input((4,)), Drifting()])
    refuse(ValueError, "KERAS_BACKEND=tensorflow .*'Drifting'", model)


@pytest.mark.skipif(ON_TENSORFLOW, reason="No other process is used.")
def test_process_does_not_import_from_the_current_folder(
    classifier, tmp_path, monkeypatch
):
    (tmp_path / "numpy.py").write_text("raise RuntimeError('of the same name')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    tflite_export.export(classifier, "model.tflite", verbose=False)


@pytest.mark.skipif(ON_TENSORFLOW, reason="No other process is used.")
def test_process_that_dies_is_told(classifier, refuse, monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    refuse(RuntimeError, "ended with code 1", classifier)

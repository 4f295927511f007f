"""Quantized files: small, near the model, and in the integers asked for."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from exported_files import difference, dtypes, same_everywhere
from keras import layers

import tflite_export


@pytest.mark.parametrize(
    "quantization", [pytest.param("float16", marks=same_everywhere), "dynamic", "int8"]
)
def test_quantized_file_is_small_and_near(
    quantization, classifier, images, run_litert, tmp_path
):
    path = tmp_path / "model.tflite"
    report = tflite_export.export(classifier, path, quantization, images, verbose=False)
    share = {"float16": 0.65, "dynamic": 0.45, "int8": 0.45}[quantization]
    assert path.stat().st_size < share * 4 * classifier.count_params()
    actual = run_litert(path, image=images[:32])["classes"]
    expected = classifier.predict(images[:32], verbose=0)
    assert difference(actual, expected) < 0.3
    assert report.quantization == quantization
    assert report.largest_difference == pytest.approx(
        difference(actual, expected), rel=0.01
    )


@same_everywhere
def test_dynamic_quantizes_small_kernels(tmp_path):
    path = tmp_path / "model.tflite"
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4)])
    tflite_export.export(model, path, "dynamic", verbose=False)
    tensors = Interpreter(model_path=str(path)).get_tensor_details()
    (kernel,) = (tensor for tensor in tensors if tuple(tensor["shape"]) == (4, 8))
    assert kernel["dtype"] == np.int8


@pytest.mark.parametrize(
    "io_dtype", [pytest.param("int8", marks=same_everywhere), "uint8"]
)
def test_integer_inputs_and_outputs(io_dtype, classifier, images, run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    tflite_export.export(
        classifier, path, "int8", images, io_dtype=io_dtype, verbose=False
    )
    assert "float32" not in dtypes(path)
    interpreter = Interpreter(model_path=str(path))
    ends = interpreter.get_input_details() + interpreter.get_output_details()
    assert [np.dtype(tensor["dtype"]).name for tensor in ends] == [io_dtype] * 2
    actual = run_litert(path, image=images[:32])["classes"]
    assert difference(actual, classifier.predict(images[:32], verbose=0)) < 0.3


@same_everywhere
def test_int8_calibrates_with_every_sample(tmp_path):
    path = tmp_path / "model.tflite"
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    data = np.random.default_rng(0).uniform(-1, 1, (100, 4))
    data[-1] = [-20, 0, 0, 31]
    tflite_export.export(model, path, "int8", data, "int8", verbose=False)
    (details,) = Interpreter(model_path=str(path)).get_input_details()
    assert details["quantization"][0] == pytest.approx(51 / 255, rel=0.01)


@same_everywhere
def test_int8_asks_for_integers_only(tmp_path, monkeypatch):
    """If it is not, the converter leaves parts of an LSTM in float, in some runs."""
    import tensorflow as tf

    converters, make = [], tf.lite.TFLiteConverter.from_saved_model

    def spy(folder):
        converters.append(make(folder))
        return converters[-1]

    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_saved_model", spy)
    model = keras.Sequential([keras.Input((4, 8)), layers.LSTM(3, unroll=True)])
    data = np.random.default_rng(0).normal(size=(40, 4, 8))
    report = tflite_export.export(
        model, tmp_path / "m.tflite", "int8", data, verbose=False
    )
    only = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    assert converters[-1].target_spec.supported_ops == only
    assert (report.operations["QUANTIZE"], report.operations["DEQUANTIZE"]) == (1, 1)


@same_everywhere
@pytest.mark.parametrize("io_dtype", ["float32", "int8", "uint8"])
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_int8_with_integer_inputs(dtype, io_dtype, run_litert, tmp_path):
    """They are indices or pixels, not quantized floats, and stay what they are."""
    path = tmp_path / "model.tflite"
    first, top = {
        "int32": (layers.Embedding(9, 8), 9),
        "uint8": (layers.Rescaling(1 / 255), 256),
    }[dtype]
    inputs = keras.Input((6,), dtype=dtype, name="x")
    outputs = layers.Dense(3, name="y")(layers.Flatten()(first(inputs)))
    model = keras.Model(inputs, outputs)
    data = np.random.default_rng(0).integers(0, top, (100, 6))
    report = tflite_export.export(model, path, "int8", data, io_dtype, verbose=False)
    (details,) = Interpreter(model_path=str(path)).get_input_details()
    assert np.dtype(details["dtype"]).name == dtype
    expected = model.predict(data[:32].astype(dtype), verbose=0)
    actual = run_litert(path, x=data[:32].astype(dtype))["y"]
    assert difference(actual, expected) < 0.2
    assert report.largest_difference == pytest.approx(
        difference(actual, expected), rel=0.01
    )
    np.testing.assert_allclose(tflite_export.predict(path, data[:32]), actual)

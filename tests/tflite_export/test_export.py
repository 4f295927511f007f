"""What is in the file: the model's outputs, in the dtypes asked for."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import keras_dprp
import tflite_export

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
# Elsewhere every export starts a process, which takes seconds; what is the same on
# every backend is then tested on TensorFlow alone.
EXAMPLES = 10 if ON_TENSORFLOW else 3
same_everywhere = pytest.mark.skipif(
    not ON_TENSORFLOW, reason="Tested on TensorFlow: the same on every backend."
)


class UserLayer(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def difference(actual, expected):
    expected = np.asarray(expected, "float64")
    return np.abs(actual - expected).max() / expected.std()


def dtypes(path):
    interpreter = Interpreter(model_path=str(path))
    return {np.dtype(t["dtype"]).name for t in interpreter.get_tensor_details()}


BLOCKS = st.fixed_dictionaries(
    {
        "kernel_size": st.sampled_from([1, 3, (1, 3)]),
        "groups": st.sampled_from([1, 2]),
        "use_bias": st.booleans(),
        "activation": st.sampled_from([None, "relu", "swish", "gelu"]),
    },
    optional={"strides": st.just(2)},
)


def network(blocks, normalize, pool, two_inputs, two_outputs):
    image = keras.Input((6, 8, 4), name="image")
    x = image
    for arguments in blocks:
        x = layers.Conv2D(8, padding="same", bias_initializer="ones", **arguments)(x)
        if normalize:
            x = layers.BatchNormalization(moving_mean_initializer="random_normal")(x)
    x = layers.GlobalAveragePooling2D()(x) if pool else layers.Flatten()(x)
    inputs = [image]
    if two_inputs:
        inputs.append(keras.Input((3,), name="extra"))
        x = layers.Concatenate()([x, inputs[1]])
    outputs = [layers.Dense(5, activation="softmax", name="first")(x)]
    if two_outputs:
        outputs.append(layers.Dense(2, name="second")(x))
    return keras.Model(inputs, outputs)


@settings(max_examples=EXAMPLES)
@given(
    blocks=st.lists(BLOCKS, min_size=1, max_size=2),
    normalize=st.booleans(),
    pool=st.booleans(),
    two_inputs=st.booleans(),
    two_outputs=st.booleans(),
)
def test_float32_keeps_outputs(run_litert, tmp_path_factory, **architecture):
    path = tmp_path_factory.mktemp("export") / "model.tflite"
    model = network(**architecture)
    tflite_export.export(model, path, verbose=False)
    generator = np.random.default_rng(3)
    samples = {
        tensor.name: generator.normal(size=(4, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    }
    tensors = {name: keras.ops.convert_to_tensor(x) for name, x in samples.items()}
    outputs = keras.tree.flatten(model(tensors, training=False))
    actual = run_litert(path, **samples)
    assert set(actual) == set(model.output_names)
    for name, expected in zip(model.output_names, outputs, strict=True):
        assert difference(actual[name], keras.ops.convert_to_numpy(expected)) <= 1e-4


def test_factorized_model_is_folded(classifier, images, run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    factorized = keras_dprp.factorize(classifier, rank=4)
    report = tflite_export.export(factorized, path, verbose=False)
    assert report.operations["CONV_2D"] == 4
    outputs = run_litert(path, image=images[:8])["classes"]
    expected = factorized.predict(images[:8], verbose=0)
    assert difference(outputs, expected) <= 1e-4


@same_everywhere
def test_nested_factorized_model_is_folded(tmp_path):
    inner = keras.Sequential([keras.Input((32,)), layers.Dense(32, name="inner")])
    model = keras.Sequential([keras.Input((32,)), inner, layers.Dense(4)])
    factorized = keras_dprp.factorize(model, filters="inner", rank=2)
    report = tflite_export.export(factorized, tmp_path / "m.tflite", verbose=False)
    assert report.operations["FULLY_CONNECTED"] == 3


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


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(list, marks=same_everywhere),
        pytest.param(tuple, marks=same_everywhere),
        dict,
    ],
)
def test_several_inputs_and_outputs(form, run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    left, right = keras.Input((3,), name="left"), keras.Input((5,), name="right")
    both = layers.Concatenate()([left, right])
    outputs = {"b": layers.Dense(2)(both), "a": layers.Dense(7)(both)}
    model = keras.Model({"right": right, "left": left}, outputs)
    generator = np.random.default_rng(0)
    data = {
        "left": 10 * generator.normal(size=(40, 3)).astype("float32"),
        "right": generator.normal(size=(40, 5)).astype("float32"),
    }
    given = data if form is dict else form(data[t.name] for t in model.inputs)
    report = tflite_export.export(model, path, "int8", given, verbose=False)
    assert [output.name for output in report.outputs] == ["a", "b"]
    actual, expected = run_litert(path, **data), model.predict(data, verbose=0)
    for name in ("a", "b"):
        assert difference(actual[name], expected[name]) < 0.1


@same_everywhere
def test_shared_nested_model(run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    block = keras.Sequential([keras.Input((6,)), layers.Dense(6, activation="tanh")])
    inputs = keras.Input((6,), name="x")
    model = keras.Model(inputs, layers.Add(name="sum")([block(inputs), inputs]))
    model = keras.Model(inputs, block(model(inputs)))
    tflite_export.export(model, path, verbose=False)
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    (outputs,) = run_litert(path, x=x).values()
    assert difference(outputs, model.predict(x, verbose=0)) <= 1e-4


@pytest.mark.parametrize(
    "dtype",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=same_everywhere),
        pytest.param("float16", marks=same_everywhere),
    ],
)
def test_half_precision_becomes_float32(dtype, run_litert, tmp_path):
    def build(dtype):
        inner = keras.Sequential([layers.Dense(6, "relu", dtype=dtype)])
        return keras.Sequential(
            [
                keras.Input((4, 8), name="x", dtype="float32"),
                layers.TimeDistributed(layers.Dense(8, dtype=dtype), dtype=dtype),
                inner,
                layers.Dense(3, dtype=dtype, name="y"),
            ]
        )

    path = tmp_path / "model.tflite"
    half, full = build(dtype), build("float32")
    full.set_weights(half.get_weights())
    tflite_export.export(half, path, verbose=False)
    assert not dtypes(path) & {"float16", "bfloat16"}
    x = np.random.default_rng(0).normal(size=(5, 4, 8)).astype("float32")
    assert difference(run_litert(path, x=x)["y"], full.predict(x, verbose=0)) <= 1e-4
    assert half.layers[-1].dtype_policy.name == dtype


def test_half_precision_keeps_state_that_is_no_weight(images, run_litert, tmp_path):
    """Normalization computes what it subtracts from its weights, once."""
    path = tmp_path / "model.tflite"
    scale = layers.Normalization(dtype="mixed_float16", name="y")
    scale.adapt(5 * images + 3)
    model = keras.Sequential([keras.Input((8, 8, 3), name="x"), scale])
    tflite_export.export(model, path, verbose=False)
    outputs = run_litert(path, x=images[:4])["y"]
    assert difference(outputs, model.predict(images[:4], verbose=0)) < 0.01


@same_everywhere
def test_open_sizes_come_from_the_data(tmp_path):
    path = tmp_path / "model.tflite"
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)])
    data = np.random.default_rng(0).normal(size=(2, 7, 5, 3))
    tflite_export.export(model, path, representative_data=data, verbose=False)
    (details,) = Interpreter(model_path=str(path)).get_input_details()
    assert tuple(details["shape"]) == (1, 7, 5, 3)


@same_everywhere
def test_integer_inputs_without_data(run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32", name="words"),
            layers.Embedding(9, 8),
            layers.GlobalAveragePooling1D(),
        ]
    )
    tflite_export.export(model, path, verbose=False)
    words = np.random.default_rng(0).integers(0, 9, (5, 6)).astype("int32")
    (outputs,) = run_litert(path, words=words).values()
    assert difference(outputs, model.predict(words, verbose=0)) <= 1e-4


@same_everywhere
def test_layer_of_the_users_own(run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    model = keras.Sequential([keras.Input((4,), name="x"), UserLayer(name="y")])
    tflite_export.export(model, path, verbose=False)
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(run_litert(path, x=x)["y"], 2 * x)


def test_model_is_left_as_it_was(classifier, images, tmp_path):
    before = classifier.predict(images, verbose=0)
    classifier.compile("sgd", "sparse_categorical_crossentropy")
    tflite_export.export(classifier, tmp_path / "m.tflite", verbose=False)
    np.testing.assert_array_equal(classifier.predict(images, verbose=0), before)
    assert classifier.compiled

"""What is in the file: the model's outputs, in the dtypes asked for."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from exported_files import (
    ON_TENSORFLOW,
    difference,
    pruned_by_itself,
    same_everywhere,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import keras_dprp
import tflite_export

# Elsewhere every export starts a process, which takes seconds.
EXAMPLES = 10 if ON_TENSORFLOW else 3


class Functional(keras.Model):
    """A class of the user's own around a graph."""


class Chain(keras.Sequential):
    pass


class UserLayer(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


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


@pytest.mark.parametrize(
    ("rank", "convolutions"), [(4, 4), pytest.param(None, 2, marks=same_everywhere)]
)
def test_factorized_model_is_folded(
    rank, convolutions, classifier, images, run_litert, tmp_path
):
    path = tmp_path / "model.tflite"
    factorized = keras_dprp.factorize(classifier, rank=rank)
    report = tflite_export.export(factorized, path, verbose=False)
    assert report.operations["CONV_2D"] == convolutions
    outputs = run_litert(path, image=images[:8])["classes"]
    expected = factorized.predict(images[:8], verbose=0)
    assert difference(outputs, expected) <= 1e-4


def test_teacher_stays_behind(classifier, images, run_litert, tmp_path):
    """After an event, with all that the network then remembers of what it was."""
    path = tmp_path / "model.tflite"
    network = pruned_by_itself(classifier, images)
    report = tflite_export.export(network, path, verbose=False)
    assert report.operations["CONV_2D"] > 2
    outputs = run_litert(path, image=images[:8])["classes"]
    assert difference(outputs, network.predict(images[:8], verbose=0)) <= 1e-4


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("rank", [2, pytest.param(None, marks=same_everywhere)])
def test_factorized_layer_in_a_wrapper_stays_as_it_is(
    rank, others, run_litert, tmp_path
):
    path = tmp_path / "model.tflite"
    inputs = x = keras.Input((4, 16), name="x")
    for _ in range(others):
        x = keras_dprp.SVDDense(16, rank=2)(x)
    hidden = keras_dprp.SVDDense(16, rank=rank, activation="relu")
    model = keras.Model(inputs, layers.TimeDistributed(hidden, name="y")(x))
    tflite_export.export(model, path, verbose=False)
    data = np.random.default_rng(0).normal(size=(5, 4, 16)).astype("float32")
    expected = model.predict(data, verbose=0)
    assert difference(run_litert(path, x=data)["y"], expected) <= 1e-4


@pytest.mark.parametrize("factorized", [False, True])
def test_own_class_of_a_graph(factorized, run_litert, tmp_path, recwarn):
    """Neither the class nor what it is trained with takes part in its outputs."""
    path = tmp_path / "model.tflite"
    inner_input = keras.Input((16,))
    inner = Functional(inner_input, layers.Dense(16, "relu")(inner_input))
    chain = Chain([keras.Input((16,)), layers.Dense(16, "tanh")])
    inputs = keras.Input((16,), name="x")
    model = Functional(inputs, layers.Dense(3, name="y")(chain(inner(inputs))))
    if factorized:
        model = keras_dprp.factorize(model, rank=2)
    for each in (model, inner):
        each.compile("adam", loss=lambda y, out: keras.ops.mean(y - out, -1))
    tflite_export.export(model, path, verbose=False)
    x = np.random.default_rng(0).normal(size=(5, 16)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(x))
    assert difference(run_litert(path, x=x)["y"], expected) <= 1e-4
    assert model.compiled and inner.compiled
    assert not [str(each.message) for each in recwarn if each.category is UserWarning]


@same_everywhere
def test_nested_factorized_model_is_folded(tmp_path):
    inner = keras.Sequential([keras.Input((32,)), layers.Dense(32, name="inner")])
    model = keras.Sequential([keras.Input((32,)), inner, layers.Dense(4)])
    factorized = keras_dprp.factorize(model, filters="inner", rank=2)
    report = tflite_export.export(factorized, tmp_path / "m.tflite", verbose=False)
    assert report.operations["FULLY_CONNECTED"] == 3


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


@pytest.mark.parametrize("names", ["in the file", "in Keras", "keys"])
def test_names_of_inputs(names, tmp_path):
    """Keras warns of such a model once; an export adds no warning."""
    left, right = keras.Input((3,), name="left-1"), keras.Input((5,), name="right 2")
    both = layers.Concatenate()([left, right])
    with pytest.warns(UserWarning, match="must match the names"):
        model = keras.Model({"r": right, "l": left}, layers.Dense(2)(both))
    keys = {
        "in the file": ("left_1", "right_2"),
        "in Keras": ("left-1", "right 2"),
        "keys": ("l", "r"),
    }[names]
    data = dict(zip(keys, (np.ones((6, 3)), np.ones((6, 5))), strict=True))
    path = tmp_path / "model.tflite"
    report = tflite_export.export(model, path, representative_data=data, verbose=False)
    assert report.samples == 6
    with pytest.raises(ValueError, match="inputs' names"):
        mixed = {"left_1": np.ones((6, 3)), "r": np.ones((6, 5))}
        tflite_export.export(model, path, representative_data=mixed)


@same_everywhere
def test_only_what_is_used_is_read(tmp_path):
    """Whole data sets are given, of which 32 samples are compared."""
    path = tmp_path / "model.tflite"
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    data = np.random.default_rng(0).normal(size=(40, 4))
    data[32:] = np.nan
    report = tflite_export.export(model, path, "dynamic", data, verbose=False)
    assert report.samples == 32
    with pytest.raises(ValueError, match="must be finite"):
        tflite_export.export(model, path, "int8", data)


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

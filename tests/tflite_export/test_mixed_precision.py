"""Models of mixed precision become float32 on the way to a file."""

import keras
import numpy as np
import pytest
from exported_files import difference, dtypes, pruned_by_itself, same_everywhere
from keras import layers

import tflite_export


@pytest.fixture(autouse=True)
def policy():
    """Mixed precision of the whole process, as users set it."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


class Scale(layers.Layer):
    """A layer of the user's own, with one inside that takes the global policy."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(units)

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, inputs):
        return 2 * self.inner(inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.inner.units)


class Functional(keras.Model):
    pass


class WithoutConfig(layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


class SetInStone(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float16"})

    def call(self, inputs):
        return inputs


def own_dense():
    """A class of the name of one of Keras's, which is in the model as well."""

    class Dense(layers.Layer):
        def call(self, inputs):
            return 3 * inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    return Dense()


def closure(factor):
    return lambda x: factor * keras.ops.tanh(x)


def functional(layer):
    inputs = keras.Input((4, 6))
    return Functional(inputs, layer(inputs))


def held_twice(layer):
    return lambda x: layers.TimeDistributed(layer)(layer(x))


OWN = {
    "activation": lambda: layers.Dense(3, activation=closure(3)),
    "lambda": lambda: layers.Lambda(closure(2)),
    "wrapped": lambda: layers.TimeDistributed(Scale()),
    "wrapped of the same name": lambda: layers.TimeDistributed(own_dense()),
    "same name": own_dense,
    "own": Scale,
    "nested": lambda: functional(layers.Dense(3)),
    "held twice": lambda: held_twice(layers.Dense(6)),
    "model in wrapper": lambda: layers.TimeDistributed(
        keras.Sequential([keras.Input((6,)), layers.Dense(3, closure(2))])
    ),
    "cells": lambda: layers.RNN(
        [layers.LSTMCell(3, activation=closure(2)), layers.GRUCell(4)], unroll=True
    ),
    "activation with weights": lambda: layers.Dense(3, layers.PReLU("ones")),
    "operation": lambda: lambda x: keras.ops.cast(layers.Dense(3)(x), "float16"),
}
STOCK = ("nested", "activation with weights", "operation")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in STOCK else same_everywhere) for n in OWN],
)
def test_what_users_write_is_kept(name, policy, tmp_path):
    policy("mixed_float16")
    inputs = keras.Input((4, 6))
    outputs = layers.Dense(2)(OWN[name]()(layers.Dense(6, "relu")(inputs)))
    model = Functional(inputs, outputs)
    path, x = tmp_path / "m.tflite", np.random.default_rng(0).normal(size=(5, 4, 6))
    x = x.astype("float32")
    expected = keras.ops.convert_to_numpy(model(x)).astype("float64")
    tflite_export.export(model, path, verbose=False)
    assert not dtypes(path) & {"float16", "bfloat16"}
    # As far as half precision goes.
    assert difference(tflite_export.predict(path, x), expected) <= 0.02
    assert keras.config.dtype_policy().name == "mixed_float16"
    assert keras.ops.convert_to_numpy(model(x)).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (lambda: WithoutConfig(closure(2)), "layer 'without_config' .*get_config"),
        (SetInStone, "layer 'set_in_stone' .*sets its own dtype"),
    ],
)
def test_layer_that_cannot_be_copied_is_told(layer, match, policy, tmp_path):
    policy("mixed_float16")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer()(layers.Dense(2)(inputs)))
    with pytest.raises(ValueError, match=f"mixed precision.* 'float32' .*{match}"):
        tflite_export.export(model, tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


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


def test_half_precision_keeps_ranks(policy, run_litert, tmp_path):
    policy("mixed_float16")
    path = tmp_path / "model.tflite"
    x = np.random.default_rng(0).normal(size=(64, 24)).astype("float32")
    dense = [layers.Dense(24, "relu"), layers.Dense(24), layers.Dense(10)]
    network = keras.Sequential([keras.Input((24,), name="x"), *dense])
    network = pruned_by_itself(network, x, loss="mse")
    report = tflite_export.export(network, path, verbose=False)
    assert report.operations["FULLY_CONNECTED"] > len(dense)
    (outputs,) = run_litert(path, x=x).values()
    assert difference(outputs, network.predict(x, verbose=0)) <= 0.02

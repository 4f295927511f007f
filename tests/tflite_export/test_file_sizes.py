"""Budgets in bytes against the files that are written."""

import keras
import numpy as np
import pytest
from architectures import with_random_weights
from exported_files import same_everywhere
from keras import layers

import keras_dprp as dprp
import tflite_export


def normalized(x, filters, strides=1):
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def residual():
    """Pixels in, normalizations that merge, and a shortcut."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.ReLU()(normalized(x, 32))
    for filters in (32, 64):
        y = layers.ReLU()(normalized(x, filters, 2))
        x = layers.Conv2D(filters, 1, 2)(x)
        x = layers.ReLU()(layers.Add()([x, normalized(y, filters)]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="logits")(x), name="residual")


def separable():
    """Depthwise convolutions, with and without a normalization."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(32, 3, 2, padding="same", activation="relu")(inputs)
    for filters in (96, 128, 128):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU(6)(layers.BatchNormalization()(x))
        x = layers.Conv2D(filters, 1, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def perceptron():
    """A Sequential model of dense layers."""
    inner = [layers.Dense(size, "relu") for size in (128, 128, 64)]
    return keras.Sequential([keras.Input((96,)), *inner, layers.Dense(10)])


def before_normalized():
    """Normalizations before convolutions, where they do not merge."""
    x = inputs = keras.Input((16, 16, 16))
    for filters in (48, 64):
        y = layers.Activation("relu")(layers.BatchNormalization()(x))
        y = layers.Conv2D(filters, 3, padding="same")(y)
        x = layers.Add()([layers.Conv2D(filters, 1)(x), y])
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return keras.Model(inputs, layers.Dense(10, "softmax")(x))


def towers():
    """A layer called twice: in integers each call has a bias of its own."""
    inputs = [keras.Input((16, 16, 8), name=name) for name in ("left", "right")]
    first = layers.Conv2D(48, 3, padding="same", activation="relu")
    second = layers.Conv2D(64, 3, padding="same", activation="relu")
    x = layers.Concatenate()([second(first(x)) for x in inputs])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def sequence():
    """Words and sequences: LiteRT knows convolutions of images only."""
    inputs = keras.Input((32,), dtype="int32")
    x = layers.Embedding(50, 32)(inputs)
    for padding in ("same", "causal"):
        x = layers.Conv1D(64, 5, padding=padding, activation="relu")(x)
    x = layers.GRU(32)(x)
    return keras.Model(inputs, layers.Dense(10)(layers.Dense(128, "relu")(x)))


def volume():
    """Convolutions that LiteRT computes in floating point, even in int8 files."""
    x = inputs = keras.Input((6, 8, 8, 2))
    for filters in (16, 32):
        x = layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling3D()(x)))


def attention():
    """Sequences whose vectors are a matrix, and layers of many operations."""
    x = inputs = keras.Input((16, 32))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 8)(x, x))
    y = layers.Dense(32)(layers.Dense(128, "gelu")(x))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + y))
    return keras.Model(inputs, layers.Dense(5)(x))


def decoder():
    """A network in another one, transposed convolutions, and sums of tensors."""
    x = inner = keras.Input((16, 16, 16))
    x = layers.Conv2D(32, 3, 2, padding="same", activation="relu")(x)
    # Over an activation no normalization is merged.
    x = layers.BatchNormalization()(x)
    nested = keras.Model(inner, layers.UpSampling2D()(x), name="a_network_inside")
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = nested(x) + layers.Conv2D(32, 3, padding="same")(x)
    x = layers.Conv2DTranspose(32, 3, 2, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@same_everywhere
@pytest.mark.parametrize(
    ("build", "quantization"),
    [
        (towers, None),
        (towers, "int8"),
        (sequence, None),
        (sequence, "dynamic"),
        (volume, "int8"),
        (attention, None),
        (decoder, None),
        (decoder, "int8"),
    ],
)
def test_of_layers_of_several_operations_a_file_is_within_the_budget(
    build, quantization, tmp_path
):
    model = dprp.factorize(with_random_weights(build()))
    size = {"metric": "bytes", "quantization": quantization}
    budget = round(0.8 * dprp.plan(model, target=1.0, **size).bytes)
    assert dprp.prune(model, budget=budget, **size).bytes <= budget
    rng = np.random.default_rng(0)
    x = {
        each.name: rng.uniform(0, 9, (8, *each.shape[1:])).astype(each.dtype)
        for each in model.inputs
    }
    path = tmp_path / "model.tflite"
    tflite_export.export(model, path, quantization, x, verbose=False)
    assert 0.93 * budget <= path.stat().st_size <= budget


@same_everywhere
@pytest.mark.parametrize(
    ("build", "quantization"),
    [
        (residual, None),
        (residual, "float16"),
        (residual, "dynamic"),
        (residual, "int8"),
        (separable, "int8"),
        (perceptron, None),
        (before_normalized, "int8"),
    ],
)
def test_a_budget_is_met_from_below_by_the_file(build, quantization, tmp_path):
    model = dprp.factorize(with_random_weights(build()))
    size = {"metric": "bytes", "quantization": quantization}
    budget = round(0.6 * dprp.plan(model, target=1.0, **size).bytes)
    assert dprp.prune(model, budget=budget, **size).bytes <= budget
    x = np.random.default_rng(0).uniform(0, 9, (8, *model.input_shape[1:]))
    path = tmp_path / "model.tflite"
    tflite_export.export(model, path, quantization, x.astype("float32"), verbose=False)
    assert 0.98 * budget <= path.stat().st_size <= budget

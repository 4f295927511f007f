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

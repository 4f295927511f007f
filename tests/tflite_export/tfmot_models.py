"""What the tests of tfmot share: models, and data that they can learn."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

CLASSES = 4

needs_tfmot = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason='Needs tensorflow-model-optimization: pip install -e ".[tfmot]"',
)


def pictures(samples=128, size=8):
    """Noisy copies of one picture a class, as pixels from 0 to 255."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, samples)
    originals = rng.uniform(0, 255, (CLASSES, size, size, 3))
    noise = rng.normal(scale=40, size=(samples, size, size, 3))
    return np.clip(originals[labels] + noise, 0, 255).astype("float32"), labels


def convolution(x, filters, strides=1):
    """A folded pair, as `keras_dprp.fold` makes it, and its normalisation."""
    first = {"strides": (strides, 1), "padding": "same", "use_bias": False}
    last = {**first, "strides": (1, strides)}
    x = layers.Conv2D(filters // 2, (3, 1), **first)(x)
    x = layers.Conv2D(filters, (1, 3), **last)(x)
    # A training of few steps: averages over the last 100 would lag far behind.
    return layers.BatchNormalization(momentum=0.5)(x)


def residual():
    """Preprocessing, a block whose shortcut pads channels, and logits."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling([1 / 60, 1 / 70, 1 / 80], [-2.0, -1.8, -1.6])(inputs)
    x = layers.ReLU()(convolution(x, 8))
    shortcut = layers.AveragePooling2D(1, 2)(x)
    # Read as channels first, the last axis is one that can be padded.
    shortcut = layers.ZeroPadding2D(((0, 0), (4, 4)), "channels_first")(shortcut)
    x = layers.ReLU()(layers.Add()([convolution(x, 16, 2), shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x))


def every_kind():
    """A model with each layer, and each activation, that is taken to tf_keras."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Normalization(mean=[120.0, 130.0, 140.0], variance=[9e3, 8e3, 7e3])(
        inputs
    )
    x = layers.Rescaling(2.0, [0.1, 0.2, 0.3])(x)
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(8, 3, groups=1, activation="relu6")(x)
    twice = layers.Conv2D(8, (1, 3), padding="same", use_bias=False, name="a.b")
    nested = keras.Sequential(
        [keras.Input((7, 7, 8)), layers.DepthwiseConv2D(3, padding="same"), twice],
        name="nested",
    )
    x = layers.BatchNormalization(center=False)(twice(nested(x, training=False)))
    x = layers.Multiply()([x, layers.Activation("silu")(x)]) + x
    parts = [
        layers.MaxPooling2D(3, 1, "same")(layers.LeakyReLU(0.1)(x)),
        layers.AveragePooling2D(3, 1, "same")(layers.ELU(0.5)(x)),
        layers.SpatialDropout2D(0.1)(layers.ReLU(0.5, 0.1, 0.2)(x)),
        *(layers.Activation(name)(x) for name in ("gelu", "selu", "leaky_relu")),
    ]
    x = layers.Conv2D(6, 2, strides=2, groups=2)(layers.Concatenate()(parts))
    x = layers.Add()([x, layers.Softmax(axis=-2)(x)])
    ends = [
        layers.GlobalMaxPooling2D()(x),
        layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(x)),
        layers.Reshape((-1,))(layers.Permute((3, 1, 2))(x)),
    ]
    x = layers.Dropout(0.2)(layers.Dense(9, activation="tanh")(layers.Add()(ends[:2])))
    x = layers.Concatenate()([x, ends[2]])
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def randomized(model):
    """The model with statistics and biases that are not those of a new one."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if len(variable.shape) == 1:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def layers_of(model):
    """Every layer in a model, nested ones opened."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        else:
            yield layer


def kernels(model):
    """The kernels that are pruned and clustered."""
    kinds = (layers.Conv2D, layers.Dense)
    found = [layer for layer in layers_of(model) if isinstance(layer, kinds)]
    return [keras.ops.convert_to_numpy(layer.kernel) for layer in found]


def accuracy(outputs, labels):
    return float(np.mean(np.argmax(outputs, axis=-1) == labels))

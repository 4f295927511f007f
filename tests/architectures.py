"""Small networks for hypothesis to draw, and what says that two compute the same."""

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers

from keras_dprp.layers import SVDLayer

MODES = ("spatial", "channel", "auto")
# Of a copy's outputs from the original's, as a share of their standard deviation.
TOLERANCE = 1e-5


@st.composite
def networks(draw):
    """A functional network of a few blocks on 8 x 7 images, with random weights."""
    data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
    shape = (4, 8, 7) if data_format == "channels_first" else (8, 7, 4)
    inputs = outputs = keras.Input(shape)
    blocks = st.sampled_from([convolution, residual, normalization, pooling])
    for block in draw(st.lists(blocks, min_size=1, max_size=3)):
        outputs = block(draw, outputs, data_format)
    outputs = draw(st.sampled_from([flatten, average]))(outputs, data_format)
    # Four features or more to six: one layer, at least, that can be factorised.
    outputs = layers.Dense(6, draw(activations()))(outputs)
    return with_random_weights(keras.Model(inputs, outputs), draw(seeds()))


def seeds():
    return st.integers(0, 99)


def activations():
    return st.sampled_from([None, "relu", "tanh"])


def ranks():
    return st.one_of(
        st.none(), st.integers(1, 12), st.floats(0.1, 1.0, exclude_min=True)
    )


def convolution(draw, inputs, data_format):
    kernel_size = draw(st.sampled_from([1, 3, (1, 3), (3, 1)]))
    dilation_rate = draw(st.sampled_from([1, 2, (1, 2)]))
    strides = 1 if dilation_rate != 1 else draw(st.sampled_from([1, 2, (2, 1)]))
    # Without padding a large kernel would leave nothing of a small image.
    large_enough = min(sizes_of(inputs, data_format)) >= 5
    return layers.Conv2D(
        draw(st.sampled_from([4, 6, 10])),
        kernel_size,
        strides,
        padding=draw(st.sampled_from(["same", "valid"])) if large_enough else "same",
        data_format=data_format,
        dilation_rate=dilation_rate,
        groups=draw(st.sampled_from([1, 2])),
        activation=draw(activations()),
        use_bias=draw(st.booleans()),
    )(inputs)


def residual(draw, inputs, data_format):
    filters = inputs.shape[channel_axis(data_format)]
    outputs = layers.Conv2D(
        filters, 3, padding="same", data_format=data_format, activation="relu"
    )(inputs)
    return layers.Add()([inputs, outputs])


def normalization(draw, inputs, data_format):
    return layers.BatchNormalization(channel_axis(data_format))(inputs)


def pooling(draw, inputs, data_format):
    pool = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]))
    return pool(2, padding="same", data_format=data_format)(inputs)


def flatten(inputs, data_format):
    return layers.Flatten(data_format)(inputs)


def average(inputs, data_format):
    return layers.GlobalAveragePooling2D(data_format)(inputs)


def channel_axis(data_format):
    return 1 if data_format == "channels_first" else -1


def sizes_of(inputs, data_format):
    shape = inputs.shape
    return shape[2:] if data_format == "channels_first" else shape[1:-1]


def with_random_weights(model, seed=0):
    """The model with weights (and statistics) of trained size, none of them zero."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance", "alpha"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            fan_in = np.prod(shape[:-1]) if len(shape) > 1 else 1
            value = rng.normal(size=shape) / np.sqrt(fan_in)
        variable.assign(value.astype("float32"))
    return model


def with_random_factors(model, seed=0):
    """The model with bases that are not orthogonal and s of either sign, unsorted."""
    rng = np.random.default_rng(seed)
    for layer in factorized_layers(model):
        for factor in (layer.U, layer.s, layer.V):
            shape = tuple(factor.shape)
            size = np.sqrt(shape[-2]) if factor is not layer.s else 1
            factor.assign((rng.normal(size=shape) / size).astype("float32"))
    return model


def factorized_layers(model):
    """Every factorised layer, those in nested models included."""
    every = model._flatten_layers(include_self=False)
    return [layer for layer in every if isinstance(layer, SVDLayer)]


def weights_of(model):
    return [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]


def random_inputs(model, seed=1, batch=4):
    """A batch for a model, in the structure of its inputs."""
    rng = np.random.default_rng(seed)
    return keras.tree.map_structure(
        lambda each: rng.normal(size=(batch, *each.shape[1:])).astype("float32"),
        model.input,
    )


def outputs_of(model, inputs):
    outputs = model(inputs, training=False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def assert_same_outputs(copy, model):
    """Outputs of the same structure, and equal but for float accuracy."""
    inputs = random_inputs(model)
    expected, actual = outputs_of(model, inputs), outputs_of(copy, inputs)
    keras.tree.assert_same_structure(expected, actual)
    both = zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True)
    for one, other in both:
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= TOLERANCE * other.std()

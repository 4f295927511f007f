"""Small networks for hypothesis to draw, and what says that two compute the same."""

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers

from keras_dprp.layers import SVDLayer

MODES = ("spatial", "channel", "auto")
# Of a copy's outputs from the original's, as a share of their standard deviation.
TOLERANCE = 1e-5

# TensorFlow's own convolutions of 1 x 1 kernels, channels first, are wrong on a CPU
# outside of a graph.
DATA_FORMATS = ["channels_last"]
if keras.backend.backend() != "tensorflow":
    DATA_FORMATS.append("channels_first")

ACTIVATIONS = st.sampled_from([None, "relu", "tanh"])

convolutions = st.fixed_dictionaries(
    {
        "filters": st.sampled_from([4, 6, 8]),
        "kernel_size": st.sampled_from([1, 2, 3, (1, 3), (3, 1), (2, 3)]),
        "strides": st.sampled_from([1, 1, 2, (1, 2)]),
        "padding": st.sampled_from(["same", "valid"]),
        "groups": st.sampled_from([1, 1, 2]),
        "dilation_rate": st.sampled_from([1, 1, 2, (1, 2)]),
        "activation": ACTIVATIONS,
        "use_bias": st.booleans(),
    }
)

blocks = st.tuples(
    convolutions,
    st.lists(st.sampled_from(["normalize", "add", "pool"]), max_size=2, unique=True),
)

# Drawn without Keras, which would take random numbers of its own while they are drawn.
networks = st.fixed_dictionaries(
    {
        "data_format": st.sampled_from(DATA_FORMATS),
        "blocks": st.lists(blocks, min_size=1, max_size=3),
        "flatten": st.booleans(),
        "activation": ACTIVATIONS,
        "seed": st.integers(0, 99),
    }
)


def build(network):
    """The functional model of a drawn network on 8 x 7 images of four channels."""
    data_format = network["data_format"]
    first = data_format == "channels_first"
    x = inputs = keras.Input((4, 8, 7) if first else (8, 7, 4))
    for arguments, extras in network["blocks"]:
        x = _convolution(x, data_format, **arguments)
        for extra in extras:
            x = _EXTRAS[extra](x, data_format)
    if network["flatten"]:
        x = layers.Flatten(data_format)(x)
    else:
        x = layers.GlobalAveragePooling2D(data_format)(x)
    # Four features or more to six: one layer, at least, that can be factorised.
    outputs = layers.Dense(6, network["activation"])(x)
    return with_random_weights(keras.Model(inputs, outputs), network["seed"])


def _convolution(x, data_format, **arguments):
    """A convolution of the drawn arguments, as far as they go together."""
    if arguments["dilation_rate"] != 1:
        arguments["strides"] = 1
    sizes = x.shape[2:] if data_format == "channels_first" else x.shape[1:3]
    # Without padding a large kernel would leave nothing of a small image.
    if min(sizes) < 6:
        arguments["padding"] = "same"
    return layers.Conv2D(**arguments, data_format=data_format)(x)


def _normalize(x, data_format):
    return layers.BatchNormalization(_channel_axis(data_format))(x)


def _add(x, data_format):
    filters = x.shape[_channel_axis(data_format)]
    convolution = layers.Conv2D(filters, 3, padding="same", data_format=data_format)
    return layers.Add()([x, convolution(x)])


def _pool(x, data_format):
    return layers.MaxPooling2D(2, padding="same", data_format=data_format)(x)


_EXTRAS = {"normalize": _normalize, "add": _add, "pool": _pool}


def _channel_axis(data_format):
    return 1 if data_format == "channels_first" else -1


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
    """Factors as training leaves them: neither orthogonal, sorted nor positive."""
    rng = np.random.default_rng(seed)
    for layer in factorized_layers(model):
        if layer.is_dense:
            continue
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
    sequential = isinstance(model, keras.Sequential)
    return keras.tree.map_structure(
        lambda each: rng.normal(size=(batch, *each.shape[1:])).astype("float32"),
        model.inputs[0] if sequential else model.input,
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
        # Outputs that hardly differ carry the rounding error of their magnitude.
        unit = max(other.std(), 0.1 * np.abs(other).max(), 1e-6)
        assert np.abs(one - other).max() <= TOLERANCE * unit

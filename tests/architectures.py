"""Small networks, drawn by hypothesis."""

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers

SIZES = (8, 7)

blocks = st.fixed_dictionaries(
    {
        "filters": st.sampled_from([4, 6, 8]),
        "kernel_size": st.sampled_from([1, 2, 3, (1, 3), (3, 1), (2, 3)]),
        "strides": st.sampled_from([1, 1, 2, (1, 2)]),
        "padding": st.sampled_from(["same", "valid"]),
        "groups": st.sampled_from([1, 1, 2]),
        "dilation_rate": st.sampled_from([1, 1, 2]),
        "activation": st.sampled_from([None, "relu", "tanh"]),
        "use_bias": st.booleans(),
    }
)

networks = st.fixed_dictionaries(
    {
        "blocks": st.lists(blocks, min_size=1, max_size=3),
        "normalize": st.booleans(),
        "residual": st.booleans(),
        "pool": st.booleans(),
        "hidden": st.sampled_from([None, 5, 12]),
    }
)


def build(network, channels=4):
    """The functional model of a drawn network."""
    x = inputs = keras.Input((*SIZES, channels))
    for block in network["blocks"]:
        x = convolution(x, **block)
        if network["normalize"]:
            x = layers.BatchNormalization()(x)
        if network["residual"]:
            x = layers.Add()([x, layers.Conv2D(x.shape[-1], 3, padding="same")(x)])
    x = (layers.GlobalMaxPooling2D if network["pool"] else layers.Flatten)()(x)
    if network["hidden"]:
        x = layers.Dense(network["hidden"], activation="relu")(x)
    return randomized(keras.Model(inputs, layers.Dense(3)(x)))


def convolution(x, **arguments):
    """A convolution of the drawn arguments, as far as they go together."""
    if arguments["dilation_rate"] != 1:
        arguments["strides"] = 1
    # A valid one may not fit what is left of the image.
    if min(x.shape[1:3]) < 6:
        arguments["padding"] = "same"
    return layers.Conv2D(**arguments)(x)


def randomized(model):
    """The model with biases and statistics that are not those of a fresh one."""
    rng = np.random.default_rng(3)
    for weight in model.weights:
        if weight.ndim == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def images(model, count=4):
    """Inputs for a model of one input, seeded noise."""
    shape = (count, *model.inputs[0].shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def outputs(model, inputs):
    """All outputs as a list of arrays."""
    return [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(model(inputs))]


def assert_same_outputs(actual, expected, inputs):
    """Equal to 1e-5 of the outputs' standard deviation."""
    pairs = zip(outputs(actual, inputs), outputs(expected, inputs), strict=True)
    for one, other in pairs:
        # Outputs that hardly differ carry the rounding error of their magnitude.
        unit = max(other.std(), 0.1 * np.abs(other).max(), 1e-6)
        assert np.abs(one - other).max() <= 1e-5 * unit

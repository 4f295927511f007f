"""Sizes of operations and layers to time: half to fit constants, half to test them."""

import math
import random

import keras

from keras_dprp.operations import Operation

KERNELS = [(1, 1), (3, 1), (1, 3), (3, 3), (3, 1), (1, 3), (5, 5)]
IMAGES = [4, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 56]
# Files of larger ones take long to write, and tell no more.
MOST_MACS, MOST_PARAMETERS = 30e6, 150_000
COPIES = 8  # To call LiteRT at all takes half a microsecond.
LAYERS = {
    "DepthwiseConv2D": lambda: keras.layers.DepthwiseConv2D(3, padding="same"),
    "Add": keras.layers.Add,
    "Multiply": keras.layers.Multiply,
    "MaxPooling2D": keras.layers.MaxPooling2D,
    "AveragePooling2D": lambda: keras.layers.AveragePooling2D(2),
    "GlobalAveragePooling2D": keras.layers.GlobalAveragePooling2D,
    "ZeroPadding2D": keras.layers.ZeroPadding2D,
    "UpSampling2D": keras.layers.UpSampling2D,
}
TWO_INPUTS = {"Add", "Multiply"}
LAYER_SHAPES = [(32, 32, 16), (16, 16, 32), (28, 28, 96), (56, 56, 24)]


def operations(seed, count=62):
    """Convolutions and products of random sizes, each once."""
    draw = random.Random(seed)
    found: dict = {}
    while len(found) < count:
        operation = _drawn(draw)
        if operation.macs < MOST_MACS and operation.parameters < MOST_PARAMETERS:
            found[operation] = None
    return list(found)


def _drawn(draw):
    """A convolution, or in one case of five a dense layer's product."""
    if draw.random() < 0.2:
        channels, filters = (round(2 ** draw.uniform(3, 10)) for _ in range(2))
        vectors = (draw.choice([1, 1, 1, 16, 50]),)
        return Operation(vectors, vectors, channels, filters)
    size = draw.choice(IMAGES)
    channels, filters = (round(2 ** draw.uniform(1, 8.5)) for _ in range(2))
    kernel, step = draw.choice(KERNELS), draw.choice([1, 1, 1, 2])
    strides = tuple(step if length > 1 else 1 for length in kernel)
    outputs = tuple(math.ceil(size / each) for each in strides)
    sizes = (size, size), outputs, channels, filters
    return Operation(*sizes, kernel, strides, (1, 1), "same")


def layer_model(kind, shape):
    """A model with copies of a layer, each with inputs of its own.

    Copies on one input would be merged into one.
    """
    inputs, outputs = [], []
    for _ in range(COPIES):
        own = [keras.Input(shape) for _ in range(1 + (kind in TWO_INPUTS))]
        inputs += own
        outputs.append(LAYERS[kind]()(own if len(own) > 1 else own[0]))
    return keras.Model(inputs, outputs)

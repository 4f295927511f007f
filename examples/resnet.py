"""The residual networks of the CIFAR-10 example."""

import functools

import keras
from keras import layers

# As an L2 term in the loss, which reaches the product of the factors, not s alone.
WEIGHT_DECAY = 5e-4
# Filters of each stage, and how many blocks it has.
STAGES = {
    "resnet8": ((16, 32, 64), 1),
    "resnet20": ((16, 32, 64), 3),
    "resnet32": ((16, 32, 64), 5),
    "resnet56": ((16, 32, 64), 9),
    "resnet18": ((64, 128, 256, 512), 2),
}


def build(model, shape, classes, images, weight_decay=WEIGHT_DECAY):
    """ResNet-8, -20, -32, -56 or -18 as for CIFAR-10, from raw pixels to logits.

    Pixels are standardised in the network by the statistics of the training images,
    so that a phone passes what its camera gives.
    """
    # Half the square, whose gradient is the kernel itself.
    regularizer = keras.regularizers.L2(weight_decay / 2)
    mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    inputs = keras.Input(shape, name="image")
    x = layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name="scale")(
        inputs
    )
    widths, blocks = STAGES[model]
    x = convolution(x, widths[0], 1, "stem", regularizer)
    x = layers.ReLU()(x)
    # The wide network projects its shortcuts, the narrow ones have none to train.
    projecting = functools.partial(projection, regularizer=regularizer)
    shortcut = projecting if model == "resnet18" else padding
    for stage, filters in enumerate(widths, start=1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}_block{block}"
            x = residual(x, filters, strides, shortcut, name, regularizer)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(classes, kernel_regularizer=regularizer, name="logits")(x)
    return keras.Model(inputs, outputs, name=model)


def residual(x, filters, strides, shortcut, name, regularizer):
    """Two convolutions, and a shortcut past them."""
    y = convolution(x, filters, strides, f"{name}_a", regularizer)
    y = layers.ReLU()(y)
    y = convolution(y, filters, 1, f"{name}_b", regularizer)
    if strides > 1:
        x = shortcut(x, filters, strides, f"{name}_shortcut")
    return layers.ReLU()(layers.Add()([x, y]))


def padding(x, filters, strides, name):
    """Every other pixel, and empty channels on both sides: nothing to train."""
    x = layers.AveragePooling2D(1, strides)(x)
    missing = filters - x.shape[-1]
    # Read as channels first, the last axis is one that can be padded.
    return layers.ZeroPadding2D(
        ((0, 0), (missing // 2, missing - missing // 2)), "channels_first", name=name
    )(x)


def projection(x, filters, strides, name, regularizer):
    """Every other pixel through a 1 x 1 convolution."""
    return convolution(x, filters, strides, name, regularizer, kernel_size=1)


def convolution(x, filters, strides, name, regularizer, kernel_size=3):
    """A convolution and its normalisation."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=regularizer,
        name=name,
    )(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)

"""The networks of the CIFAR-10 example: residual ones, and VGG-16."""

import functools

import keras
from keras import layers

# As an L2 term in the loss, which reaches the product of the factors, not s alone.
WEIGHT_DECAY = 5e-4
# Filters of the first stage, and how many blocks (of VGG: convolutions) each stage has.
NETWORKS = {
    "resnet8": (16, (1, 1, 1)),
    "resnet20": (16, (3, 3, 3)),
    "resnet32": (16, (5, 5, 5)),
    "resnet56": (16, (9, 9, 9)),
    "resnet18": (64, (2, 2, 2, 2)),
    "vgg16": (64, (2, 2, 3, 3, 3)),
}


def build(model, shape, classes, images, weight_decay=WEIGHT_DECAY, width=None):
    """A network as it is known for CIFAR-10, from raw pixels to logits.

    Pixels are standardised in the network by the statistics of the training images,
    so that a phone passes what its camera gives.

    Args:
        model: A name in `NETWORKS`.
        shape: Tuple of height, width and channels of an image.
        classes: Int.
        images: Array of training images, for their mean and standard deviation.
        weight_decay: Float.
        width: Int, the filters of the first stage; the others follow in proportion.
            Defaults to the network's own.
    """
    # Half the square, whose gradient is the kernel itself.
    regularizer = keras.regularizers.L2(weight_decay / 2)
    mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    own_width, blocks = NETWORKS[model]
    width = width or own_width
    inputs = keras.Input(shape, name="image")
    x = layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name="scale")(
        inputs
    )
    # Outside the stages: its kernel is small, and all that follows sees through it.
    x = layers.ReLU()(convolution(x, width, 1, "stem", regularizer))
    if model == "vgg16":
        x = plain_stages(x, width, blocks, regularizer)
    else:
        # The wide network projects its shortcuts, the narrow ones have none to train.
        projecting = functools.partial(projection, regularizer=regularizer)
        shortcut = projecting if model == "resnet18" else padding
        x = residual_stages(x, width, blocks, shortcut, regularizer)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(classes, kernel_regularizer=regularizer, name="logits")(x)
    return keras.Model(inputs, outputs, name=model)


def residual_stages(x, width, blocks, shortcut, regularizer):
    """Every stage after the first has half the pixels and twice the filters."""
    for stage, count in enumerate(blocks, start=1):
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}_block{block}"
            filters = width * 2 ** (stage - 1)
            x = residual(x, filters, strides, shortcut, name, regularizer)
    return x


def plain_stages(x, width, convolutions, regularizer):
    """VGG's stages, each ending with a pooling; the filters stop at eight times."""
    for stage, count in enumerate(convolutions, start=1):
        filters = width * min(2 ** (stage - 1), 8)
        # The stem is the first one of the first stage.
        for number in range(2 if stage == 1 else 1, count + 1):
            name = f"stage{stage}_conv{number}"
            x = layers.ReLU()(convolution(x, filters, 1, name, regularizer))
        x = layers.MaxPooling2D(padding="same")(x)
    return x


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

"""Keras's own architectures, with random weights that let their outputs vary."""

import keras
import numpy as np

import keras_dprp as dprp

# Logits tell more than the probabilities of a softmax that is all but sure.
WITH_TOP = {"classes": 10, "classifier_activation": None}
# The SVD of a VGG's dense layer of 4096 x 4096 takes minutes.
WITHOUT_TOP = {"include_top": False, "pooling": "avg"}
# Sides of the images, which are as small as is sensible, and the other arguments.
MODELS = {
    "ConvNeXtTiny": (64, WITH_TOP),
    "DenseNet121": (64, WITH_TOP),
    "EfficientNetB0": (64, WITH_TOP),
    "EfficientNetV2B0": (64, WITH_TOP),
    "InceptionResNetV2": (96, WITH_TOP),
    "InceptionV3": (96, WITH_TOP),
    "MobileNet": (96, WITH_TOP),
    "MobileNetV2": (96, WITH_TOP),
    "MobileNetV3Large": (96, WITH_TOP),
    "MobileNetV3Small": (96, WITH_TOP),
    "NASNetMobile": (64, WITH_TOP),
    "ResNet50": (64, WITH_TOP),
    "ResNet50V2": (64, WITH_TOP),
    "VGG16": (64, WITHOUT_TOP),
    "VGG19": (64, WITHOUT_TOP),
    "Xception": (96, WITH_TOP),
}
INT8_MODELS = ("EfficientNetB0", "MobileNetV2", "MobileNetV3Small")


def build(name):
    """A model of the zoo; nothing is downloaded."""
    side, arguments = MODELS[name]
    constructor = getattr(keras.applications, name)
    model = constructor(weights=None, input_shape=(side, side, 3), **arguments)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        if variable.name == "gamma":
            # A ConvNeXt is born with 1e-6, which hides all that its blocks compute.
            variable.assign(rng.uniform(0.5, 1.5, shape))
        elif len(shape) == 1:
            deviation = 1.0 if variable.name == "beta" else 0.1
            variable.assign(rng.normal(0, deviation, shape))
        else:
            # Through the ReLUs of a VGG, Keras's default would fade.
            deviation = np.sqrt(2 / np.prod(shape[:-1]))
            variable.assign(rng.normal(0, deviation, shape))
    settle(model)
    return model


def settle(model):
    """Give batch normalizations the statistics that training would have left.

    With those they are born with, signals die or explode over a hundred layers.
    """
    normalizations = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images(model, 32, seed=1), training=True)
    for layer, momentum in zip(normalizations, momenta, strict=True):
        layer.momentum = momentum


def prune(model, target):
    """Lower the ranks of a factorised model as one event of a training would."""
    dprp.prune(model, target=target, metric="parameters")
    settle(model)


def images(model, count, seed):
    """Centred pixels of coarse patterns: unlike noise, no two images look alike."""
    height, width, channels = model.input_shape[1:]
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-128, 127, (count, 4, 4, channels))
    return np.kron(coarse, np.ones((1, height // 4, width // 4, 1))).astype("float32")


def outputs_of(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))

"""What a .tflite file has nothing for: what only training needs, and what is merged."""

import keras

from keras_dprp.kernels import WITH_KERNEL
from keras_dprp.layers.distillation import Distillation

LEFT_OUT = (
    keras.layers.InputLayer,
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
    Distillation,
)
# Activations that an operation has as an option, so that they are none themselves.
FUSED = ("relu", "relu6")


def activation_of(layer):
    """The name of a layer's own activation, "linear" if it has none."""
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def is_merged_activation(layer):
    """Whether it is an activation that vanishes in the operation before."""
    is_activation = isinstance(layer, keras.layers.Activation)
    return isinstance(layer, keras.layers.ReLU) or (
        is_activation and activation_of(layer) in FUSED
    )


def kernels_before(call):
    """The layers into whose kernels a normalization is merged; none, if it stays.

    It is merged into a kernel before it, not over an activation, and not into a kernel
    that comes after.
    """
    is_mergeable = [
        isinstance(source, WITH_KERNEL) and activation_of(source) == "linear"
        for source in call.sources
    ]
    return call.sources if is_mergeable and all(is_mergeable) else ()

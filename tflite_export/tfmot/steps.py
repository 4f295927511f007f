"""A model as both processes know it: calls of stock layers, one after the other."""

from dataclasses import dataclass

# Stands in `Step.inputs` for the model's input.
INPUT = -1

# Layers that go both ways, and the arguments that go with them.
_CONV = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias")
_POOL = ("pool_size", "strides", "padding")
KINDS: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": _POOL,
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "Concatenate": ("axis",),
    "Conv2D": ("filters", "groups", *_CONV),
    "Dense": ("units", "use_bias"),
    "DepthwiseConv2D": ("depth_multiplier", *_CONV),
    "Dropout": ("rate", "noise_shape"),
    "ELU": ("alpha",),
    "Flatten": (),
    "GlobalAveragePooling2D": ("keepdims",),
    "GlobalMaxPooling2D": ("keepdims",),
    "LeakyReLU": ("negative_slope",),
    "MaxPooling2D": _POOL,
    "Multiply": (),
    "Permute": ("dims",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "Softmax": ("axis",),
    "SpatialDropout2D": ("rate",),
    # The one that also works channels first: it can pad channels.
    "ZeroPadding2D": ("padding", "data_format"),
}

# An activation is a step of its own, whether it was a layer or an argument of one.
ACTIVATIONS: dict[str, tuple[str, dict]] = {
    "elu": ("ELU", {"alpha": 1.0}),
    "gelu": ("Activation", {"activation": "gelu"}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),
    "relu": ("ReLU", {"max_value": None}),
    "relu6": ("ReLU", {"max_value": 6.0}),
    "selu": ("Activation", {"activation": "selu"}),
    "sigmoid": ("Activation", {"activation": "sigmoid"}),
    "silu": ("Activation", {"activation": "swish"}),
    "softmax": ("Softmax", {"axis": -1}),
    "tanh": ("Activation", {"activation": "tanh"}),
}


@dataclass(frozen=True)
class Step:
    """One call of one layer.

    Attributes:
        name: The layer's name; steps of one name share a layer, and its weights.
        kind: Name of its class, in both Keras 3 and tf_keras.
        arguments: Of its constructor; JSON can hold them.
        inputs: Positions of the steps whose outputs it takes, or `INPUT`.
        shape: Of its output, without the batch; None for sizes that are open.
        trainable: Whether training may change its weights.
    """

    name: str
    kind: str
    arguments: dict
    inputs: tuple[int, ...]
    shape: tuple
    trainable: bool = True


def kernels(steps):
    """Names of the layers whose kernels are pruned and clustered, each once.

    Depthwise kernels are not: they are small, and lose much.
    """
    return list(
        dict.fromkeys(
            step.name
            for step in steps
            if step.kind in ("Conv2D", "Dense") and step.trainable
        )
    )

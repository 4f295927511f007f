"""Separable convolutions as what they are: a depthwise and a pointwise convolution.

Nearly all that one computes is in its pointwise half, which is a convolution of size 1
and can be factorised as any other.
"""

import keras

from keras_dprp.copies import copy_all_but_kernel, copy_variable, twin_config

HALVES = {
    keras.layers.SeparableConv1D: (
        keras.layers.DepthwiseConv1D,
        keras.layers.Conv1D,
    ),
    keras.layers.SeparableConv2D: (
        keras.layers.DepthwiseConv2D,
        keras.layers.Conv2D,
    ),
}
_OF_FIRST = (
    "kernel_size",
    "strides",
    "padding",
    "depth_multiplier",
    "dilation_rate",
    "depthwise_initializer",
    "depthwise_regularizer",
    "depthwise_constraint",
)
_OF_BOTH = ("data_format",)
_OF_LAST = (
    "filters",
    "activation",
    "use_bias",
    "bias_initializer",
    "bias_regularizer",
    "activity_regularizer",
    "bias_constraint",
)


def split(layer, first_name="depthwise"):
    """Two built layers that do what a separable convolution does, with its weights.

    Args:
        layer: A built `SeparableConv1D` or `SeparableConv2D`.
        first_name: What the depthwise convolution is called; the pointwise one, which
            has bias and activation, has the name of the layer.
    """
    depthwise_class, pointwise_class = HALVES[type(layer)]
    config = twin_config(layer, (*_OF_FIRST, *_OF_BOTH))
    depthwise = depthwise_class(**config | {"name": first_name}, use_bias=False)
    pointwise = pointwise_class(
        kernel_size=1,
        kernel_initializer=layer.pointwise_initializer,
        kernel_regularizer=layer.pointwise_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        **twin_config(layer, (*_OF_BOTH, *_OF_LAST)),
    )
    shape = layer.get_build_config()["input_shape"]
    depthwise.build(shape)
    pointwise.build(depthwise.compute_output_shape(shape))
    copy_variable(layer.depthwise_kernel, depthwise.kernel)
    copy_variable(layer.pointwise_kernel, pointwise.kernel)
    copy_all_but_kernel(layer, pointwise)
    return depthwise, pointwise

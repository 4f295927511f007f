"""What stock Keras layers compute: a call of one as operations, by their sizes."""

import math

import keras

from keras_dprp.attention import input_shapes, projections
from keras_dprp.graph import UNKNOWN_SIZE
from keras_dprp.kernels import ATTENTION, DEPTHWISE, RECURRENT, SEPARABLE, WITH_KERNEL
from keras_dprp.layers.equation import Equation
from keras_dprp.operations import Operation

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def stock_operations(call):
    """The operations of one call of a stock layer with kernels.

    Args:
        call: A `keras_dprp.graph.Call`.

    Returns:
        A list of `Operation`, empty for layers of other kinds. Strides and the like,
        on which no cost depends, are left out.
    """
    layer = call.layer
    if isinstance(layer, RECURRENT):
        steps = call.input_shape[1:2]
        kernels = layer.cell.kernel, layer.cell.recurrent_kernel
        return [Operation(steps, steps, *kernel.shape) for kernel in kernels]
    if isinstance(layer, ATTENTION):
        return _projections(layer)
    if not isinstance(layer, WITH_KERNEL):
        return []
    if isinstance(layer, keras.layers.Dense):
        channels, filters = layer.kernel.shape
        return [_products(call.output_shape, channels, filters)]
    if isinstance(layer, keras.layers.EinsumDense):
        if Equation.of(layer.equation).is_product:
            # The layer may leave sizes of its outputs open that the inputs have.
            return [_projection(layer, call.input_shape)]
        return [_products(call.output_shape, *_einsum_sizes(layer))]
    inputs = _size(layer, call.input_shape)
    # A transposed convolution uses its kernel at every position of its input.
    outputs = (
        inputs if isinstance(layer, _TRANSPOSED) else _size(layer, call.output_shape)
    )
    return _convolutions(layer, inputs, outputs)


def _projections(layer):
    shapes = input_shapes(layer)
    return [_projection(x, shapes[name]) for name, x in projections(layer).items()]


def _projection(layer, shape):
    sizes = [UNKNOWN_SIZE if size is None else size for size in shape[1:]]
    channels, filters = _einsum_sizes(layer)
    vectors = (math.prod(sizes) // channels,)
    return Operation(vectors, vectors, channels, filters)


def _products(shape, channels, filters):
    vectors = (math.prod(shape[1:]) // filters,)
    return Operation(vectors, vectors, channels, filters)


def _einsum_sizes(layer):
    """Channels and filters of the matrix that a kernel of any axes stands for."""
    equation = Equation.of(layer.equation)
    sizes = dict(zip(equation.kernel, layer.kernel.shape, strict=True))
    channels = math.prod(sizes[axis] for axis in equation.rows)
    return channels, math.prod(sizes.values()) // channels


def _convolutions(layer, inputs, outputs):
    if isinstance(layer, DEPTHWISE):
        return [_depthwise(layer.kernel, inputs, outputs)]
    if isinstance(layer, SEPARABLE):
        *kernel, channels, filters = layer.pointwise_kernel.shape
        second = Operation(outputs, outputs, channels, filters, tuple(kernel))
        return [_depthwise(layer.depthwise_kernel, inputs, outputs), second]
    *kernel, channels, filters = layer.kernel.shape
    if isinstance(layer, _TRANSPOSED):
        sizes = inputs, outputs, filters, channels, tuple(kernel)
        return [Operation(*sizes)]
    sizes = inputs, outputs, channels * layer.groups, filters, tuple(kernel)
    return [Operation(*sizes, groups=layer.groups)]


def _depthwise(weights, inputs, outputs):
    """Every channel is a group of its own."""
    *kernel, channels, multiplier = weights.shape
    sizes = inputs, outputs, channels, channels * multiplier, tuple(kernel)
    return Operation(*sizes, groups=channels)


def _size(layer, shape):
    """A shape without its batch and channels."""
    return shape[2:] if layer.data_format == "channels_first" else shape[1:-1]

"""Steps in, a model of tf_keras out that rounds like an int8 file."""

import numpy as np
import tf_keras

from tflite_export.tfmot.legacy.plan import is_affine, rounds_output
from tflite_export.tfmot.legacy.quantizers import (
    KeepZeros,
    RoundedLayer,
    Rounding,
    kernel_rounding,
    output_rounding,
)
from tflite_export.tfmot.legacy.replay import make_layer
from tflite_export.tfmot.steps import INPUT

layers = tf_keras.layers


def rounded(steps, weights, shape):
    """Build the model that steps, those of one name without weights, describe."""
    inputs = tf_keras.Input(shape)
    entry = Rounding(output=output_rounding(is_input=True))
    tensors = {INPUT: RoundedLayer(layers.Activation("linear"), entry)(inputs)}
    for position, step in enumerate(steps):
        x = [tensors[source] for source in step.inputs]
        call = _affine if is_affine(steps, position) else _call
        tensors[position] = call(
            step,
            x if len(x) > 1 else x[0],
            weights.get(step.name, []),
            output_rounding() if rounds_output(steps, position) else None,
            f"step{position}",
        )
    return tf_keras.Model(inputs, tensors[len(steps) - 1])


def _call(step, x, arrays, output, name):
    """The layer of a step called, with rounding where the file has it."""
    if step.arguments.get("activation") == "swish":
        # The file has two operations, and rounds between them.
        gate = layers.Activation("sigmoid", name=f"{name}_gate")(x)
        layer = layers.Multiply(name=name)
        return RoundedLayer(layer, Rounding(output=output))([x, gate])
    constraints = {}
    kernel, quantizer = kernel_rounding(step.kind)
    if kernel is not None and (arrays[0] == 0).any():
        constraints[f"{kernel}_constraint"] = KeepZeros(arrays[0])
    layer = make_layer(step, name, **constraints)
    return _wrapped(layer, arrays, Rounding(kernel, quantizer, output), x)


def _affine(step, x, arrays, output, name):
    """A step that scales and shifts channels, as a convolution of one pixel.

    LiteRT has it in int8 as one operation, with a scale for each channel.
    """
    channels = step.shape[-1]
    scale, offset = _scale_and_offset(step, arrays)
    layer = layers.DepthwiseConv2D(1, name=name)
    # Preprocessing is no parameter; a normalisation's statistics are those it had.
    layer.trainable = step.trainable and step.kind == "BatchNormalization"
    flat = len(step.shape) == 1
    if flat:
        x = layers.Reshape((1, 1, channels), name=f"{name}_pixel")(x)
    arrays = [
        np.broadcast_to(scale, channels).reshape(1, 1, channels, 1),
        np.broadcast_to(offset, channels),
    ]
    kernel, quantizer = kernel_rounding("DepthwiseConv2D")
    rounding = Rounding(kernel, quantizer, output)
    x = _wrapped(layer, arrays, rounding, x)
    return layers.Reshape((channels,), name=f"{name}_vector")(x) if flat else x


def _wrapped(layer, arrays, rounding, x):
    """A layer of known weights called in tfmot's wrapper."""
    if arrays:
        # Before the wrapper puts rounded tensors in place of the variables.
        layer.build(x.shape)
        layer.set_weights(arrays)
    return RoundedLayer(layer, rounding)(x)


def _scale_and_offset(step, arrays):
    """What a step multiplies by and adds, as arrays."""
    if step.kind == "Rescaling":
        return tuple(np.ravel(step.arguments[key]) for key in ("scale", "offset"))
    arrays = list(arrays)
    gamma = arrays.pop(0) if step.arguments["scale"] else 1.0
    beta = arrays.pop(0) if step.arguments["center"] else 0.0
    mean, variance = arrays
    scale = gamma / np.sqrt(variance + step.arguments["epsilon"])
    return scale, beta - mean * scale

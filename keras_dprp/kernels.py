"""Which layers of a model have a kernel, and which of them can be factorised."""

import keras
import numpy as np
from keras import ops

from keras_dprp.graph import graph_layers, is_graph, tensors_in, walk
from keras_dprp.layers import (
    SVDConv1D,
    SVDConv1DTranspose,
    SVDConv2D,
    SVDConv2DTranspose,
    SVDConv3D,
    SVDDense,
    SVDEinsumDense,
    SVDLayer,
)
from keras_dprp.separable import HALVES, split

TWINS: dict[type, type[SVDLayer]] = {
    twin.stock_class: twin
    for twin in (
        SVDConv1D,
        SVDConv1DTranspose,
        SVDConv2D,
        SVDConv2DTranspose,
        SVDConv3D,
        SVDDense,
        SVDEinsumDense,
    )
}
WITH_KERNEL = (
    SVDLayer,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
    keras.layers.EinsumDense,
)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
# Their kernels are in a cell.
RECURRENT = (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU)
# Their kernels are in projections.
ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)


def reason_left(layer, mode="spatial"):
    """Why `factorize` cannot replace a built layer; None if it can."""
    if isinstance(layer, SVDLayer):
        return "it is factorised already"
    if type(layer) in HALVES:
        return reason_left(split(layer)[1], mode)
    if type(layer) not in TWINS:
        return f"there is no factorised form of {type(layer).__name__}"
    if reason := TWINS[type(layer)].reason_left(layer):
        return reason
    if layer.kernel_constraint is not None:
        return "a kernel constraint cannot act on a product"
    if getattr(layer, "lora_enabled", False) or getattr(
        layer, "quantization_mode", None
    ):
        return "it is quantized or has LoRA enabled"
    if not np.isfinite(ops.convert_to_numpy(layer.kernel)).all():
        return "its kernel is not finite"
    if not cheaper_matrices(layer, mode):
        return "even rank 1 costs no less than dense"
    return None


def cheaper_matrices(layer, mode):
    """A `KernelMatrix` for every way a mode allows in which rank 1 saves MACs.

    The layer is a built stock one that has a factorised twin.
    """
    shape = input_shape_of(layer)
    matrices = TWINS[type(layer)].matrices(layer, shape, mode)
    return [each for each in matrices if each.pair_share(shape, 1) < 1]


def input_shape_of(layer):
    """The shape of inputs that a layer was built for."""
    return layer.get_build_config()["input_shape"]


def output_layers(model):
    """The layers with a kernel that give the outputs of a functional or built model.

    Nothing with a kernel comes after them: what they lose, no other layer makes good.
    """
    behind: dict[keras.KerasTensor, set] = {}

    def layers_behind(tensors):
        return set().union(*(behind.get(x, ()) for x in tensors_in(tensors)))

    def visit(stand_in, *args, **kwargs):
        operation = stand_in.operation
        outputs = stand_in(*args, **kwargs)
        if isinstance(operation, (*WITH_KERNEL, *RECURRENT, *ATTENTION)):
            layers = {operation}
        elif is_graph(operation):
            layers = set(output_layers(operation))
        else:
            layers = layers_behind([args, kwargs])
        behind.update(dict.fromkeys(tensors_in(outputs), layers))
        return outputs

    _, outputs = walk(model, visit)
    found = layers_behind(outputs)
    return [layer for layer in graph_layers(model) if layer in found]

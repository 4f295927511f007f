"""The size of a .tflite file, told from a network's layers before there is a file.

A file has the numbers and tables that say what they are: of every tensor, with its name
and its quantization, and of every operation. What a table takes was fitted to files
that `tflite_export.export` has written. Of normalizations and activations that LiteRT
merges into the operation before, the names stay.
"""

import math
from dataclasses import dataclass

import keras

from keras_dprp.kernels import WITH_KERNEL
from keras_dprp.layers.distillation import Distillation

BYTES = "bytes"
# Each buffer begins at a multiple of it.
_ALIGNMENT = 16
# What a file has in any case, the table of a tensor, and that of an operation.
_FILE, _TENSOR, _OPERATION = 860, 80, 40
# The table of an operation that makes float32 of a constant.
_RESTORING = 15
# A scale and a zero point, and the table of those of all filters.
_SCALE, _SCALES = 12, 16
# Of the name of a tensor, beside those of the model and of the layer.
_NAME = 18
# How often a convolution with a bias of its own is named more than without.
_BIAS_NAMES = 4
# A few numbers, as of axes or of a shape.
_FEW = 16

_LEFT_OUT = (
    keras.layers.InputLayer,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
    Distillation,
)
_WITH_FEW_NUMBERS = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.Flatten,
    keras.layers.Reshape,
)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_MERGED = ("relu", "relu6")


@dataclass(frozen=True)
class FileKind:
    """What files of a quantization store.

    Attributes:
        weight, bias: Bytes of a number.
        weight_scales, bias_scales: Whether each filter has a scale.
        tensor: Bytes of a tensor's table.
        restored: Whether an operation makes float32 of each constant.
        converted: Whether inputs are quantized, and outputs made float32 again.
    """

    weight: int
    bias: int
    weight_scales: bool
    bias_scales: bool
    tensor: int
    restored: bool = False
    converted: bool = False


KINDS = {
    None: FileKind(4, 4, False, False, _TENSOR),
    "float16": FileKind(2, 2, False, False, _TENSOR, restored=True),
    "dynamic": FileKind(1, 4, True, False, _TENSOR),
    "int8": FileKind(1, 4, True, True, _TENSOR + 23, converted=True),
}


class FileSize:
    """How many bytes the parts of a network take in a file.

    Args:
        model_name: Of the network: nearly every tensor has it in its name.
        quantization: A key of `KINDS`.
    """

    def __init__(self, model_name, quantization):
        self.quantization = quantization
        self._model_name, self._kind = model_name, KINDS[quantization]

    def factorised(self, layer, operations):
        """Bytes of a factorised layer, dense or as a pair.

        Args:
            layer: An `SVDLayer`.
            operations: A list of the `Operation`s of one call.
        """
        total = self._own_activation(layer)
        for number, operation in enumerate(operations, start=1):
            total += self._operation(layer)
            total += self._kernel(layer, operation.parameters, operation.filters)
            is_last = number == len(operations)
            is_convolution = bool(operation.kernel)
            total += self._bias_after(layer, operation.filters, is_last, is_convolution)
        return total

    def shared(self, operations):
        """Bytes that `factorised` counts too often: zeros of a size are stored once.

        Args:
            operations: Dict from each factorised layer to its `Operation`s.
        """
        total, seen = 0, set()
        for layer, (first, *second) in operations.items():
            if not second or not first.kernel:
                continue
            if first.filters in seen:
                # With scales there are tensors that share their numbers.
                total += (
                    _aligned(first.filters * self._kind.bias)
                    if self._kind.bias_scales
                    else self._bias(layer, first.filters)
                )
            seen.add(first.filters)
        return total

    def rest(self, variables, calls):
        """Bytes of all that is not factorised.

        Args:
            variables: Dict from each layer to a list of its own variables that stay.
            calls: A list of the `Call`s of all layers.
        """
        total, left = _FILE, dict(variables)
        if self._kind.converted:
            total += 2 * (_OPERATION + self._kind.tensor + _NAME)
        for call in calls:
            layer = call.layer
            own = left.pop(layer, [])
            if isinstance(layer, _LEFT_OUT):
                continue
            if isinstance(layer, keras.layers.BatchNormalization):
                total += self._normalization(call)
            elif _is_merged(layer):
                total += self._merged_names(layer, call.sources)
            else:
                total += self._operation(layer) + self._constants(layer, own)
        # Of what is inside other layers, and of a subclassed model, no call is known.
        for layer, own in left.items():
            if own:
                total += self._operation(layer) + self._constants(layer, own)
        return total

    def _constants(self, layer, variables):
        """Bytes of what an operation has besides its input."""
        if isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)):
            return 2 * self._constant(layer, _FEW) + self._operation(layer)
        if isinstance(layer, _WITH_FEW_NUMBERS):
            return self._table(layer) + _FEW
        shapes = [tuple(variable.shape) for variable in variables]
        kernels = [shape for shape in shapes if len(shape) > 1]
        total = self._own_activation(layer)
        if not isinstance(layer, WITH_KERNEL):
            vectors = [shape for shape in shapes if len(shape) < 2]
            total += sum(self._bias(layer, math.prod(shape)) for shape in vectors)
        for number, shape in enumerate(kernels, start=1):
            is_last = number == len(kernels)
            # The first of two is the depthwise one of a separable convolution.
            each_channel = isinstance(layer, _DEPTHWISE) or not is_last
            filters = math.prod(shape[-2:]) if each_channel else shape[-1]
            total += self._kernel(layer, math.prod(shape), filters)
            total += 0 if is_last else self._operation(layer)
            if isinstance(layer, WITH_KERNEL):
                total += self._bias_after(layer, filters, is_last, len(shape) > 2)
        return total

    def _bias_after(self, layer, filters, is_last, is_convolution):
        """Bytes of an operation's bias: of zeros where a convolution has none."""
        if layer.bias is None or not is_last:
            return self._bias(layer, filters) if is_convolution else 0
        names = _BIAS_NAMES if is_convolution else 0
        return self._bias(layer, filters) + names * self._name(layer)

    def _normalization(self, call):
        """One after a kernel is merged into it; another is a product and a sum."""
        layer, sources = call.layer, call.sources
        kernels = [source for source in sources if isinstance(source, WITH_KERNEL)]
        if kernels:
            # It multiplies a bias, too.
            mentions = 2 if kernels[0].bias is None else 4
            return mentions * self._merged_names(layer, sources)
        # Activations, all integers where a bias has scales.
        width = self._kind.weight if self._kind.bias_scales else self._kind.bias
        stored = self._constant(layer, layer.moving_mean.shape[0] * width)
        return 2 * (self._operation(layer) + stored)

    def _merged_names(self, layer, sources):
        """Bytes of a layer's name, in those of a bias and of what is computed."""
        with_bias = (*WITH_KERNEL, keras.layers.BatchNormalization)
        constants = sum(isinstance(source, with_bias) for source in sources)
        if any(isinstance(source, _DEPTHWISE) for source in sources):
            constants += 3
        copies = 2 if self._kind.restored else 1
        return (1 + copies * constants) * self._name(layer)

    def _own_activation(self, layer):
        name = getattr(getattr(layer, "activation", None), "__name__", "linear")
        if name == "linear":
            return 0
        return 2 * self._name(layer) if name in _MERGED else self._operation(layer)

    def _kernel(self, layer, numbers, filters):
        scales = filters * _SCALE + _SCALES if self._kind.weight_scales else 0
        return self._constant(layer, numbers * self._kind.weight) + scales

    def _bias(self, layer, numbers):
        scales = numbers * _SCALE if self._kind.bias_scales else 0
        return self._constant(layer, numbers * self._kind.bias) + scales

    def _constant(self, layer, size):
        """A tensor that is stored, of a size in bytes."""
        total = _aligned(size) + self._table(layer)
        return total + self._kind.restored * (_RESTORING + self._table(layer))

    def _operation(self, layer):
        """An operation, and the tensor that it computes."""
        return _OPERATION + self._table(layer)

    def _table(self, layer):
        return self._kind.tensor + self._name(layer)

    def _name(self, layer):
        return _NAME + len(self._model_name) + len(layer.name)


def _is_merged(layer):
    """Whether it is an activation that vanishes in the operation before."""
    activation = getattr(layer, "activation", None)
    is_activation = isinstance(layer, keras.layers.Activation)
    named = getattr(activation, "__name__", "") in _MERGED
    return isinstance(layer, keras.layers.ReLU) or (is_activation and named)


def _aligned(size):
    return -(-size // _ALIGNMENT) * _ALIGNMENT

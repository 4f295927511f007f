"""The size of a .tflite file, told from a network's layers before there is a file.

A file has the numbers and tables that say what they are: of every tensor, with its name
and its quantization, and of every operation. Of normalizations and activations that
LiteRT merges into the operation before, the names stay.
"""

import math

import keras

from keras_dprp.file_parts import FileParts, aligned
from keras_dprp.kernels import DEPTHWISE, SEPARABLE, WITH_KERNEL
from keras_dprp.layers import SVDLayer
from keras_dprp.merging import (
    FUSED,
    LEFT_OUT,
    activation_of,
    is_merged_activation,
    kernels_before,
)

BYTES = "bytes"
# What a file has in any case.
_FILE = 860

_WITH_FEW_NUMBERS = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.Flatten,
    keras.layers.Reshape,
)
# Of layers that become several operations: how many more than one, and how many
# constants of a few numbers they share.
_SEVERAL: dict[type, tuple[int, int]] = {
    keras.layers.Embedding: (3, 2),
    keras.layers.GRU: (31, 20),
    keras.layers.LSTM: (30, 16),
    keras.layers.SimpleRNN: (20, 12),
    keras.layers.LayerNormalization: (10, 3),
    keras.layers.UpSampling2D: (4, 5),
}
_AFFINE = (keras.layers.Rescaling, keras.layers.Normalization)
_PRODUCTS = (keras.layers.Dense, keras.layers.EinsumDense)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose)
# In a file they are convolutions of images.
_SEQUENTIAL = (
    keras.layers.Conv1D,
    keras.layers.DepthwiseConv1D,
    keras.layers.SeparableConv1D,
)


class FileSize:
    """How many bytes the parts of a network take in a file.

    Args:
        model: The network.
        quantization: A key of `file_parts.KINDS`.
    """

    def __init__(self, model, quantization):
        self.quantization = quantization
        self._parts = FileParts(model, quantization)

    def factorised(self, layer, operations, calls):
        """Bytes of a factorised layer, dense or as a pair.

        Args:
            layer: An `SVDLayer`.
            operations: A list of the `Operation`s of one call.
            calls: Int: how many calls of it there are.
        """
        parts, total = self._parts, calls * self._own_activation(layer)
        for number, operation in enumerate(operations, start=1):
            has_bias = layer.bias is not None and number == len(operations)
            axes = len(operation.kernel)
            total += calls * parts.operation(layer)
            total += self._kernel(layer, operation.parameters, operation.filters, axes)
            positions = math.prod(operation.outputs)
            bias = self._bias_after(layer, operation.filters, has_bias, axes, positions)
            # The inputs of each call have a scale, and with it those of a bias.
            total += bias * (calls if parts.kind.bias_scales else 1)
        return total

    def shared(self, operations):
        """Bytes that `factorised` counts too often: zeros of a size are stored once.

        Args:
            operations: Dict from each factorised layer to its `Operation`s.
        """
        parts, total, seen = self._parts, 0, set()
        for layer, (first, *second) in operations.items():
            if not second or not first.kernel:
                continue
            if first.filters in seen:
                # With scales there are tensors that share their numbers.
                total += (
                    aligned(first.filters * parts.kind.bias)
                    if parts.kind.bias_scales
                    else parts.bias(layer, first.filters)
                )
            seen.add(first.filters)
        return total

    def rest(self, variables, calls, functions):
        """Bytes of all that does not depend on ranks.

        Args:
            variables: Dict from each layer that is not factorised to a list of its own
                variables that stay.
            calls: A list of the `Call`s of all layers.
            functions: A list of the `keras.Operation`s that are no layers.
        """
        parts, total, left = self._parts, _FILE, dict(variables)
        if parts.kind.converted:
            total += 2 * parts.conversion()
        for call in calls:
            layer = call.layer
            own = left.pop(layer, [])
            total += self._around(call)
            if isinstance(layer, (*LEFT_OUT, SVDLayer)):
                continue
            if isinstance(layer, keras.layers.BatchNormalization):
                total += self._normalization(call)
            elif is_merged_activation(layer):
                total += self._merged_names(layer, call.sources)
            else:
                total += parts.operation(layer) + self._constants(layer, own)
        # Of what is inside other layers, and of a subclassed model, no call is known.
        for layer, own in left.items():
            if own:
                total += parts.operation(layer) + self._constants(layer, own)
        apart = [each for each in functions if type(each).__name__.lower() not in FUSED]
        return total + sum(map(parts.operation, apart))

    def _constants(self, layer, variables):
        """Bytes of what an operation has besides its input."""
        parts, total = self._parts, self._own_activation(layer)
        if isinstance(layer, _AFFINE):
            return 2 * parts.few_weights(layer) + parts.operation(layer)
        if isinstance(layer, keras.layers.PReLU):
            size = math.prod(layer.alpha.shape) * parts.kind.bias
            return parts.constant(layer, size) + parts.mentions(layer, 3, 3)
        more, few = _SEVERAL.get(type(layer), (0, 0))
        few += isinstance(layer, _WITH_FEW_NUMBERS)
        total += more * parts.operation(layer) + few * parts.few_numbers(layer)
        shapes = [tuple(variable.shape) for variable in variables]
        kernels = [shape for shape in shapes if len(shape) > 1]
        if not isinstance(layer, WITH_KERNEL):
            vectors = [shape for shape in shapes if len(shape) < 2]
            total += sum(parts.bias(layer, math.prod(shape)) for shape in vectors)
        for number, shape in enumerate(kernels, start=1):
            is_last = number == len(kernels)
            is_first = isinstance(layer, SEPARABLE) and not is_last
            each_channel = isinstance(layer, DEPTHWISE) or is_first
            filters = math.prod(shape[-2:]) if each_channel else shape[-1]
            axes = len(shape) - 2 if isinstance(layer, WITH_KERNEL) else 0
            total += self._kernel(layer, math.prod(shape), filters, axes)
            total += 0 if is_last else parts.operation(layer)
            if isinstance(layer, WITH_KERNEL):
                has_bias = layer.bias is not None and is_last
                total += self._bias_after(layer, filters, has_bias, axes)
        return total

    def _kernel(self, layer, numbers, filters, axes):
        """Bytes of a kernel."""
        parts = self._parts
        # Of the words that a dynamic file looks up it makes no integers either.
        is_dynamic = parts.kind.weight_scales and not parts.kind.converted
        if axes == 3 or (is_dynamic and isinstance(layer, keras.layers.Embedding)):
            return parts.float_kernel(layer, numbers)
        return parts.kernel(layer, numbers, filters)

    def _bias_after(self, layer, filters, has_bias, axes, positions=1):
        """Bytes of an operation's bias: of zeros where a convolution has none."""
        parts = self._parts
        if not has_bias:
            return parts.bias(layer, filters) if axes in (1, 2) else 0
        # Beside its own name a bias has that of the convolution, or of the product.
        names = 2 if axes or positions > 1 else 0
        total = parts.bias(layer, filters) + parts.mentions(layer, names, names)
        # It is a sum of integers after a convolution that is not one of integers.
        apart = axes == 3 and parts.kind.converted
        return total + 3 * parts.conversion() if apart else total

    def _normalization(self, call):
        """One after a kernel is merged into it; another is a product and a sum."""
        layer, kernels = call.layer, kernels_before(call)
        if kernels:
            # It multiplies a bias, too.
            mentions = 2 if kernels[0].bias is None else 4
            return mentions * self._merged_names(layer, call.sources)
        # Activations, all integers where a bias has scales.
        kind, parts = self._parts.kind, self._parts
        width = kind.weight if kind.bias_scales else kind.bias
        stored = parts.constant(layer, layer.moving_mean.shape[0] * width)
        return 2 * (parts.operation(layer) + stored)

    def _around(self, call):
        """Bytes of what gives a layer's tensors another shape, of one call."""
        layer, parts = call.layer, self._parts
        if _is(layer, _PRODUCTS):
            # The vectors of a sequence are one matrix.
            is_sequence = len(call.output_shape) > 2
            reshaped = parts.operation(layer) + parts.mentions(layer, 0, 2)
            return reshaped if is_sequence else 0
        if _is(layer, _TRANSPOSED):
            return parts.few_numbers(layer)
        if not _is(layer, _SEQUENTIAL):
            return 0
        total, reshaping = parts.mentions(layer, 2, 2), 2
        if layer.padding == "causal":
            total += parts.operation(layer) + parts.few_numbers(layer)
        elif any(_is(source, _SEQUENTIAL) for source in call.sources):
            reshaping = 0
        return total + reshaping * (parts.operation(layer) + parts.few_numbers(layer))

    def _merged_names(self, layer, sources):
        """Bytes of a layer's name, in those of a bias and of what is computed."""
        with_bias = (*WITH_KERNEL, keras.layers.BatchNormalization)
        constants = sum(isinstance(source, with_bias) for source in sources)
        if any(isinstance(source, DEPTHWISE) for source in sources):
            constants += 3
        return self._parts.mentions(layer, constants, 1)

    def _own_activation(self, layer):
        name = activation_of(layer)
        if name == "linear":
            return 0
        if name in FUSED:
            return self._parts.mentions(layer, 1, 1)
        return self._parts.operation(layer)


def _is(layer, kinds):
    """Whether a layer, factorised or not, is of some kinds of stock layers."""
    return issubclass(getattr(layer, "stock_class", type(layer)), kinds)

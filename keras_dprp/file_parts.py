"""What the parts of a .tflite file take: tensors, their names, and operations.

What a table takes was fitted to files that `tflite_export.export` has written.
"""

from dataclasses import dataclass

from keras_dprp.graph import is_graph

# Each buffer begins at a multiple of it.
_ALIGNMENT = 16
# The table of a tensor, and that of an operation.
_TENSOR, _OPERATION = 80, 40
# The table of an operation that makes float32 of a constant.
_RESTORING = 15
# A scale and a zero point, and the table of those of all filters.
_SCALE, _SCALES = 12, 16
# Of the name of a tensor, beside those of the model and of the layer.
_NAME = 18
# Between the names of a model and of one in it.
_SEPARATOR = 3
# A few numbers, as of axes or of a shape.
_FEW = 16
# A number of a kernel that is not quantized.
_FLOAT = 4


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
    tensor: int = _TENSOR
    restored: bool = False
    converted: bool = False


KINDS = {
    None: FileKind(4, 4, False, False),
    "float16": FileKind(2, 2, False, False, restored=True),
    "dynamic": FileKind(1, 4, True, False),
    "int8": FileKind(1, 4, True, True, _TENSOR + 23, converted=True),
}


class FileParts:
    """How many bytes the parts of a file take.

    Args:
        model: The network: nearly every tensor has its name, and those of nested ones.
        quantization: A key of `KINDS`.
    """

    def __init__(self, model, quantization):
        self.kind = KINDS[quantization]
        self._outermost, self._around = len(model.name), _lengths_around(model)

    def operation(self, layer):
        """An operation, and the tensor that it computes."""
        return _OPERATION + self._table(layer)

    def conversion(self):
        """An operation that quantizes a tensor, or makes it float32 again."""
        return _OPERATION + self.kind.tensor + _NAME

    def few_numbers(self, layer):
        """A tensor of axes, or of a shape."""
        return _FEW + self._table(layer)

    def few_weights(self, layer):
        """A tensor of a few weights."""
        return self.constant(layer, _FEW)

    def kernel(self, layer, numbers, filters):
        """A kernel, with a scale for each filter in files that have them."""
        scales = filters * _SCALE + _SCALES if self.kind.weight_scales else 0
        return self.constant(layer, numbers * self.kind.weight) + scales

    def float_kernel(self, layer, numbers):
        """A kernel that LiteRT can compute with in floating point only."""
        if self.kind.restored:
            return self.constant(layer, numbers * self.kind.weight)
        return self.constant(layer, numbers * _FLOAT)

    def bias(self, layer, numbers):
        """A bias, with a scale for each number in files that have them."""
        scales = numbers * _SCALE if self.kind.bias_scales else 0
        return self.constant(layer, numbers * self.kind.bias) + scales

    def constant(self, layer, size):
        """A tensor that is stored, of a size in bytes."""
        total = aligned(size) + self._table(layer)
        return total + self.kind.restored * (_RESTORING + self._table(layer))

    def mentions(self, layer, of_constants, of_results):
        """A layer's name, as often as others have it in the names of their tensors."""
        copies = 2 if self.kind.restored else 1
        return (copies * of_constants + of_results) * self._name(layer)

    def _table(self, layer):
        return self.kind.tensor + self._name(layer)

    def _name(self, layer):
        around = self._around.get(layer, self._outermost)
        return _NAME + around + len(layer.name)


def _lengths_around(model, length=0):
    """How long the names of the models around a layer are together, by layer."""
    length += len(model.name)
    found = {}
    for layer in model.layers:
        found[layer] = length
        if is_graph(layer):
            found |= _lengths_around(layer, length + _SEPARATOR)
    return found


def aligned(size):
    """Bytes of a buffer, up to where the next one can begin."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT

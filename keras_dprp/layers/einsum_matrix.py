"""The kernel of an einsum layer read as a matrix.

Of an equation such as "abc,cde->abde" the rows are the axes that are summed over (c),
and the columns those that are new (d and e). A pair has the equations "abc,cr->abr" and
"abr,rde->abde".
"""

import math
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_dprp.layers.equation import Equation
from keras_dprp.layers.kernel_matrix import KernelMatrix


@dataclass(frozen=True)
class EinsumMatrix(KernelMatrix):
    """How the kernel of an einsum layer is read as a matrix, and what it costs.

    Attributes:
        equation: An `Equation`.
        output_shape: That which the layer was constructed with.
    """

    equation: Any = None
    output_shape: tuple = ()

    @classmethod
    def of(cls, layer, input_shape):
        """That of a layer with the arguments of a `keras.layers.EinsumDense`."""
        equation = Equation.of(layer.equation)
        outputs = layer.compute_output_shape(input_shape)
        known = equation.sizes(equation.outputs, outputs)
        known |= equation.sizes(equation.inputs, input_shape)
        kernel_shape = tuple(known[axis] for axis in equation.kernel)
        return cls(kernel_shape, 1, equation, layer.partial_output_shape)

    @property
    def shape(self):
        return tuple(math.prod(self._sizes(axes)) for axes in self._sides())

    def to_matrix(self, kernel):
        return ops.reshape(ops.transpose(kernel, self._order()), self.shape)

    def to_kernel(self, matrix):
        order = self._order()
        blocks = ops.reshape(matrix, [self.kernel_shape[axis] for axis in order])
        return ops.transpose(blocks, [order.index(axis) for axis in range(len(order))])

    def pair_kernels(self, first, second):
        rows, columns = map(self._sizes, self._sides())
        rank = first.shape[-1]
        second = ops.swapaxes(second, -1, -2)
        return (
            ops.reshape(first, (*rows, rank)),
            ops.reshape(second, (rank, *columns)),
        )

    def pair_arguments(self, rank):
        first, last = self.equation.pair()
        axes = self.equation.outputs.strip(".")
        # That of the samples, at least, is not.
        listed = slice(len(axes) - len(self.output_shape), None)
        sizes = zip(axes[listed], self.output_shape, strict=True)
        known = {**dict(sizes), last.kernel[0]: rank}
        middle = first.outputs.strip(".")[listed]
        output_shape = tuple(known.get(axis) for axis in middle)
        of_first = {"equation": str(first), "output_shape": output_shape}
        return of_first, {"equation": str(last)}

    def _sides(self):
        return self.equation.rows, self.equation.columns

    def _sizes(self, axes):
        known = dict(zip(self.equation.kernel, self.kernel_shape, strict=True))
        return tuple(known[axis] for axis in axes)

    def _order(self):
        """Where the rows are in the kernel, then where the columns are."""
        return [self.equation.kernel.index(axis) for axis in "".join(self._sides())]

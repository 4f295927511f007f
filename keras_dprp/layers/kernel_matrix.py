"""A kernel read as a matrix: shapes, pairs and MACs, without building a layer.

The rows of the matrix are what the first layer of a pair sees, its columns are what
the second one writes. With groups there is one matrix a group, stacked along a leading
axis.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_dprp.operations import Operation
from keras_dprp.svd import energies, singular_values

MODES = ("spatial", "channel")
# The share of s² that both modes have to hold when they are compared.
ENERGY = 0.9


@dataclass(frozen=True)
class KernelMatrix:
    """How the kernel of a layer is read as a matrix, and what it costs.

    This is a dense layer's: a kernel of channels and filters, without a size.

    Attributes:
        kernel_shape: The stock kernel's.
        groups: How many matrices there are.
    """

    kernel_shape: tuple
    groups: int = 1

    def kernel_sizes(self):
        """Which parts of the kernel's size go with the rows and with the columns."""
        return (), ()

    def operations(self, input_shape, rank=None):
        """What is computed for one sample: one `Operation` if dense, two of a pair."""
        rows, columns = self.shape
        vectors = (math.prod(size or 1 for size in input_shape[1:]) // rows,)
        widths = [rows, columns] if rank is None else [rows, rank, columns]
        return [
            Operation(vectors, vectors, *each) for each in itertools.pairwise(widths)
        ]

    @property
    def shape(self):
        """Rows and columns of one group's matrix."""
        first, second, channels, _, filters = self._axes()
        return first * channels, second * filters

    @property
    def full_rank(self):
        """The largest rank a matrix can have."""
        return min(self.shape)

    def lead(self, *shape):
        """A shape, with the axis of the groups if there are any."""
        return (self.groups, *shape) if self.groups > 1 else shape

    def state_shapes(self, rank):
        """Shapes of kernel, U, s and V by name, of a rank; None while dense.

        What is unused has no size along any axis: Adafactor keeps a number for each row
        of what has rows, and it is NaN where there are no columns.
        """
        rows, columns = self.shape
        shapes = {
            "kernel": self.kernel_shape,
            "U": self.lead(rows, rank),
            "s": self.lead(rank),
            "V": self.lead(columns, rank),
        }
        return {
            name: (0,) * len(shape) if (name == "kernel") == bool(rank) else shape
            for name, shape in shapes.items()
        }

    def _axes(self):
        """What a kernel's axes split up into, in order."""
        *_, channels, filters = self.kernel_shape
        first, second = map(math.prod, self.kernel_sizes())
        return first, second, channels, self.groups, filters // self.groups

    # A dense layer's kernel is its matrix. These are in every training step, where
    # TensorFlow would copy what the general form below transposes.

    def to_matrix(self, kernel):
        """The matrix of a kernel, or of any array of its shape."""
        return kernel

    def to_kernel(self, matrix):
        """The kernel of a matrix."""
        return matrix

    def pair_kernels(self, first, second):
        """Kernels of both layers of a pair from scaled `U` and `V`."""
        return first, ops.swapaxes(second, -1, -2)

    def pair_arguments(self, rank):
        """What both stock layers of a pair are constructed with: arguments by name.

        The second has the arguments of the layer itself, except for these.
        """
        return {"units": rank, "use_bias": False}, {}

    def macs(self, input_shape, rank=None):
        """MACs for one sample, dense or as a pair."""
        return sum(each.macs for each in self.operations(input_shape, rank))

    def pair_share(self, input_shape, rank):
        """MACs of a pair as a share of the dense kernel's."""
        return self.macs(input_shape, rank) / self.macs(input_shape)


def check_mode(mode):
    """Raise a ValueError unless `mode` is one of `MODES`, or "auto"."""
    if mode not in (*MODES, "auto"):
        raise ValueError(
            f"`mode` must be 'spatial', 'channel' or 'auto'. Received: mode={mode!r}"
        )


def cheapest(matrices, input_shape, kernel=None):
    """Of several ways to read a kernel the one that holds 90 % of s² at fewest MACs.

    Args:
        matrices: A list of `KernelMatrix`; of those that tie the first is taken.
        input_shape: Of the layer.
        kernel: Array; a random one if None, as a kernel not yet trained has its flat
            spectrum.
    """
    if len(matrices) == 1:
        return matrices[0]
    if kernel is None:
        kernel = np.random.default_rng(0).normal(size=matrices[0].kernel_shape)

    def cost(matrix):
        s = singular_values(ops.convert_to_numpy(matrix.to_matrix(kernel)))
        held = np.cumsum(energies(s))
        rank = int(np.searchsorted(held, ENERGY * held[-1])) + 1
        return matrix.macs(input_shape, rank)

    return min(matrices, key=cost)

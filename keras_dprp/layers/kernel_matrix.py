"""A kernel read as a matrix: shapes, pairs and MACs, without building a layer.

The rows of the matrix are what the first layer of a pair sees, its columns are what
the second one writes. The kernel of a convolution, `(height, width, channels,
filters)`, is read in one of two modes:

- "spatial": rows are (height, channels), columns are (width, filters), so the pair is
  a k x 1 and a 1 x k convolution;
- "channel": rows are (height, width, channels), columns are filters, so the pair is a
  k x k and a 1 x 1 convolution.

With groups there is one matrix a group, stacked along a leading axis.
"""

import math
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_dprp.graph import UNKNOWN_SIZE
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
        """Kernel sizes of the first and of the second layer of a pair."""
        return (), ()

    def positions(self, input_shape):
        """At how many places the first and the second layer of a pair compute."""
        count = math.prod(size or 1 for size in input_shape[1:-1])
        return count, count

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

    def dense_parameters(self):
        """Parameters of the dense kernel."""
        return math.prod(self.kernel_shape)

    def pair_parameters(self, rank):
        """Parameters of both kernels of a pair."""
        return self.groups * sum(self.shape) * rank

    def dense_macs(self, input_shape):
        """MACs for one sample with the dense kernel."""
        return self.positions(input_shape)[1] * self.dense_parameters()

    def pair_macs(self, input_shape, rank):
        """MACs for one sample with a pair."""
        sizes = zip(self.positions(input_shape), self.shape, strict=True)
        return self.groups * rank * sum(count * size for count, size in sizes)

    def pair_share(self, input_shape, rank):
        """MACs of a pair as a share of the dense kernel's."""
        return self.pair_macs(input_shape, rank) / self.dense_macs(input_shape)


@dataclass(frozen=True)
class Conv2DMatrix(KernelMatrix):
    """The same for a 2D convolution."""

    mode: str = "spatial"
    strides: tuple = (1, 1)
    dilation_rate: tuple = (1, 1)
    padding: str = "valid"
    data_format: str = "channels_last"

    @classmethod
    def of(cls, layer, input_shape, mode):
        """That of a layer with the arguments of a `keras.layers.Conv2D`."""
        channels = input_shape[1 if layer.data_format == "channels_first" else -1]
        return cls(
            (*layer.kernel_size, channels // layer.groups, layer.filters),
            layer.groups,
            mode,
            layer.strides,
            layer.dilation_rate,
            layer.padding,
            layer.data_format,
        )

    def kernel_sizes(self):
        height, width = self.kernel_shape[:2]
        if self.mode == "spatial":
            return (height, 1), (1, width)
        return (height, width), (1, 1)

    def to_matrix(self, kernel):
        blocks = ops.transpose(ops.reshape(kernel, self._axes()), (3, 0, 2, 1, 4))
        return ops.reshape(blocks, self.lead(*self.shape))

    def to_kernel(self, matrix):
        first, second, channels, groups, filters = self._axes()
        blocks = ops.reshape(matrix, (groups, first, channels, second, filters))
        return ops.reshape(ops.transpose(blocks, (1, 3, 2, 0, 4)), self.kernel_shape)

    def pair_kernels(self, first, second):
        first_size, second_size, channels, groups, filters = self._axes()
        size, last_size = self.kernel_sizes()
        rank = first.shape[-1]
        blocks = ops.reshape(first, (groups, first_size, channels, rank))
        blocks = ops.transpose(blocks, (1, 2, 0, 3))
        first = ops.reshape(blocks, (*size, channels, groups * rank))
        blocks = ops.reshape(second, (groups, second_size, filters, rank))
        blocks = ops.transpose(blocks, (1, 3, 0, 2))
        return first, ops.reshape(blocks, (*last_size, rank, groups * filters))

    def positions(self, input_shape):
        height, width = self._output_size(input_shape)
        middle = width
        if not self._first_takes_all_strides():
            # The k x 1 convolution keeps the width of its input.
            middle = self._input_size(input_shape)[1]
        return height * middle, height * width

    def pair_arguments(self):
        """Strides, padding, dilation and format of both convolutions of a pair."""
        if self._first_takes_all_strides():
            steps = (self.strides, (1, 1)), (self.dilation_rate, (1, 1))
        else:
            (high, wide), (tall, broad) = self.strides, self.dilation_rate
            steps = ((high, 1), (1, wide)), ((tall, 1), (1, broad))
        same = {"padding": self.padding, "data_format": self.data_format}
        return [
            {"strides": strides, "dilation_rate": dilation, **same}
            for strides, dilation in zip(*steps, strict=True)
        ]

    def _first_takes_all_strides(self):
        # Also where the second of a spatial pair is 1 x 1: the sooner the cheaper.
        return self.mode == "channel" or self.kernel_shape[1] == 1

    def _input_size(self, shape):
        sizes = shape[2:4] if self.data_format == "channels_first" else shape[1:3]
        return [UNKNOWN_SIZE if size is None else size for size in sizes]

    def _output_size(self, input_shape):
        sizes = self._input_size(input_shape)
        if self.padding == "valid":
            kernel = zip(sizes, self.kernel_shape[:2], self.dilation_rate, strict=True)
            sizes = [size - rate * (length - 1) for size, length, rate in kernel]
        return [-(-s // step) for s, step in zip(sizes, self.strides, strict=True)]


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
        return matrix.pair_macs(input_shape, rank)

    return min(matrices, key=cost)

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

from keras import ops

from keras_dprp.graph import UNKNOWN_SIZE

MODES = ("spatial", "channel")


@dataclass(frozen=True)
class KernelMatrix:
    """How the kernel of a layer is read as a matrix, and what it costs.

    Attributes:
        kernel_shape: The stock kernel's.
        groups: How many matrices there are.
    """

    kernel_shape: tuple
    groups: int = 1

    @property
    def shape(self):
        """Rows and columns of one group's matrix."""
        return self.kernel_shape

    @property
    def full_rank(self):
        """The largest rank a matrix can have."""
        return min(self.shape)

    def lead(self, *shape):
        """A shape, with the axis of the groups if there are any."""
        return (self.groups, *shape) if self.groups > 1 else shape

    def factor_shapes(self, rank):
        """Shapes of U, s and V by name."""
        rows, columns = self.shape
        return {
            "U": self.lead(rows, rank),
            "s": self.lead(rank),
            "V": self.lead(columns, rank),
        }

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
        return _positions(input_shape) * math.prod(self.kernel_shape)

    def pair_macs(self, input_shape, rank):
        """MACs for one sample with a pair."""
        return _positions(input_shape) * rank * sum(self.kernel_shape)

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

    @property
    def shape(self):
        *_, channels, filters = self.kernel_shape
        first, second = map(math.prod, self.kernel_sizes())
        return first * channels, second * (filters // self.groups)

    def kernel_sizes(self):
        """Kernel sizes of the first and of the second convolution of a pair."""
        height, width = self.kernel_shape[:2]
        if self.mode == "spatial":
            return (height, 1), (1, width)
        return (height, width), (1, 1)

    def to_matrix(self, kernel):
        *_, channels, filters = self.kernel_shape
        first, second = map(math.prod, self.kernel_sizes())
        columns = filters // self.groups
        blocks = ops.reshape(kernel, (first, second, channels, self.groups, columns))
        blocks = ops.transpose(blocks, (3, 0, 2, 1, 4))
        return ops.reshape(blocks, self.lead(*self.shape))

    def to_kernel(self, matrix):
        *_, channels, filters = self.kernel_shape
        first, second = map(math.prod, self.kernel_sizes())
        columns = filters // self.groups
        blocks = ops.reshape(matrix, (self.groups, first, channels, second, columns))
        return ops.reshape(ops.transpose(blocks, (1, 3, 2, 0, 4)), self.kernel_shape)

    def pair_kernels(self, first, second):
        *_, channels, filters = self.kernel_shape
        size, last_size = self.kernel_sizes()
        rank, groups = first.shape[-1], self.groups
        blocks = ops.reshape(first, (groups, math.prod(size), channels, rank))
        blocks = ops.transpose(blocks, (1, 2, 0, 3))
        first = ops.reshape(blocks, (*size, channels, groups * rank))
        shape = (groups, math.prod(last_size), filters // groups, rank)
        blocks = ops.transpose(ops.reshape(second, shape), (1, 3, 0, 2))
        return first, ops.reshape(blocks, (*last_size, rank, filters))

    def pair_arguments(self):
        """Strides, padding, dilation and format of both convolutions of a pair."""
        if self._first_takes_all_strides():
            steps = (self.strides, (1, 1)), (self.dilation_rate, (1, 1))
        else:
            (high, wide), (tall, broad) = self.strides, self.dilation_rate
            steps = ((high, 1), (1, wide)), ((tall, 1), (1, broad))
        return [
            {
                "strides": strides,
                "padding": self.padding,
                "dilation_rate": dilation_rate,
                "data_format": self.data_format,
            }
            for strides, dilation_rate in zip(*steps, strict=True)
        ]

    def dense_macs(self, input_shape):
        return math.prod(self._output_size(input_shape)) * self.dense_parameters()

    def pair_macs(self, input_shape, rank):
        rows, columns = self.shape
        height, width = self._output_size(input_shape)
        middle = width
        if not self._first_takes_all_strides():
            # The k x 1 convolution keeps the width of its input.
            middle = self._input_size(input_shape)[1]
        return self.groups * rank * height * (middle * rows + width * columns)

    def _first_takes_all_strides(self):
        # Also where the second of a spatial pair is 1 x 1: the sooner the cheaper.
        return self.mode == "channel" or self.kernel_shape[1] == 1

    def _input_size(self, shape):
        sizes = shape[2:4] if self.data_format == "channels_first" else shape[1:3]
        return [UNKNOWN_SIZE if size is None else size for size in sizes]

    def _output_size(self, input_shape):
        sizes = []
        for size, kernel, stride, dilation in zip(
            self._input_size(input_shape),
            self.kernel_shape[:2],
            self.strides,
            self.dilation_rate,
            strict=True,
        ):
            if self.padding == "valid":
                size -= dilation * (kernel - 1)
            sizes.append(-(-size // stride))
        return sizes


def _positions(input_shape):
    return math.prod(size or 1 for size in input_shape[1:-1])

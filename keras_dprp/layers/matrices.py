"""How a convolution kernel is read as a matrix, and factors as kernels.

A kernel of shape `(height, width, channels, filters)` becomes a matrix whose rows
are what the first convolution of a pair sees and whose columns are what the second
one writes:

- "spatial": rows are (height, channels), columns are (width, filters), so the pair
  is a k x 1 and a 1 x k convolution;
- "channel": rows are (height, width, channels), columns are filters, so the pair is
  a k x k and a 1 x 1 convolution.

With groups there is one matrix a group, stacked along a leading axis.
"""

import math

from keras import ops

MODES = ("spatial", "channel")


def split_kernel_size(kernel_size, mode):
    """Kernel sizes of the first and of the second convolution of a pair."""
    height, width = kernel_size
    if mode == "spatial":
        return (height, 1), (1, width)
    return (height, width), (1, 1)


def matrix_shape(kernel_shape, mode, groups):
    """Rows and columns of one group's matrix."""
    *kernel_size, channels, filters = kernel_shape
    first, second = split_kernel_size(kernel_size, mode)
    return math.prod(first) * channels, math.prod(second) * (filters // groups)


def to_matrix(kernel, mode, groups=1):
    """The matrix of a kernel: `(rows, columns)`, with groups `(groups, ...)`."""
    *kernel_size, channels, filters = kernel.shape
    first, second = (math.prod(s) for s in split_kernel_size(kernel_size, mode))
    blocks = ops.reshape(kernel, (first, second, channels, groups, filters // groups))
    blocks = ops.transpose(blocks, (3, 0, 2, 1, 4))
    rows, columns = first * channels, second * (filters // groups)
    return ops.reshape(
        blocks, (groups, rows, columns) if groups > 1 else (rows, columns)
    )


def to_kernel(matrix, kernel_shape, mode, groups=1):
    """The kernel of a matrix: the inverse of `to_matrix`."""
    *kernel_size, channels, filters = kernel_shape
    first, second = (math.prod(s) for s in split_kernel_size(kernel_size, mode))
    blocks = ops.reshape(matrix, (groups, first, channels, second, filters // groups))
    blocks = ops.transpose(blocks, (1, 3, 2, 0, 4))
    return ops.reshape(blocks, kernel_shape)


def first_kernel(factor, kernel_shape, mode, groups=1):
    """Kernel of the first convolution from `U` (or `U * s`)."""
    *kernel_size, channels, _ = kernel_shape
    size, _ = split_kernel_size(kernel_size, mode)
    rank = factor.shape[-1]
    blocks = ops.reshape(factor, (groups, math.prod(size), channels, rank))
    blocks = ops.transpose(blocks, (1, 2, 0, 3))
    return ops.reshape(blocks, (*size, channels, groups * rank))


def second_kernel(factor, kernel_shape, mode, groups=1):
    """Kernel of the second convolution from `V` (or `V * s`)."""
    *kernel_size, _, filters = kernel_shape
    _, size = split_kernel_size(kernel_size, mode)
    rank = factor.shape[-1]
    blocks = ops.reshape(factor, (groups, math.prod(size), filters // groups, rank))
    blocks = ops.transpose(blocks, (1, 3, 0, 2))
    return ops.reshape(blocks, (*size, rank, filters))

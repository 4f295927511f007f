"""The kernel of a 2D convolution read as a matrix, in one of two modes.

The kernel is `(height, width, channels, filters)`:

- "spatial": rows are (height, channels), columns are (width, filters), so the pair is
  a k x 1 and a 1 x k convolution;
- "channel": rows are (height, width, channels), columns are filters, so the pair is a
  k x k and a 1 x 1 convolution.
"""

import itertools
from dataclasses import dataclass

from keras import ops

from keras_dprp.graph import UNKNOWN_SIZE
from keras_dprp.layers.kernel_matrix import KernelMatrix
from keras_dprp.operations import Operation


@dataclass(frozen=True)
class Conv2DMatrix(KernelMatrix):
    """How the kernel of a 2D convolution is read as a matrix, and what it costs."""

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

    def operations(self, input_shape, rank=None):
        channels, filters = self.kernel_shape[2] * self.groups, self.kernel_shape[3]
        inputs, outputs = self._input_size(input_shape), self._output_size(input_shape)
        if rank is None:
            sizes, widths = [inputs, outputs], [channels, filters]
            kernels = [self.kernel_shape[:2]]
            steps = [(self.strides, self.dilation_rate)]
        else:
            # After the k x 1 convolution the width is that of the input.
            middle = outputs[0], inputs[1]
            if self._first_takes_all_strides():
                middle = outputs
            sizes = [inputs, middle, outputs]
            widths = [channels, self.groups * rank, filters]
            kernels, steps = self.kernel_sizes(), self._pair_steps()
        return [
            Operation(*size, *width, kernel, *step, self.padding, self.groups)
            for size, width, kernel, step in zip(
                itertools.pairwise(sizes),
                itertools.pairwise(widths),
                kernels,
                steps,
                strict=True,
            )
        ]

    def pair_arguments(self):
        """Strides, padding, dilation and format of both convolutions of a pair."""
        same = {"padding": self.padding, "data_format": self.data_format}
        return [
            {"strides": strides, "dilation_rate": dilation, **same}
            for strides, dilation in self._pair_steps()
        ]

    def _pair_steps(self):
        """Strides and dilation of both convolutions of a pair."""
        if self._first_takes_all_strides():
            return [(self.strides, self.dilation_rate), ((1, 1), (1, 1))]
        (high, wide), (tall, broad) = self.strides, self.dilation_rate
        return [((high, 1), (tall, 1)), ((1, wide), (1, broad))]

    def _first_takes_all_strides(self):
        # Also where the second of a spatial pair is 1 x 1: the sooner the cheaper.
        return self.mode == "channel" or self.kernel_shape[1] == 1

    def _input_size(self, shape):
        sizes = shape[2:4] if self.data_format == "channels_first" else shape[1:3]
        return tuple(UNKNOWN_SIZE if size is None else size for size in sizes)

    def _output_size(self, input_shape):
        sizes = self._input_size(input_shape)
        if self.padding == "valid":
            kernel = zip(sizes, self.kernel_shape[:2], self.dilation_rate, strict=True)
            sizes = [size - rate * (length - 1) for size, length, rate in kernel]
        return tuple(-(-s // step) for s, step in zip(sizes, self.strides, strict=True))

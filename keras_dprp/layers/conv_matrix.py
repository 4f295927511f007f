"""The kernel of a convolution read as a matrix, in one of two modes.

The kernel is `(*size, channels, filters)`, of any number of spatial axes:

- "spatial", of two axes alone: rows are (height, channels), columns are (width,
  filters), so the pair is a k x 1 and a 1 x k convolution;
- "channel": rows are (*size, channels), columns are filters, so the pair is a
  convolution of the same size and one of size 1.
"""

import itertools
from dataclasses import dataclass

from keras import ops

from keras_dprp.graph import UNKNOWN_SIZE
from keras_dprp.layers.kernel_matrix import KernelMatrix
from keras_dprp.operations import Operation


@dataclass(frozen=True)
class ConvMatrix(KernelMatrix):
    """How the kernel of a convolution is read as a matrix, and what it costs."""

    mode: str = "channel"
    strides: tuple = ()
    dilation_rate: tuple = ()
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
        size = self.kernel_shape[:-2]
        if self.mode == "spatial":
            height, width = size
            return (height, 1), (1, width)
        return size, (1,) * len(size)

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

    def step(self):
        """What the convolution does with one kernel: arguments by name."""
        return {
            "kernel_size": self.kernel_shape[:-2],
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
        }

    def pair_steps(self):
        """The same of both convolutions of a pair, in their order."""
        sizes = self.kernel_sizes()
        strides, rates = self._shared(self.strides), self._shared(self.dilation_rate)
        return [
            {"kernel_size": size, "strides": step, "dilation_rate": rate}
            for size, step, rate in zip(sizes, strides, rates, strict=True)
        ]

    def pair_arguments(self, rank):
        first, last = self.pair_steps()
        first |= {
            "filters": self.groups * rank,
            "groups": self.groups,
            "padding": self.padding,
            "data_format": self.data_format,
            "use_bias": False,
        }
        return first, last

    def operations(self, input_shape, rank=None):
        channels, filters = self._widths()
        if rank is None:
            steps, widths = [self.step()], [channels, filters]
        else:
            steps, widths = self.pair_steps(), [channels, self.groups * rank, filters]
        size, found = self._input_size(input_shape), []
        for step, (inner, outer) in zip(steps, itertools.pairwise(widths), strict=True):
            outputs = self._output_size(size, step)
            operation = Operation(
                inputs=size,
                outputs=outputs,
                channels=inner,
                filters=outer,
                kernel=step["kernel_size"],
                strides=step["strides"],
                dilation_rate=step["dilation_rate"],
                padding=self.padding,
                groups=self.groups,
            )
            found.append(operation)
            size = outputs
        return found

    def _shared(self, values, unchanged=1):
        """Values along each axis, shared out between the convolutions of a pair."""
        if self.mode == "spatial" and self.kernel_shape[1] > 1:
            high, wide = values
            return (high, unchanged), (unchanged, wide)
        # Also where the second of a spatial pair is 1 x 1: the sooner the cheaper.
        return values, (unchanged,) * len(values)

    def _widths(self):
        """Channels of the inputs and of the outputs."""
        return self.kernel_shape[-2] * self.groups, self.kernel_shape[-1]

    def _input_size(self, shape):
        sizes = shape[2:] if self.data_format == "channels_first" else shape[1:-1]
        return tuple(UNKNOWN_SIZE if size is None else size for size in sizes)

    def _output_size(self, inputs, step):
        sizes = inputs
        if self.padding == "valid":
            axes = zip(sizes, step["kernel_size"], step["dilation_rate"], strict=True)
            sizes = [size - rate * (length - 1) for size, length, rate in axes]
        return tuple(-(-s // by) for s, by in zip(sizes, step["strides"], strict=True))

"""The kernel of a transposed convolution read as a matrix, in one of two modes.

A transposed convolution is a convolution backwards, and so is its pair: its kernel
`(*size, filters, channels)` is that of the convolution from its outputs to its inputs,
and what is last there comes first here. In mode "spatial" that is a 1 x k and a k x 1
convolution, in mode "channel" one of size 1 and one of the same size. So the one that
makes the image larger comes last, and the first has fewer positions to compute.
"""

from dataclasses import dataclass

from keras_dprp.layers.conv_matrix import ConvMatrix


@dataclass(frozen=True)
class ConvTransposeMatrix(ConvMatrix):
    """How the kernel of a transposed convolution is read as a matrix."""

    output_padding: tuple | None = None

    @classmethod
    def of(cls, layer, input_shape, mode):
        channels = input_shape[1 if layer.data_format == "channels_first" else -1]
        return cls(
            (*layer.kernel_size, layer.filters, channels),
            1,
            mode,
            layer.strides,
            layer.dilation_rate,
            layer.padding,
            layer.data_format,
            layer.output_padding,
        )

    def pair_kernels(self, first, second):
        return super().pair_kernels(first, second)[::-1]

    def step(self):
        return {**super().step(), "output_padding": self.output_padding}

    def pair_steps(self):
        paddings = None, None
        if self.output_padding is not None:
            paddings = self._shared(self.output_padding, 0)
        steps = zip(super().pair_steps(), paddings, strict=True)
        return [{**step, "output_padding": padding} for step, padding in steps][::-1]

    def pair_arguments(self, rank):
        first, last = super().pair_arguments(rank)
        del first["groups"]
        return first, last

    def _widths(self):
        return super()._widths()[::-1]

    def _output_size(self, inputs, step):
        paddings = step["output_padding"] or (None,) * len(inputs)
        steps = step["kernel_size"], step["strides"], step["dilation_rate"]
        axes = zip(inputs, *steps, paddings, strict=True)
        return tuple(self._output_length(*axis) for axis in axes)

    def _output_length(self, inputs, length, stride, rate, padding):
        length = (length - 1) * rate + 1
        if self.padding == "valid":
            more = max(stride - length, 0) if padding is None else padding
            return (inputs - 1) * stride + length + more
        if padding is None:
            return inputs * stride
        return (inputs - 1) * stride + length % 2 + padding

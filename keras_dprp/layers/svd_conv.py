"""The base of factorised convolutions, of any number of spatial axes."""

import keras
from keras import ops

from keras_dprp.layers.conv_matrix import ConvMatrix
from keras_dprp.layers.kernel_matrix import cheapest, check_mode
from keras_dprp.layers.svd_layer import SVDLayer


class SVDConv(SVDLayer):
    """A factorised convolution; subclasses have the arguments of a stock one."""

    matrix_class = ConvMatrix
    groups = 1

    def __init__(self, arguments, rank, structure, compression, **kwargs):
        if self.modes:
            check_mode(arguments["mode"])
        super().__init__(arguments, rank, structure, compression, **kwargs)
        if self.modes:
            self.mode = arguments["mode"]

    def get_config(self):
        config = super().get_config()
        return {**config, "mode": self.mode} if self.modes else config

    @classmethod
    def matrices(cls, layer, input_shape, mode):
        # Without a choice, a pair as of the mode "channel".
        modes = (mode,) if mode in cls.modes else cls.modes or ("channel",)
        return [cls.matrix_class.of(layer, input_shape, each) for each in modes]

    @property
    def channel_axis(self):
        """Which axis of the inputs has the channels."""
        return 1 if self.data_format == "channels_first" else -1

    def spec_for(self, input_shape):
        axes = {self.channel_axis: input_shape[self.channel_axis]}
        return keras.InputSpec(min_ndim=len(self.strides) + 2, axes=axes)

    def kernel_matrix(self, input_shape):
        if input_shape[self.channel_axis] % self.groups:
            raise ValueError(
                "The number of input channels must be evenly divisible by the number "
                f"of groups. Received: groups={self.groups}, "
                f"input_shape={tuple(input_shape)}"
            )
        # Raises where the kernel does not fit the input.
        self.compute_output_shape(input_shape)
        matrices = self.matrices(self, input_shape, self.mode)
        matrix = cheapest(matrices, input_shape)
        if self.mode == "auto":
            self.mode = matrix.mode
        return matrix

    def apply_kernel(self, inputs, kernel):
        return self.convolve(inputs, kernel, self.matrix.step())

    def apply_pair(self, inputs, first, second):
        kernels = self.matrix.pair_kernels(first, second)
        for kernel, step in zip(kernels, self.matrix.pair_steps(), strict=True):
            inputs = self.convolve(inputs, kernel, step)
        return inputs

    def convolve(self, inputs, kernel, step):
        """What the stock layer does, with other arguments; `step` has these by name."""
        padding = self.padding
        if padding == "causal":
            (size,), (rate,) = step["kernel_size"], step["dilation_rate"]
            pads = [[0, 0], [rate * (size - 1), 0]]
            pads.insert(self.channel_axis % 3, [0, 0])
            inputs, padding = ops.pad(inputs, pads), "valid"
        return ops.conv(
            inputs,
            kernel,
            strides=step["strides"],
            padding=padding,
            data_format=self.data_format,
            dilation_rate=step["dilation_rate"],
        )

    def broadcast_bias(self):
        # As the stock layer does it, to the last bit of the gradient.
        shape = [1] * (len(self.strides) + 2)
        shape[self.channel_axis] = self.filters
        return ops.reshape(self.bias, shape)

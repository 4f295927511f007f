"""A 2D convolution held as U diag(s) Vᵀ."""

import keras
from keras import ops

from keras_dprp import penalties
from keras_dprp.graph import UNKNOWN_SIZE
from keras_dprp.layers import matrices
from keras_dprp.layers.mode import choose_mode, random_spectrum
from keras_dprp.layers.svd_layer import SVDLayer


@keras.saving.register_keras_serializable(package="keras_dprp")
class SVDConv2D(SVDLayer):
    """Drop-in for `keras.layers.Conv2D` whose kernel is U diag(s) Vᵀ.

    At full rank its outputs are those of the stock layer. With a
    `RankPruningCallback` its rank falls in training.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups,
        activation, use_bias, kernel_initializer, bias_initializer,
        kernel_regularizer, bias_regularizer, activity_regularizer,
        kernel_constraint, bias_constraint: As in `keras.layers.Conv2D`. The kernel
            regularizer acts on the product. A kernel constraint is refused.
        rank: None (full), an int, or a float in (0, 1], a share of the full rank.
        structure: None, a name ("orthogonality", "ordering"), a penalty object, or a
            list of them.
        compression: None, a name ("hoyer", "l1", "l2", "funnel"), a penalty object,
            or a list of them.
        mode: "spatial" (k x 1, then 1 x k), "channel" (k x k, then 1 x 1), or "auto"
            (the one that holds 90 % of s² at fewer MACs).

    Raises:
        ValueError: For a bad argument of the stock layer, an unknown mode or
            penalty, a rank outside its range, or a kernel constraint.

    Example:
    >>> layer = keras_dprp.SVDConv2D(32, 3, padding="same", rank=8)
    >>> layer(numpy.zeros((1, 28, 28, 16))).shape
    (1, 28, 28, 32)

    References:
        [Convolutional Neural Network Compression via Dynamic Parameter Rank
        Pruning](https://arxiv.org/abs/2401.08014)
    """

    stock_class = keras.layers.Conv2D
    stock_arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "groups",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        rank=None,
        structure=penalties.DEFAULT_STRUCTURE,
        compression=penalties.DEFAULT_COMPRESSION,
        mode="spatial",
        **kwargs,
    ):
        if mode not in (*matrices.MODES, "auto"):
            raise ValueError(
                "`mode` must be 'spatial', 'channel' or 'auto'. "
                f"Received: mode={mode!r}"
            )
        # The stock layer checks the arguments and brings them into standard form.
        # Named, so that it takes no automatic name away from the user's layers.
        stock = keras.layers.Conv2D(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            name="stock",
        )
        super().__init__(stock, rank, structure, compression, **kwargs)
        self.mode = mode

    @property
    def channel_axis(self):
        return 1 if self.data_format == "channels_first" else -1

    def check_input(self, input_shape):
        if input_shape[self.channel_axis] % self.groups:
            raise ValueError(
                "The number of input channels must be evenly divisible by the number "
                f"of groups. Received: groups={self.groups}, "
                f"input_shape={tuple(input_shape)}"
            )
        # Raises where the kernel does not fit the input.
        self.compute_output_shape(input_shape)
        if self.mode == "auto":
            self.mode = self._resolve_mode(input_shape)

    def _resolve_mode(self, input_shape):
        # A kernel not yet trained has the flat spectrum of a random one.
        shape = self.kernel_shape(input_shape)
        spectra = {
            mode: random_spectrum(matrices.matrix_shape(shape, mode, self.groups))
            for mode in matrices.MODES
        }
        return choose_mode(self, input_shape, spectra)

    def kernel_shape(self, input_shape):
        channels = input_shape[self.channel_axis]
        return (*self.kernel_size, channels // self.groups, self.filters)

    def matrix_shape(self):
        return matrices.matrix_shape(self._kernel_shape, self.mode, self.groups)

    def to_matrix(self, kernel):
        return matrices.to_matrix(kernel, self.mode, self.groups)

    def to_kernel(self, matrix):
        return matrices.to_kernel(matrix, self._kernel_shape, self.mode, self.groups)

    def pair_kernels(self, first, second):
        """Kernels of both convolutions from scaled `U` and `V`."""
        shape = self._kernel_shape
        return (
            matrices.first_kernel(first, shape, self.mode, self.groups),
            matrices.second_kernel(second, shape, self.mode, self.groups),
        )

    def pair_arguments(self):
        """Kernel size, strides, padding and dilation of both convolutions."""
        sizes = matrices.split_kernel_size(self.kernel_size, self.mode)
        if self._first_takes_all_strides(self.mode):
            steps = (self.strides, (1, 1)), (self.dilation_rate, (1, 1))
        else:
            (high, wide), (tall, broad) = self.strides, self.dilation_rate
            steps = ((high, 1), (1, wide)), ((tall, 1), (1, broad))
        return [
            {
                "kernel_size": size,
                "strides": strides,
                "padding": self.padding,
                "dilation_rate": dilation_rate,
                "data_format": self.data_format,
            }
            for size, strides, dilation_rate in zip(sizes, *steps, strict=True)
        ]

    def _first_takes_all_strides(self, mode):
        # Also where the second of a spatial pair is 1 x 1: the sooner the cheaper.
        return mode == "channel" or self.kernel_size[1] == 1

    def apply_kernel(self, inputs, kernel):
        return ops.conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def apply_pair(self, inputs, first, second):
        kernels = self.pair_kernels(first, second)
        for kernel, arguments in zip(kernels, self.pair_arguments(), strict=True):
            arguments.pop("kernel_size")
            inputs = ops.conv(inputs, kernel, **arguments)
        return inputs

    def _broadcast_bias(self):
        if self.data_format == "channels_first":
            return ops.reshape(self.bias, (1, self.filters, 1, 1))
        return super()._broadcast_bias()

    def dense_macs(self, input_shape):
        height, width = self._output_size(input_shape)
        *kernel_size, channels, filters = self.kernel_shape(input_shape)
        return height * width * kernel_size[0] * kernel_size[1] * channels * filters

    def pair_macs(self, input_shape, rank=None, mode=None):
        rank, mode = rank or self.rank, mode or self.mode
        shape = self.kernel_shape(input_shape)
        rows, columns = matrices.matrix_shape(shape, mode, self.groups)
        height, width = self._output_size(input_shape)
        middle = width
        if not self._first_takes_all_strides(mode):
            # The k x 1 convolution keeps the width of its input.
            middle = self._sizes(input_shape)[1]
        return self.groups * rank * height * (middle * rows + width * columns)

    def _sizes(self, shape):
        sizes = shape[2:4] if self.data_format == "channels_first" else shape[1:3]
        return [UNKNOWN_SIZE if size is None else size for size in sizes]

    def _output_size(self, input_shape):
        sizes = self._sizes(input_shape)
        channels = input_shape[self.channel_axis]
        known = (
            (None, channels, *sizes)
            if self.data_format == "channels_first"
            else (None, *sizes, channels)
        )
        return self._sizes(self.compute_output_shape(known))

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}

"""A transposed 2D convolution whose kernel can be U diag(s) Vᵀ."""

import keras

from keras_dprp.copies import shared_arguments
from keras_dprp.layers.kernel_matrix import MODES
from keras_dprp.layers.svd_conv_transpose import SVDConvTranspose


@keras.saving.register_keras_serializable(package="keras_dprp")
class SVDConv2DTranspose(SVDConvTranspose):
    """Drop-in for `keras.layers.Conv2DTranspose` whose kernel can be U diag(s) Vᵀ.

    Without a `rank` it computes and learns as the stock layer, until a
    `RankPruningCallback` factorises it and its rank falls in training.

    Args:
        filters, kernel_size, strides, padding, output_padding, data_format,
        dilation_rate, activation, use_bias, kernel_initializer, bias_initializer,
        kernel_regularizer, bias_regularizer, activity_regularizer,
        kernel_constraint, bias_constraint: As in `keras.layers.Conv2DTranspose`. The
            kernel regularizer acts on the product. A kernel constraint is refused.
        rank, structure, compression: As in `SVDConv2D`.
        mode: "spatial" (1 x k, then k x 1), "channel" (1 x 1, then k x k), or "auto"
            (the one that holds 90 % of s² at fewer MACs).

    Raises:
        ValueError: For a bad argument of the stock layer, an unknown mode or
            penalty, a rank outside its range, or a kernel constraint.

    Example:
    >>> layer = keras_dprp.SVDConv2DTranspose(16, 3, 2, padding="same", rank=8)
    >>> layer(numpy.zeros((1, 14, 14, 32))).shape
    (1, 28, 28, 16)
    """

    stock_class = keras.layers.Conv2DTranspose
    stock_arguments = shared_arguments(keras.layers.Conv2DTranspose)
    modes = MODES

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate=(1, 1),
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
        structure=None,
        compression=None,
        mode="spatial",
        **kwargs,
    ):
        super().__init__(locals(), rank, structure, compression, **kwargs)

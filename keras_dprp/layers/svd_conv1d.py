"""A 1D convolution whose kernel can be U diag(s) Vᵀ."""

import keras

from keras_dprp.copies import shared_arguments
from keras_dprp.layers.svd_conv import SVDConv


@keras.saving.register_keras_serializable(package="keras_dprp")
class SVDConv1D(SVDConv):
    """Drop-in for `keras.layers.Conv1D` whose kernel can be U diag(s) Vᵀ.

    Its pair is a convolution of the same size and one of size 1. Without a `rank` it
    computes and learns as the stock layer, until a `RankPruningCallback` factorises it
    and its rank falls in training.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups,
        activation, use_bias, kernel_initializer, bias_initializer,
        kernel_regularizer, bias_regularizer, activity_regularizer,
        kernel_constraint, bias_constraint: As in `keras.layers.Conv1D`. The kernel
            regularizer acts on the product. A kernel constraint is refused.
        rank, structure, compression: As in `SVDConv2D`.

    Raises:
        ValueError: For a bad argument of the stock layer, an unknown penalty, a rank
            outside its range, or a kernel constraint.

    Example:
    >>> layer = keras_dprp.SVDConv1D(64, 9, padding="causal", rank=16)
    >>> layer(numpy.zeros((1, 98, 40))).shape
    (1, 98, 64)
    """

    stock_class = keras.layers.Conv1D
    stock_arguments = shared_arguments(keras.layers.Conv1D)

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
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
        structure=None,
        compression=None,
        **kwargs,
    ):
        super().__init__(locals(), rank, structure, compression, **kwargs)

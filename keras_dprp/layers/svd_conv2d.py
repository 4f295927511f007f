"""A 2D convolution whose kernel can be U diag(s) Vᵀ."""

import keras

from keras_dprp.copies import shared_arguments
from keras_dprp.layers.kernel_matrix import MODES
from keras_dprp.layers.svd_conv import SVDConv


@keras.saving.register_keras_serializable(package="keras_dprp")
class SVDConv2D(SVDConv):
    """Drop-in for `keras.layers.Conv2D` whose kernel can be U diag(s) Vᵀ.

    Without a `rank` it computes and learns as the stock layer, until a
    `RankPruningCallback` factorises it and its rank falls in training.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups,
        activation, use_bias, kernel_initializer, bias_initializer,
        kernel_regularizer, bias_regularizer, activity_regularizer,
        kernel_constraint, bias_constraint: As in `keras.layers.Conv2D`. The kernel
            regularizer acts on the product. A kernel constraint is refused.
        rank: None (dense), an int, or a float in (0, 1], a share of the full rank.
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
    stock_arguments = shared_arguments(keras.layers.Conv2D)
    modes = MODES

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
        structure=None,
        compression=None,
        mode="spatial",
        **kwargs,
    ):
        super().__init__(locals(), rank, structure, compression, **kwargs)

"""A dense layer whose kernel can be U diag(s) Vᵀ."""

import keras
from keras import ops

from keras_dprp.copies import shared_arguments
from keras_dprp.layers.kernel_matrix import KernelMatrix
from keras_dprp.layers.svd_layer import SVDLayer


@keras.saving.register_keras_serializable(package="keras_dprp")
class SVDDense(SVDLayer):
    """Drop-in for `keras.layers.Dense` whose kernel can be U diag(s) Vᵀ.

    Without a `rank` it computes and learns as the stock layer, until a
    `RankPruningCallback` factorises it and its rank falls in training.

    Args:
        units, activation, use_bias, kernel_initializer, bias_initializer,
        kernel_regularizer, bias_regularizer, activity_regularizer,
        kernel_constraint, bias_constraint: As in `keras.layers.Dense`. The kernel
            regularizer acts on the product. A kernel constraint is refused.
        rank, structure, compression: As in `SVDConv2D`.

    Raises:
        ValueError: For a bad argument of the stock layer, an unknown penalty, a rank
            outside its range, or a kernel constraint.

    Example:
    >>> layer = keras_dprp.SVDDense(100, rank=10)
    >>> layer(numpy.zeros((1, 512))).shape
    (1, 100)
    """

    stock_class = keras.layers.Dense
    stock_arguments = shared_arguments(keras.layers.Dense)

    def __init__(
        self,
        units,
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

    @classmethod
    def matrices(cls, layer, input_shape, mode):
        return [KernelMatrix((input_shape[-1], layer.units))]

    def spec_for(self, input_shape):
        return keras.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def bias_shape(self, input_shape):
        return (self.units,) if self.use_bias else None

    def apply_kernel(self, inputs, kernel):
        return ops.matmul(inputs, kernel)

    def apply_pair(self, inputs, first, second):
        first, second = self.matrix.pair_kernels(first, second)
        return ops.matmul(ops.matmul(inputs, first), second)

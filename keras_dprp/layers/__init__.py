"""Factorised layers."""

from keras_dprp.layers.svd_conv1d import SVDConv1D
from keras_dprp.layers.svd_conv1d_transpose import SVDConv1DTranspose
from keras_dprp.layers.svd_conv2d import SVDConv2D
from keras_dprp.layers.svd_conv2d_transpose import SVDConv2DTranspose
from keras_dprp.layers.svd_conv3d import SVDConv3D
from keras_dprp.layers.svd_dense import SVDDense
from keras_dprp.layers.svd_einsum_dense import SVDEinsumDense
from keras_dprp.layers.svd_layer import SVDLayer

__all__ = [
    "SVDConv1D",
    "SVDConv1DTranspose",
    "SVDConv2D",
    "SVDConv2DTranspose",
    "SVDConv3D",
    "SVDDense",
    "SVDEinsumDense",
    "SVDLayer",
]

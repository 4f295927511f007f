"""Factorised layers."""

from keras_dprp.layers.svd_conv2d import SVDConv2D
from keras_dprp.layers.svd_dense import SVDDense
from keras_dprp.layers.svd_layer import SVDLayer

__all__ = ["SVDConv2D", "SVDDense", "SVDLayer"]

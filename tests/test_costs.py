"""Parameters and MACs that a network keeps, against counts by hand."""

import keras
import numpy as np
import pytest
from keras import layers
from small_models import every_layer

import keras_dprp as dprp


def image_model(*inner, size=8, channels=4):
    return keras.Sequential([keras.Input((size, size, channels)), *inner])


@pytest.mark.parametrize(
    "layer, dense",
    [
        (layers.Conv2D(8, 3, padding="same"), 64 * 9 * 4 * 8),
        (layers.Conv2D(8, 3, strides=2), 9 * 9 * 4 * 8),
        (layers.Conv2D(8, 3, groups=2, padding="same"), 64 * 9 * 2 * 8),
        (layers.Conv2DTranspose(8, 3, strides=2), 64 * 9 * 4 * 8),
        (layers.DepthwiseConv2D(3, padding="same"), 64 * 9 * 4),
        (layers.SeparableConv2D(8, 3, padding="same"), 64 * (9 * 4 + 4 * 8)),
        (layers.Dense(8), 64 * 4 * 8),
        (layers.Conv2DTranspose(8, 3, padding="same"), 64 * 9 * 4 * 8),
        (layers.Flatten(), 0),
    ],
)
def test_macs_of_stock_layers(layer, dense):
    assert dprp.summary(image_model(layer)).dense_macs == dense


def test_macs_of_an_einsum_layer_that_leaves_sizes_open():
    layer = layers.EinsumDense("abc,cde->abde", (None, 2, 3))
    model = keras.Sequential([keras.Input((5, 4)), layer])
    assert dprp.summary(model).dense_macs == 5 * 4 * 2 * 3
    assert dprp.summary(every_layer(model)).dense_macs == 5 * 4 * 2 * 3


def test_macs_and_parameters_of_a_pair():
    layer = dprp.SVDConv2D(8, 3, strides=2, padding="same", rank=2, use_bias=False)
    report = dprp.summary(image_model(layer))
    # 3 x 1 with stride (2, 1) to 4 x 8 pixels, then 1 x 3 to 4 x 4.
    assert report.macs == 4 * 8 * 3 * 4 * 2 + 4 * 4 * 3 * 2 * 8
    assert report.parameters == 3 * 4 * 2 + 3 * 2 * 8
    assert report.dense_macs == 4 * 4 * 9 * 4 * 8
    assert report.dense_parameters == 9 * 4 * 8


def test_a_shared_layer_computes_twice_and_has_its_parameters_once():
    x = inputs = keras.Input((8,))
    layer = dprp.SVDDense(8, rank=1, use_bias=False)
    report = dprp.summary(keras.Model(inputs, layer(layer(x))))
    assert report.parameters == 16
    assert report.macs == 32


def test_kept_is_of_the_whole_network_frozen_parts_and_statistics_included():
    frozen = layers.Dense(8, trainable=False)
    inner = [keras.Input((8,)), frozen, layers.BatchNormalization(), dprp.SVDDense(8)]
    model = keras.Sequential(inner)
    assert dprp.summary(model).dense_parameters == 2 * (8 * 8 + 8) + 4 * 8


def test_open_sizes_count_as_those_of_an_imagenet_image():
    model = image_model(layers.Conv2D(8, 1), size=None)
    assert dprp.summary(model).dense_macs == 224 * 224 * 4 * 8


def test_kept_is_of_the_folded_model():
    model = every_layer(
        image_model(layers.Conv2D(8, 3), layers.BatchNormalization()), rank=3
    )
    report = dprp.summary(model)
    folded = dprp.fold(model)
    assert report.parameters == sum(int(np.prod(w.shape)) for w in folded.weights)

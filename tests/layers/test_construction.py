"""Factorised layers are constructed, and their kernels drawn, as the stock ones."""

import functools
import inspect

import keras
import numpy as np
import pytest
from keras import ops

import keras_dprp
from keras_dprp.kernels import TWINS


@pytest.mark.parametrize("stock", TWINS)
def test_constructor_is_the_stock_one_and_more(stock):
    def arguments(layer_class):
        signature = inspect.signature(layer_class.__init__)
        return [(p.name, p.default, p.kind) for p in signature.parameters.values()]

    left_out = ("lora_", "gptq_", "quantization_")
    expected = [each for each in arguments(stock) if not each[0].startswith(left_out)]
    received = arguments(TWINS[stock])
    # Both end in **kwargs.
    count = len(expected) - 1
    assert received[:count] == expected[:count]
    names = [name for name, *_ in received[count:]]
    mode = ["mode"] if TWINS[stock].modes else []
    assert names == ["rank", "structure", "compression", *mode, "kwargs"]


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal", "orthogonal"])
@pytest.mark.parametrize("groups", [1, 2])
def test_initial_kernel_is_what_the_initializer_draws(initializer, groups):
    def draw(layer_class):
        keras.utils.set_random_seed(3)
        layer = layer_class(4, (3, 2), groups=groups, kernel_initializer=initializer)
        layer.build((None, 7, 7, 2 * groups))
        return ops.convert_to_numpy(layer.kernel)

    np.testing.assert_array_equal(draw(keras_dprp.SVDConv2D), draw(keras.layers.Conv2D))
    factorised = functools.partial(keras_dprp.SVDConv2D, rank=1.0)
    expected = draw(keras.layers.Conv2D)
    np.testing.assert_allclose(draw(factorised), expected, atol=1e-5)


def test_initial_kernel_of_a_lower_rank_is_the_best_of_that_rank():
    def draw(rank):
        initializer = keras.initializers.GlorotNormal(seed=5)
        layer = keras_dprp.SVDDense(6, kernel_initializer=initializer, rank=rank)
        layer.build((None, 8))
        return ops.convert_to_numpy(layer.kernel)

    U, s, Vt = np.linalg.svd(draw(None))
    np.testing.assert_allclose(draw(2), U[:, :2] * s[:2] @ Vt[:2], atol=1e-5)

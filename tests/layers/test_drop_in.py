"""A factorised layer computes, and learns, what the stock layer of its kernel does."""

import functools
import inspect

import hypothesis
import keras
import numpy as np
import pytest
from gradients import outputs_and_gradients
from hypothesis import strategies as st
from keras import ops

import keras_dprp
from keras_dprp.layers import svd_layer

SIZES = (7, 6)


def pairs(smallest, largest):
    each = st.integers(smallest, largest)
    return st.one_of(each, st.tuples(each, each))


@st.composite
def conv_arguments(draw):
    """Any arguments that a convolution of a 7 x 6 input takes."""
    groups = draw(st.integers(1, 3))
    dilates = draw(st.booleans())
    return {
        "filters": groups * draw(st.integers(1, 3)),
        "kernel_size": draw(pairs(1, 3 if dilates else 4)),
        "strides": 1 if dilates else draw(pairs(1, 3)),
        "padding": draw(st.sampled_from(["valid", "same"])),
        "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
        "dilation_rate": draw(pairs(1, 2)) if dilates else 1,
        "groups": groups,
        **draw(common_arguments()),
    }


@st.composite
def common_arguments(draw):
    return {
        "activation": draw(st.sampled_from([None, "relu", "tanh", ops.sigmoid])),
        "use_bias": draw(st.booleans()),
        "kernel_initializer": keras.initializers.HeNormal(draw(st.integers(0, 99))),
        "bias_initializer": keras.initializers.RandomNormal(seed=1),
    }


def conv_input(arguments, channels_per_group):
    channels = channels_per_group * arguments["groups"]
    first = arguments["data_format"] == "channels_first"
    shape = (2, channels, *SIZES) if first else (2, *SIZES, channels)
    return random_array(shape)


def random_array(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def stock_twin(layer, inputs):
    """The stock layer of the same arguments, with `layer.kernel`."""
    names = inspect.signature(layer.stock_class).parameters
    config = {k: v for k, v in layer.get_config().items() if k in names}
    stock = layer.stock_class.from_config(config)
    stock.build(inputs.shape)
    stock.kernel.assign(layer.kernel)
    if layer.bias is not None:
        stock.bias.assign(layer.bias)
    return stock


def factor_gradients(layer, kernel_gradient):
    """Gradients to U, s and V by the chain rule through U diag(s) Vᵀ."""
    if layer.is_dense:
        return {"kernel": kernel_gradient}
    gradient = layer.matrix.to_matrix(ops.convert_to_tensor(kernel_gradient))
    gradient = ops.convert_to_numpy(gradient)
    U, s, V = (ops.convert_to_numpy(factor) for factor in (layer.U, layer.s, layer.V))
    return {
        "U": gradient @ V * s[..., None, :],
        "s": np.einsum("...mr,...mn,...nr->...r", U, gradient, V),
        "V": np.swapaxes(gradient, -1, -2) @ U * s[..., None, :],
    }


def assert_close(actual, expected):
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(actual / scale, expected / scale, atol=2e-5)


def assert_drop_in(layer, inputs):
    """Outputs and gradients of the layer equal those of the stock layer."""
    stock = stock_twin(layer, inputs)
    cotangent = random_array(layer.compute_output_shape(inputs.shape), seed=1)
    outputs, of_inputs, gradients = outputs_and_gradients(layer, inputs, cotangent)
    expected, of_stock_inputs, of_stock = outputs_and_gradients(
        stock, inputs, cotangent
    )
    assert_close(outputs, expected)
    assert_close(of_inputs, of_stock_inputs)
    of_stock |= factor_gradients(layer, of_stock.pop("kernel"))
    # What is empty has gradients, too, so that Keras does not warn of their absence.
    gradients = {name: each for name, each in gradients.items() if each.size}
    assert gradients.keys() == of_stock.keys()
    for name, gradient in gradients.items():
        assert_close(gradient, of_stock[name])


@hypothesis.given(
    conv_arguments(),
    st.integers(1, 3),
    st.sampled_from([None, 1, 0.5, 1.0]),
    st.sampled_from(["spatial", "channel", "auto"]),
)
@hypothesis.settings(max_examples=12)
def test_conv2d(arguments, channels, rank, mode):
    inputs = conv_input(arguments, channels)
    layer = keras_dprp.SVDConv2D(**arguments, rank=rank, mode=mode)
    layer.build(inputs.shape)
    assert_drop_in(layer, inputs)


@hypothesis.given(
    common_arguments(),
    st.integers(1, 5),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.sampled_from([None, 1, 0.5, 1.0]),
)
@hypothesis.settings(max_examples=12)
def test_dense(arguments, units, sizes, rank):
    inputs = random_array((2, *sizes))
    layer = keras_dprp.SVDDense(units, **arguments, rank=rank)
    layer.build(inputs.shape)
    assert_drop_in(layer, inputs)


# Both forms of the forward pass: the merged kernel, and one after the other.
@pytest.mark.parametrize("mode", ["spatial", "channel"])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("rank, as_pair", [(1.0, False), (1, True)])
def test_both_forms_of_conv2d(rank, as_pair, strides, mode):
    inputs = random_array((2, *SIZES, 4))
    layer = keras_dprp.SVDConv2D(5, (3, 2), strides, "same", rank=rank, mode=mode)
    layer.build(inputs.shape)
    assert layer.trains_as_pair() is as_pair
    assert_drop_in(layer, inputs)


@pytest.mark.parametrize("rank, as_pair", [(1.0, False), (1, True)])
def test_both_forms_of_dense(rank, as_pair):
    inputs = random_array((2, 6))
    layer = keras_dprp.SVDDense(7, rank=rank)
    layer.build(inputs.shape)
    assert layer.trains_as_pair() is as_pair
    assert_drop_in(layer, inputs)


@pytest.fixture
def accelerator(monkeypatch):
    """A machine that says it has one."""
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    svd_layer._on_accelerator.cache_clear()
    yield
    svd_layer._on_accelerator.cache_clear()


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="It cannot tell.")
@pytest.mark.parametrize("channels, as_pair", [(64, False), (128, True)])
def test_on_an_accelerator_only_large_kernels_are_not_merged(
    channels, as_pair, accelerator
):
    layer = keras_dprp.SVDConv2D(channels, 3, padding="same", rank=8)
    layer.build((None, *SIZES, channels))
    assert layer.trains_as_pair() is as_pair


TWINS = [
    (keras_dprp.SVDConv2D, keras.layers.Conv2D, ["mode"]),
    (keras_dprp.SVDDense, keras.layers.Dense, []),
]


@pytest.mark.parametrize("factorized, stock, more", TWINS)
def test_constructor_is_the_stock_one_and_more(factorized, stock, more):
    def arguments(layer_class):
        signature = inspect.signature(layer_class.__init__)
        return [(p.name, p.default, p.kind) for p in signature.parameters.values()]

    left_out = ("lora_rank", "lora_alpha", "quantization_config")
    expected = [each for each in arguments(stock) if each[0] not in left_out]
    received = arguments(factorized)
    # Both end in **kwargs.
    count = len(expected) - 1
    assert received[:count] == expected[:count]
    names = [name for name, *_ in received[count:]]
    assert names == ["rank", "structure", "compression", *more, "kwargs"]


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
    assert_close(draw(factorised), draw(keras.layers.Conv2D))


def test_initial_kernel_of_a_lower_rank_is_the_best_of_that_rank():
    def draw(rank):
        initializer = keras.initializers.GlorotNormal(seed=5)
        layer = keras_dprp.SVDDense(6, kernel_initializer=initializer, rank=rank)
        layer.build((None, 8))
        return ops.convert_to_numpy(layer.kernel)

    U, s, Vt = np.linalg.svd(draw(None))
    assert_close(draw(2), U[:, :2] * s[:2] @ Vt[:2])

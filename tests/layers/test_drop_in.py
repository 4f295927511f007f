"""A factorised layer computes, and learns, what the stock layer of its kernel does."""

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

SIZES = (7, 6, 5)
# How many spatial axes each kind of convolution has.
CONVOLUTIONS = {
    keras_dprp.SVDConv1D: 1,
    keras_dprp.SVDConv1DTranspose: 1,
    keras_dprp.SVDConv2D: 2,
    keras_dprp.SVDConv2DTranspose: 2,
    keras_dprp.SVDConv3D: 3,
}
TRANSPOSED = (keras_dprp.SVDConv1DTranspose, keras_dprp.SVDConv2DTranspose)


def each_axis(axes, smallest, largest):
    """A number for all axes, or one for each."""
    each = st.integers(smallest, largest)
    return st.one_of(each, st.tuples(*[each] * axes))


@st.composite
def conv_arguments(draw, layer_class):
    """Any arguments that a convolution of an input of `SIZES` takes."""
    axes = CONVOLUTIONS[layer_class]
    groups = draw(st.integers(1, 3))
    dilates = draw(st.booleans())
    strides = 1 if dilates else draw(each_axis(axes, 1, 3))
    paddings = ["valid", "same"]
    if layer_class is keras_dprp.SVDConv1D:
        paddings.append("causal")
    arguments = {
        "filters": groups * draw(st.integers(1, 3)),
        "kernel_size": draw(each_axis(axes, 1, 3 if dilates else 4)),
        "strides": strides,
        "padding": draw(st.sampled_from(paddings)),
        "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
        "dilation_rate": draw(each_axis(axes, 1, 2)) if dilates else 1,
        **draw(common_arguments()),
    }
    if layer_class not in TRANSPOSED:
        return {**arguments, "groups": groups}
    smallest = strides if isinstance(strides, int) else min(strides)
    # With 0, or strides of 1, TensorFlow cannot do it for kernels of even size.
    if smallest > 1 and draw(st.booleans()):
        arguments["output_padding"] = draw(st.integers(1, smallest - 1))
    return arguments


@st.composite
def common_arguments(draw):
    return {
        "activation": draw(st.sampled_from([None, "relu", "tanh", ops.sigmoid])),
        "use_bias": draw(st.booleans()),
        "kernel_initializer": keras.initializers.HeNormal(draw(st.integers(0, 99))),
        "bias_initializer": keras.initializers.RandomNormal(seed=1),
    }


def conv_input(layer_class, arguments, channels_per_group):
    channels = channels_per_group * arguments.get("groups", 1)
    sizes = SIZES[: CONVOLUTIONS[layer_class]]
    first = arguments["data_format"] == "channels_first"
    return random_array((2, channels, *sizes) if first else (2, *sizes, channels))


RANKS = st.sampled_from([None, 1, 0.5, 1.0])


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
    cotangent = random_array(layer(inputs).shape, seed=1)
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


@pytest.mark.parametrize("layer_class", CONVOLUTIONS)
@hypothesis.given(st.data())
@hypothesis.settings(max_examples=8)
def test_convolutions(layer_class, data):
    arguments = data.draw(conv_arguments(layer_class))
    inputs = conv_input(layer_class, arguments, data.draw(st.integers(1, 3)))
    arguments["rank"] = data.draw(RANKS)
    if layer_class.modes:
        arguments["mode"] = data.draw(st.sampled_from([*layer_class.modes, "auto"]))
    layer = layer_class(**arguments)
    layer.build(inputs.shape)
    assert_drop_in(layer, inputs)


@hypothesis.given(
    common_arguments(),
    st.integers(1, 5),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    RANKS,
)
@hypothesis.settings(max_examples=12)
def test_dense(arguments, units, sizes, rank):
    inputs = random_array((2, *sizes))
    layer = keras_dprp.SVDDense(units, **arguments, rank=rank)
    layer.build(inputs.shape)
    assert_drop_in(layer, inputs)


# With the shape of an output, what axes may have a bias, and the shape of an input.
EQUATIONS = [
    # As in attention: to its heads, and back from them.
    ("abc,cde->abde", (None, 3, 2), "de", (4, 5)),
    ("abcd,cde->abe", (None, 4), "e", (4, 3, 2)),
    ("...x,xy->...y", 4, "y", (3, 2, 5)),
    ("ab...,bc->ac...", 4, "c", (5, 3, 2)),
    # Rows and columns in no order.
    ("abcd,edfb->aecf", (3, None, 2), "e", (4, 3, 2)),
]


@pytest.mark.parametrize("equation, output_shape, bias_axes, shape", EQUATIONS)
@hypothesis.given(common_arguments(), RANKS)
@hypothesis.settings(max_examples=4)
def test_einsum_dense(equation, output_shape, bias_axes, shape, arguments, rank):
    if arguments.pop("use_bias"):
        arguments["bias_axes"] = bias_axes
    inputs = random_array((2, *shape))
    layer = keras_dprp.SVDEinsumDense(equation, output_shape, **arguments, rank=rank)
    layer.build(inputs.shape)
    assert_drop_in(layer, inputs)


@pytest.mark.parametrize("equation", ["abc,cbd->abd", "abc,cd->ad", "abc,ad->abcd"])
def test_an_equation_that_is_no_product_with_a_matrix_is_refused(equation):
    layer = keras_dprp.SVDEinsumDense(equation, (None,) * (len(equation) - 9) + (4,))
    with pytest.raises(ValueError, match=f"Received: '{equation}' is no product"):
        layer.build((None, 3, 4))


# Both forms of the forward pass: the merged kernel, and one after the other.
@pytest.mark.parametrize("mode", ["spatial", "channel"])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("rank, as_pair", [(1.0, False), (1, True)])
def test_both_forms_of_conv2d(rank, as_pair, strides, mode):
    inputs = random_array((2, *SIZES[:2], 4))
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
    layer.build((None, *SIZES[:2], channels))
    assert layer.trains_as_pair() is as_pair

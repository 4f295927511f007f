"""A folded model has the outputs of the factorised one, and stock layers only."""

import math
import subprocess
import sys

import hypothesis
import keras
import numpy as np
import pytest
from architectures import (
    MODES,
    assert_same_outputs,
    build,
    networks,
    outputs_of,
    random_inputs,
    with_random_factors,
    with_random_weights,
)
from hypothesis import strategies as st
from keras import layers
from small_models import every_layer

import keras_dprp as dprp

RANKS = st.one_of(st.none(), st.integers(1, 4), st.floats(0.1, 1.0))


def is_stock(model):
    return all(type(layer).__module__.startswith("keras.") for layer in model.layers)


@hypothesis.given(networks, RANKS, st.sampled_from(MODES))
def test_outputs_are_kept_at_any_rank(network, rank, mode):
    model = build(network)
    factorized = with_random_factors(every_layer(model, rank=rank, mode=mode))
    folded = dprp.fold(factorized)
    assert is_stock(folded)
    assert_same_outputs(folded, factorized)
    report = dprp.summary(factorized)
    counted = sum(math.prod(w.shape) for w in folded.weights)
    assert report.parameters == counted
    assert report.macs == sum(map(macs, folded.layers))


def macs(layer):
    """Multiply-accumulates of a stock layer, by its own count."""
    if isinstance(layer, layers.Conv2D):
        first = layer.data_format == "channels_first"
        sizes = layer.output.shape[2:] if first else layer.output.shape[1:3]
        return math.prod(sizes) * math.prod(layer.kernel.shape)
    return math.prod(layer.kernel.shape) if isinstance(layer, layers.Dense) else 0


def one_convolution(rank, **arguments):
    arguments = {"activation": "relu", "name": "conv", "padding": "same", **arguments}
    layer = dprp.SVDConv2D(8, 3, rank=rank, **arguments)
    return with_random_weights(keras.Sequential([keras.Input((6, 6, 8)), layer]))


def test_a_pair_is_named_after_its_layer_and_ends_as_it_did():
    first, last = dprp.fold(one_convolution(rank=2)).layers
    assert (first.name, last.name) == ("conv_first", "conv")
    assert (first.kernel_size, last.kernel_size) == ((3, 1), (1, 3))
    assert first.filters == 2
    assert first.activation is keras.activations.linear
    assert last.activation is keras.activations.relu
    assert (first.use_bias, last.use_bias) == (False, True)


def test_the_channel_pair():
    first, last = dprp.fold(one_convolution(rank=2, mode="channel")).layers
    assert (first.kernel_size, last.kernel_size) == ((3, 3), (1, 1))


def test_a_rank_too_high_to_pay_becomes_one_layer():
    model = one_convolution(rank=None)
    (layer,) = dprp.fold(model).layers
    assert layer.name == "conv"
    np.testing.assert_allclose(layer.kernel, model.layers[0].kernel, atol=1e-6)


def test_both_kernels_of_a_pair_have_a_like_range():
    first, last = dprp.fold(one_convolution(rank=2)).layers
    norms = [np.linalg.norm(layer.kernel) for layer in (first, last)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_a_name_that_is_taken_is_left_alone():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(6, name="a_first"),
            dprp.SVDDense(6, rank=1, name="a"),
        ]
    )
    names = [layer.name for layer in dprp.fold(model).layers]
    assert names == ["a_first", "a_first_", "a"]


def nested_and_shared():
    x = inputs = keras.Input((6,), name="features")
    shared = dprp.SVDDense(6, rank=2, activation="tanh", name="shared")
    inner = keras.Sequential([keras.Input((6,)), shared], name="inner")
    outputs = {"near": shared(x), "far": inner(shared(x))}
    return with_random_weights(keras.Model(inputs, outputs))


def test_nested_and_shared_layers():
    model = nested_and_shared()
    folded = dprp.fold(model)
    assert_same_outputs(folded, model)
    assert set(folded(np.ones((1, 6)))) == {"near", "far"}
    # The two kernels and the bias of one pair, however often it is used.
    assert len(folded.weights) == 3


def test_a_stock_model_is_copied():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4)])
    folded = dprp.fold(model)
    assert folded is not model
    assert_same_outputs(folded, model)
    folded.layers[0].kernel.assign(np.zeros((6, 4)))
    assert np.abs(np.asarray(model.layers[0].kernel)).max() > 0


def test_the_factorised_model_is_left_as_it_was():
    model = one_convolution(rank=2)
    before = model.get_weights()
    folded = dprp.fold(model)
    folded.set_weights([np.zeros(w.shape) for w in folded.weights])
    for new, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_machine_without_this_package_reads_the_file(tmp_path):
    model = one_convolution(rank=2)
    x = random_inputs(model)
    dprp.fold(model).save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        "np.save('y.npy', keras.ops.convert_to_numpy(model(np.load('x.npy'))))\n"
        "assert not any(name.startswith('keras_dprp') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    actual = np.load(tmp_path / "y.npy")
    np.testing.assert_allclose(actual, outputs_of(model, x), atol=1e-5)


class Holder(layers.Layer):
    """A layer with a factorised layer inside, which no one can replace."""

    def __init__(self):
        super().__init__()
        self.inner = dprp.SVDDense(6, rank=1, name="inside")

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.inner(inputs)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: layers.Dense(2), TypeError, "Keras model"),
        (Subclassed, ValueError, "Received: .*Subclassed"),
        (lambda: keras.Sequential([layers.Dense(2)]), ValueError, "unbuilt"),
        (
            lambda: keras.Sequential([keras.Input((6,)), Holder()]),
            ValueError,
            "'inside'. inside another layer",
        ),
    ],
)
def test_bad_model(make, error, match):
    with pytest.raises(error, match=match):
        dprp.fold(make())

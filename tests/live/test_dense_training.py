"""Until kernels are factorised, a network learns as the stock one, bit for bit."""

import keras
import pytest
from every_optimizer import OPTIMIZERS
from small_models import (
    arrays,
    assert_identical,
    classification_data,
    compiled,
    convnet,
    every_layer,
    stock_weights,
    train,
)

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def assert_trains_as_stock(build, optimizer="SGD", **compile_arguments):
    stock = build()
    before = stock_weights(stock)
    # Before the stock model has learned.
    model = every_layer(stock)
    losses = [
        train(
            compiled(each, OPTIMIZERS[optimizer](), **compile_arguments), [], epochs=2
        ).history
        for each in (stock, model)
    ]
    assert losses[1] == losses[0]
    assert_identical(stock_weights(model), stock_weights(stock))
    assert all(
        (a != b).any() for a, b in zip(stock_weights(model), before, strict=True)
    )


NETWORKS = {
    "regularizers": {"regularizer": "l2"},
    "groups": {"groups": 2},
    "channels first": {"data_format": "channels_first"},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_layer(name):
    if name == "channels first" and ON_TENSORFLOW:
        pytest.skip("TensorFlow has no such convolution on a CPU.")
    assert_trains_as_stock(lambda: convnet(**NETWORKS[name]))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_other_precisions(policy):
    keras.config.set_dtype_policy(policy)
    try:
        assert_trains_as_stock(convnet)
    finally:
        keras.config.set_dtype_policy("float32")


# By XLA it is compiled on JAX anyway, and never on PyTorch.
SETTINGS = [{"run_eagerly": True}] + [{"jit_compile": True}] * ON_TENSORFLOW


@pytest.mark.parametrize("settings", SETTINGS)
def test_however_it_is_compiled(settings):
    assert_trains_as_stock(convnet, "Adam", **settings)


@pytest.mark.parametrize("first", ["the given model", "the copy"])
def test_neither_model_takes_the_weights_of_the_other(first):
    # JAX's training steps take the memory of the weights that they were given.
    stock = convnet()
    model = every_layer(stock)
    trained, other = (stock, model) if first == "the given model" else (model, stock)
    before = arrays(other.weights)
    train(compiled(trained), [], epochs=1)
    assert_identical(arrays(other.weights), before)
    other.predict(classification_data(other.input_shape[1:])[0], verbose=0)

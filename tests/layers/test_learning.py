"""How kernels learn: as stock kernels do in the warm-up."""

import keras
import numpy as np
import pytest
from gradients import outputs_and_gradients
from keras import ops
from small_models import compiled, train

import keras_dprp as dprp
from keras_dprp.layers import changes

LAYERS = {
    "tall": (lambda: dprp.SVDDense(4, **WITHOUT), (8, 6)),
    "wide": (lambda: dprp.SVDDense(6, **WITHOUT), (8, 4)),
    "convolution": (lambda: dprp.SVDConv2D(4, 3, **WITHOUT), (2, 6, 6, 3)),
    "channel": (lambda: dprp.SVDConv2D(9, 2, mode="channel", **WITHOUT), (2, 6, 6, 3)),
    "groups": (lambda: dprp.SVDConv2D(4, 3, groups=2, **WITHOUT), (2, 6, 6, 4)),
}
WITHOUT = {"structure": None, "compression": None}


def moved_kernel(layer, inputs, cotangent, rate):
    """How far one small step of gradient descent moves the kernel, over the rate."""
    before = ops.convert_to_numpy(layer.kernel)
    _, _, gradients = outputs_and_gradients(layer, inputs, cotangent)
    for variable in layer.trainable_variables:
        variable.assign_sub(rate * gradients[variable.name])
    return (ops.convert_to_numpy(layer.kernel) - before) / rate


def stock_step(layer, inputs, cotangent):
    """The same of the stock layer."""
    stock = layer.stock_layer()
    stock.build(inputs.shape)
    stock.kernel.assign(layer.kernel)
    _, _, gradients = outputs_and_gradients(stock, inputs, cotangent)
    return -gradients["kernel"]


def built(name):
    """A layer, inputs, and what its outputs are multiplied by in the loss."""
    make, shape = LAYERS[name]
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=shape).astype("float32")
    layer = make()
    outputs = layer(inputs)
    return layer, inputs, rng.normal(size=outputs.shape).astype("float32")


@pytest.mark.parametrize("name", LAYERS)
def test_a_kernel_that_learns_alone_takes_the_stock_step(name):
    layer, inputs, cotangent = built(name)
    for change in changes.to_kernel(layer):
        change.variable.assign(change.value)
    layer.learn_as("kernel")
    expected = stock_step(layer, inputs, cotangent)
    moved = moved_kernel(layer, inputs, cotangent, rate=1e-3)
    np.testing.assert_allclose(moved, expected, atol=1e-3 * np.abs(expected).max())


def test_outputs_do_not_depend_on_how_a_layer_learns():
    # Factors need not be what that way has them: weights can be loaded at any time.
    layer, inputs, _ = built("convolution")
    before = ops.convert_to_numpy(layer(inputs))
    layer.learn_as("kernel")
    np.testing.assert_allclose(layer(inputs), before, atol=1e-6)


@pytest.mark.parametrize("decay", [None, "l2"])
@pytest.mark.parametrize(
    "optimizer", [lambda: keras.optimizers.SGD(0.05, 0.9), lambda: "adam"]
)
def test_a_warm_up_is_the_training_of_the_stock_model(optimizer, decay):
    stock = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(8, 3, activation="relu", kernel_regularizer=decay),
            keras.layers.Conv2D(3, 3, activation="relu", kernel_regularizer=decay),
            keras.layers.Flatten(),
            keras.layers.Dense(4, kernel_regularizer=decay),
        ]
    )
    model = dprp.factorize(stock)
    pruning = dprp.RankPruningCallback(0.6, start=3, stop=3, verbose=0)
    losses = [
        train(compiled(each, optimizer()), callbacks, epochs=5).history["loss"]
        for each, callbacks in ((stock, []), (model, [pruning]))
    ]
    np.testing.assert_allclose(losses[1][:3], losses[0][:3], rtol=1e-4)
    assert dprp.summary(model).parameters_kept <= 0.6

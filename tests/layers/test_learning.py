"""Until ranks fall, kernels learn as stock kernels do."""

import keras
import numpy as np
import pytest
from gradients import outputs_and_gradients
from keras import ops
from small_models import (
    AtEpoch,
    classification_data,
    compiled,
    factorized,
    factorized_layers,
    perceptron,
    prune_at,
    train,
)

import keras_dprp as dprp
from keras_dprp.layers import changes

LAYERS = {
    "tall": (lambda: dprp.SVDDense(4, **WITHOUT), (8, 6)),
    "wide": (lambda: dprp.SVDDense(6, **WITHOUT), (8, 4)),
    "convolution": (lambda: dprp.SVDConv2D(4, 3, **WITHOUT), (2, 6, 6, 3)),
    "channel": (lambda: dprp.SVDConv2D(9, 2, mode="channel", **WITHOUT), (2, 6, 6, 3)),
    "groups": (lambda: dprp.SVDConv2D(4, 3, groups=2, **WITHOUT), (2, 6, 6, 4)),
    # One of the factors of these is the identity from the beginning.
    "one unit": (lambda: dprp.SVDDense(1, **WITHOUT), (8, 6)),
    "identity": (
        lambda: dprp.SVDDense(
            6, kernel_initializer=keras.initializers.Identity(3.0), **WITHOUT
        ),
        (8, 6),
    ),
    "zeros": (lambda: dprp.SVDDense(4, kernel_initializer="zeros", **WITHOUT), (8, 6)),
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
    layer.learn_dense(True)
    expected = stock_step(layer, inputs, cotangent)
    moved = moved_kernel(layer, inputs, cotangent, rate=1e-3)
    np.testing.assert_allclose(moved, expected, atol=1e-3 * np.abs(expected).max())


def small_network(regularizer=None, head="glorot_uniform"):
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(
                8, 3, activation="relu", kernel_regularizer=regularizer
            ),
            keras.layers.Conv2D(3, 3, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, kernel_initializer=head),
        ]
    )


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, 0.9),
    "sgd with decay": lambda: keras.optimizers.SGD(0.05, 0.9, weight_decay=0.5),
    "adam": lambda: "adam",
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=1.0),
    "mean weights": lambda: keras.optimizers.SGD(0.05, use_ema=True),
}
NETWORKS = {
    "plain": small_network,
    "regularizer": lambda: small_network(regularizer="l2"),
    "zeros": lambda: small_network(head="zeros"),
}


@pytest.mark.parametrize(
    ("optimizer", "network"),
    [
        *((name, "plain") for name in OPTIMIZERS),
        *(("sgd", each) for each in NETWORKS if each != "plain"),
    ],
)
def test_a_warm_up_is_the_training_of_the_stock_model(optimizer, network):
    stock = NETWORKS[network]()
    model = dprp.factorize(stock, structure=None, compression=None)
    kernels = []

    def look(logs):
        kernels.append(
            [layer.to_matrix(layer.kernel) for layer in factorized_layers(model)]
        )

    callbacks = [AtEpoch(3, begin=look), prune_at(3), AtEpoch(3, begin=look)]
    losses = [
        train(compiled(each, OPTIMIZERS[optimizer]()), callbacks, epochs=5).history
        for each, callbacks in ((stock, []), (model, callbacks))
    ]
    expected, ours = (np.array(each["loss"]) for each in losses)
    np.testing.assert_allclose(ours[:3], expected[:3], rtol=1e-4)
    assert np.isfinite(ours).all()
    # The event takes from every kernel what the lower rank does, and no more.
    assert dprp.summary(model).parameters_kept <= 0.6
    for layer, before, after in zip(factorized_layers(model), *kernels, strict=True):
        U, s, Vt = np.linalg.svd(before, full_matrices=False)
        truncated = (U * s)[:, : layer.rank] @ Vt[: layer.rank]
        np.testing.assert_allclose(after, truncated, atol=1e-5)


def warmed_up():
    """A model whose training has been stopped in its warm-up."""
    keras.utils.set_random_seed(0)
    model = factorized(perceptron(), "adam")

    def stop(logs):
        model.stop_training = True

    train(model, [prune_at(4), AtEpoch(1, end=stop)], epochs=8)
    return model


def test_a_model_saved_in_the_warm_up_goes_on_as_the_one_in_memory(tmp_path):
    model = warmed_up()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(*map(factorized_layers, (model, loaded)), strict=True):
        assert one.learns_dense
        expected = np.linalg.svd(one.to_matrix(one.kernel), compute_uv=False)
        np.testing.assert_allclose(other.singular_values(), expected, rtol=1e-4)
    losses = [train(each, [], epochs=2).history["loss"] for each in (model, loaded)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def by_file(source, target, folder):
    source.save_weights(folder / "model.weights.h5")
    target.load_weights(folder / "model.weights.h5")


def at_once(source, target, folder):
    target.set_weights(source.get_weights())


def by_layer(source, target, folder):
    for one, other in zip(source.layers, target.layers, strict=True):
        other.set_weights(one.get_weights())


WAYS = [by_file, at_once, by_layer]


@pytest.mark.parametrize("copy", WAYS)
def test_weights_of_factors_learn_by_their_factors_wherever_they_go(copy, tmp_path):
    source, target = factorized(perceptron(), "adam"), warmed_up()
    train(source, [], epochs=1)
    copy(source, target, tmp_path)
    x, _ = classification_data()
    expected = source.predict(x, verbose=0)
    assert not any(layer.learns_dense for layer in factorized_layers(target))
    np.testing.assert_allclose(target.predict(x, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("copy", WAYS)
def test_weights_of_a_warm_up_learn_as_in_it_wherever_they_go(copy, tmp_path):
    source, target = warmed_up(), factorized(perceptron(), "adam")
    # What its optimizer remembers of s and the bases would move them on.
    train(target, [], epochs=2)
    copy(source, target, tmp_path)
    train(target, [], epochs=2)
    for layer in factorized_layers(target):
        assert layer.learns_dense
        np.testing.assert_array_equal(layer.s, np.ones(layer.rank))


ALMOST_DENSE = {
    "s is not ones": {"kernel_initializer": keras.initializers.Identity(3.0)},
    "no basis is the identity": {"kernel_initializer": "orthogonal"},
}


@pytest.mark.parametrize("name", ALMOST_DENSE)
def test_factors_that_only_look_like_a_kernel_learn_as_factors(name, tmp_path):
    layer = dprp.SVDDense(6, **ALMOST_DENSE[name])
    model = compiled(keras.Sequential([keras.Input((6,)), layer]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.layers[-1].learns_dense


def test_a_fit_that_begins_after_the_warm_up_learns_by_factors():
    model = warmed_up()
    x, _ = classification_data()
    expected = model.predict(x, verbose=0)
    seen = {}

    def look(logs):
        seen["dense"] = [layer.learns_dense for layer in factorized_layers(model)]
        seen["outputs"] = model.predict(x, verbose=0)

    pruning = dprp.RankPruningCallback(0.5, start=1, stop=6, every=3, verbose=0)
    train(model, [pruning, AtEpoch(2, begin=look)], epochs=8, initial_epoch=2)
    assert not any(seen["dense"])
    np.testing.assert_allclose(seen["outputs"], expected, atol=1e-5)
    assert dprp.summary(model).parameters_kept <= 0.5

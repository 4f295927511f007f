"""Two devices in one process; `test_two_devices.py` runs this in one of its own.

How many devices there are must be said before a backend starts.
"""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers
from small_models import (
    arrays,
    assert_identical,
    compiled,
    deep_perceptron,
    every_layer,
    factorized_layers,
    prune_at,
    ranks,
    slots,
    stock_weights,
    train,
)

import keras_dprp as dprp

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
else:
    import jax

    jax.config.update("jax_num_cpu_devices", 2)

mirrored = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's own."
)
sharded = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX's own.")


# MirroredStrategy: what one device would do, half of every batch on each.


@pytest.fixture(scope="module")
def strategy():
    # One for all: TensorFlow mixes up what two of them exchange.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def on_one_and_two(strategy, run):
    """What a function returns for a model on one device, and on two."""
    results = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        keras.utils.set_random_seed(0)
        with scope:
            results.append(run())
    return results


def normalized(regularizer="l2"):
    """With layers that have something to exchange in the middle of a step."""
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(24, "tanh", kernel_regularizer=regularizer),
            layers.BatchNormalization(),
            layers.Dense(24, "tanh", kernel_regularizer=regularizer),
            layers.Dense(4),
        ]
    )


def both_halves_alike():
    """Data with which the statistics of half a batch are those of all of it."""
    rng = np.random.default_rng(0)
    halves = rng.normal(size=(4, 1, 4, 6)).repeat(2, axis=1)
    labels = rng.integers(0, 4, (4, 1, 4)).repeat(2, axis=1)
    return {"x": halves.reshape(-1, 6), "y": labels.reshape(-1)}


@mirrored
def test_dense_epochs_are_the_stock_models(strategy):
    with strategy.scope():
        stock = deep_perceptron()
        model = every_layer(stock)
        models = [compiled(each, "adam") for each in (stock, model)]
    losses = [train(each, [], epochs=2).history["loss"] for each in models]
    assert losses[0] == losses[1]
    assert_identical(*[stock_weights(each) for each in models])


@mirrored
def test_an_event_is_what_it_is_on_one_device(strategy):
    added = []

    class Added(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            added.append([x.added() for x in self.model.layers if hasattr(x, "added")])

    def run():
        model = compiled(every_layer(normalized(), teacher="self"), "adam")
        losses = train(model, [Added(), prune_at(1)], **both_halves_alike()).history
        return losses["loss"], ranks(model), arrays(model.trainable_variables)

    one, two = on_one_and_two(strategy, run)
    assert sum(one[1]) < 6 + 24 + 4
    assert two[1] == one[1]
    np.testing.assert_allclose(two[0], one[0], rtol=1e-4)
    for a, b in zip(one[2], two[2], strict=True):
        np.testing.assert_allclose(b, a, atol=1e-3)
    # What the callback takes off the loss.
    np.testing.assert_allclose(added[3:], added[:3], rtol=1e-3)
    assert added[1][0] > 0


@mirrored
def test_the_loss_has_the_penalties_once(strategy):
    def run():
        model = every_layer(normalized(), rank=0.5, **dprp.penalties.PAPER)
        compiled(model, keras.optimizers.SGD(0.1))
        losses = train(model, [], **both_halves_alike()).history["loss"]
        penalized = factorized_layers(model)
        terms = [[x.structure_penalty(), x.compression_penalty()] for x in penalized]
        return losses, terms, arrays(model.trainable_variables)

    one, two = on_one_and_two(strategy, run)
    np.testing.assert_allclose(two[0], one[0], rtol=1e-4)
    assert np.sum(one[1]) > 0.01
    np.testing.assert_allclose(two[1], one[1], rtol=1e-3)
    for a, b in zip(one[2], two[2], strict=True):
        np.testing.assert_allclose(b, a, atol=1e-4)


# ModelParallel: layers whose variables are shared out.


@pytest.fixture
def shared_out(request):
    """A model whose bases are shared among both devices along an axis."""
    devices = keras.distribution.list_devices()
    mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"], devices)
    layout_map = keras.distribution.LayoutMap(mesh)
    layout_map[".*/[UV]"] = request.param
    distribution = keras.distribution.ModelParallel(
        layout_map=layout_map, batch_dim_name="batch"
    )
    with distribution.scope():
        yield compiled(every_layer(deep_perceptron()), "adam")


BY_ROWS, BY_RANKS = ("model", None), (None, "model")


@sharded
@pytest.mark.parametrize("shared_out", [BY_ROWS, BY_RANKS], indirect=True)
def test_shares_stay_shares_through_an_event(shared_out):
    model = shared_out
    layer = model.get_layer("second")
    layout = layer.U.value.sharding
    losses = train(model, [prune_at(1, multiple_of=2)]).history["loss"]
    assert losses == sorted(losses, reverse=True)
    assert layer.rank < 24
    for variable in (layer.U, *slots(model, layer, "U")):
        assert variable.value.sharding == layout
        assert not variable.value.is_fully_replicated


@sharded
@pytest.mark.parametrize("shared_out", [BY_RANKS], indirect=True)
def test_a_rank_that_cannot_be_shared_is_an_error_that_changes_nothing(shared_out):
    model = shared_out
    train(model, [], epochs=1)
    everything = [*model.weights, *model.optimizer.variables]
    before = arrays(everything)
    with pytest.raises(ValueError, match="multiple_of=2.*Received: rank 5.*'second'"):
        dprp.prune(model, target=0.6)
    assert_identical(arrays(everything), before)
    with pytest.raises(ValueError, match="multiple_of=2"):
        train(model, [prune_at(0)], epochs=1)
    losses = train(model, [], epochs=2).history["loss"]
    assert losses[1] < losses[0]

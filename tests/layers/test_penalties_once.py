"""Penalties enter the loss once a step, however often a layer is used."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_dprp

INPUTS = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
TARGETS = np.zeros((8, 4), "float32")


class One(keras_dprp.penalties.Penalty):
    """A penalty of which every count shows."""

    def __call__(self, U, s, V, kept_rank):
        return 1.0 + 0.0 * ops.sum(s)


class UsedTwice(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        return self.layer(self.layer(inputs))


class UsedTwiceInTraining(UsedTwice):
    """Only a model that takes `training` can say that it is evaluated."""

    def call(self, inputs, training=None):
        return self.layer(self.layer(inputs, training=training), training=training)


def chained(layer, times):
    inputs = outputs = keras.Input((4,))
    for _ in range(times):
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


MODELS = {
    "used once": lambda layer: chained(layer, 1),
    "used three times": lambda layer: chained(layer, 3),
    "in a nested model used twice": lambda layer: chained(chained(layer, 2), 2),
    "in a subclassed model": UsedTwice,
    "in a subclassed model that takes `training`": UsedTwiceInTraining,
}


def penalized_layer():
    return keras_dprp.SVDDense(
        4,
        rank=2,
        structure=One(2.0),
        compression=One(3.0),
        kernel_regularizer=keras.regularizers.L2(0.5),
    )


# PyTorch's compiler warns of Keras's own code.
OPTIONS = [{}, {"run_eagerly": True}]
if keras.backend.backend() != "torch":
    OPTIONS.append({"jit_compile": True})


def expected_regularizer(layer):
    return 0.5 * np.square(ops.convert_to_numpy(layer.kernel)).sum()


def expected_penalty(layer):
    return 5.0 + expected_regularizer(layer)


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def make(request):
    return request.param


@pytest.mark.parametrize("options", OPTIONS)
def test_penalties_count_once(make, options):
    layer = penalized_layer()
    model = make(layer)
    # Nothing moves, so that every loss is of the same weights.
    model.compile(keras.optimizers.SGD(0.0), "mse", **options)
    task = np.mean(np.square(model.predict(INPUTS, verbose=0)))
    losses = [
        model.train_on_batch(INPUTS, TARGETS),
        model.train_on_batch(INPUTS, TARGETS),
        *model.fit(INPUTS, TARGETS, batch_size=4, epochs=2, verbose=0).history["loss"],
    ]
    expected = task + expected_penalty(layer)
    np.testing.assert_allclose(losses, np.full(4, expected), rtol=1e-5)
    # As a callback reads them, after a training step.
    assert layer.structure_penalty() == 2.0
    assert layer.compression_penalty() == 3.0


@pytest.mark.parametrize("options", OPTIONS)
def test_the_validation_loss_has_the_regularizer_and_no_penalty(make, options):
    if make is UsedTwice:
        pytest.skip("It does not take `training`.")
    layer = penalized_layer()
    model = make(layer)
    model.compile(keras.optimizers.SGD(0.0), "mse", **options)
    task = np.mean(np.square(model.predict(INPUTS, verbose=0)))
    data = {"validation_data": (INPUTS, TARGETS), "verbose": 0}
    losses = [
        model.test_on_batch(INPUTS, TARGETS),
        model.evaluate(INPUTS, TARGETS, batch_size=4, verbose=0),
        *model.fit(INPUTS, TARGETS, **data).history["val_loss"],
    ]
    expected = task + expected_regularizer(layer)
    np.testing.assert_allclose(losses, np.full(3, expected), rtol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="It traces what it compiles."
)
def test_a_model_can_be_traced_outside_of_keras():
    layer = penalized_layer()
    model = chained(layer, 1)
    model.compile("sgd", "mse")
    expected = ops.convert_to_numpy(model(INPUTS))
    if keras.backend.backend() == "jax":
        import jax

        traced = jax.jit(lambda x: model(x))
    else:
        import tensorflow

        traced = tensorflow.function(model)
    np.testing.assert_allclose(traced(INPUTS), expected, rtol=1e-5)
    # The trace has left nothing behind.
    assert np.isfinite(model.evaluate(INPUTS, TARGETS, verbose=0))
    assert np.isfinite(layer.structure_penalty())


def test_layer_called_by_hand_has_the_loss_of_one_call():
    layer = penalized_layer()
    for _ in range(2):
        layer(INPUTS)
        total = ops.convert_to_numpy(sum(layer.losses))
        np.testing.assert_allclose(total, expected_penalty(layer), rtol=1e-5)


def test_frozen_layer_adds_no_loss():
    layer = penalized_layer()
    model = chained(layer, 2)
    layer.trainable = False
    model.compile("sgd", "mse")
    task = np.mean(np.square(model.predict(INPUTS, verbose=0)))
    loss = model.evaluate(INPUTS, TARGETS, verbose=0)
    np.testing.assert_allclose(loss, task, rtol=1e-5)


def test_regularizers_equal_those_of_the_stock_layer():
    options = {
        "kernel_regularizer": "l1",
        "bias_regularizer": "l2",
        "activity_regularizer": "l2",
        "bias_initializer": "ones",
    }
    layer = keras_dprp.SVDDense(4, **options)
    stock = keras.layers.Dense(4, **options)
    models = [chained(each, 2) for each in (layer, stock)]
    stock.set_weights([ops.convert_to_numpy(w) for w in (layer.kernel, layer.bias)])
    for model in models:
        model.compile("sgd", "mse")
    losses = [model.evaluate(INPUTS, TARGETS, verbose=0) for model in models]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_penalties_can_be_switched_off_and_on():
    layer = penalized_layer()
    model = chained(layer, 1)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    whole = model.train_on_batch(INPUTS, TARGETS)
    for act, expected in ((False, whole - 5.0), (True, whole)):
        layer.let_penalties_act(act)
        loss = model.train_on_batch(INPUTS, TARGETS)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
        assert layer.structure_penalty() == (2.0 if act else 0.0)


def test_a_dense_layer_pays_no_penalty():
    layer = keras_dprp.SVDDense(4, structure=One(2.0), compression=One(3.0))
    model = chained(layer, 1)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    zeros = np.zeros_like(INPUTS)
    assert model.train_on_batch(zeros, TARGETS) == 0.0
    assert layer.structure_penalty() == layer.compression_penalty() == 0.0

"""Tiny models and data that train in a second."""

import keras
import numpy as np

import keras_dprp as dprp

SAMPLES, BATCH = 32, 8


def classification_data(shape=(6,), classes=4, samples=SAMPLES):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, *shape)).astype("float32")
    return x, rng.integers(0, classes, samples)


def perceptron(ratio=0.5):
    """Two layers that can be factorised; singular values fall by `ratio`."""
    layers = [
        keras.Input((6,)),
        keras.layers.Dense(12, activation="tanh", name="hidden"),
        keras.layers.Dense(4, name="logits"),
    ]
    return with_decaying_spectra(keras.Sequential(layers), ratio)


def convnet():
    """Two convolutions and a dense layer on 6 x 6 images of two channels."""
    layers = [
        keras.Input((6, 6, 2)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
        keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="second"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, name="logits"),
    ]
    return keras.Sequential(layers)


def with_decaying_spectra(model, ratio):
    """The model with kernels whose singular values fall from one to the next."""
    for layer in model.layers:
        U, s, Vt = np.linalg.svd(np.asarray(layer.kernel), full_matrices=False)
        layer.kernel.assign(U * (s[0] * ratio ** np.arange(len(s))) @ Vt)
    return model


def factorized(model, optimizer="sgd", factorize=None, **compile_arguments):
    """The factorised model, compiled for `classification_data`."""
    model = dprp.factorize(model, **(factorize or {}))
    return compiled(model, optimizer, **compile_arguments)


def compiled(model, optimizer="sgd", **compile_arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **compile_arguments)
    return model


def train(model, callbacks, epochs=3, x=None, y=None, **arguments):
    """A `fit` without shuffling, so that it can be repeated."""
    if x is None:
        x, y = classification_data(model.input_shape[1:])
    arguments = {"batch_size": BATCH, "shuffle": False, "verbose": 0} | arguments
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **arguments)


def prune_at(epoch, target=0.6, **arguments):
    """A callback with one event."""
    return dprp.RankPruningCallback(
        target=target, start=epoch, stop=epoch, verbose=0, **arguments
    )


def factorized_layers(model):
    return [layer for layer in model.layers if hasattr(layer, "rank")]


def ranks(model):
    return [layer.rank for layer in factorized_layers(model)]


def slots(model, layer, name):
    """The optimizer's variables for one variable of a layer."""
    own = f"{layer.name}_{name}_"
    return [v for v in model.optimizer.variables if own in v.name]


def arrays(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


class AtEpoch(keras.callbacks.Callback):
    """Calls a function at the beginning or end of one epoch."""

    def __init__(self, epoch, begin=None, end=None):
        super().__init__()
        self.epoch, self.begin, self.end = epoch, begin, end

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch and self.begin is not None:
            self.begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch and self.end is not None:
            self.end(logs)

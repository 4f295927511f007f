"""Tiny models and data that train in a second."""

import keras
import numpy as np

import keras_dprp as dprp
from keras_dprp.layers import SVDLayer

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


def deep_perceptron():
    """Three layers, one with enough ranks for two events."""
    layers = [
        keras.Input((6,)),
        keras.layers.Dense(24, activation="tanh", name="first"),
        keras.layers.Dense(24, activation="tanh", name="second"),
        keras.layers.Dense(4, name="logits"),
    ]
    return keras.Sequential(layers)


def convnet(groups=1, data_format="channels_last", regularizer=None, hidden=None):
    """A convolution and a dense layer, or two, on 5 x 5 images of two channels."""
    shape = (5, 5, 2) if data_format == "channels_last" else (2, 5, 5)
    layers = [
        keras.Input(shape),
        keras.layers.Conv2D(
            6,
            3,
            groups=groups,
            data_format=data_format,
            kernel_regularizer=regularizer,
            bias_regularizer=regularizer,
            activation="relu",
            name="conv",
        ),
        keras.layers.Flatten(data_format),
        keras.layers.Dense(4, kernel_regularizer=regularizer, name="logits"),
    ]
    if hidden:
        layers.insert(-1, keras.layers.Dense(hidden, "tanh", name="hidden"))
    return keras.Sequential(layers)


def deep_convnet():
    """A convolution and two dense layers, with ranks for two events."""
    return convnet(hidden=24)


def with_decaying_spectra(model, ratio=0.5):
    """The model with kernels whose singular values fall from one to the next."""
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = np.asarray(layer.kernel)
            U, s, Vt = np.linalg.svd(as_matrix(kernel), full_matrices=False)
            matrix = U * (s[0] * ratio ** np.arange(len(s))) @ Vt
            layer.kernel.assign(as_kernel(matrix, kernel.shape))
    return model


def as_matrix(kernel):
    """The matrix of a kernel, of a convolution in spatial mode."""
    if kernel.ndim == 2:
        return kernel
    height, width, channels, filters = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(height * channels, width * filters)


def as_kernel(matrix, shape):
    """The kernel of a matrix."""
    if len(shape) == 2:
        return matrix
    height, width, channels, filters = shape
    blocks = matrix.reshape(height, channels, width, filters)
    return blocks.transpose(0, 2, 1, 3)


def every_layer(model, **arguments):
    """The model with every kernel in a layer that can be factorised, outputs' too."""
    return dprp.factorize(model, **{"filters": ".*", **arguments})


def factorized(model, optimizer="sgd", factorize=None, **compile_arguments):
    """The same, compiled for `classification_data`."""
    model = every_layer(model, **(factorize or {}))
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
    return [layer for layer in model.layers if isinstance(layer, SVDLayer)]


def ranks(model):
    return [layer.rank for layer in factorized_layers(model)]


def slots(model, layer, name):
    """The optimizer's variables for one variable of a layer."""
    own = f"{layer.name}_{name}_"
    return [v for v in model.optimizer.variables if own in v.name]


def arrays(variables):
    # Copies: on JAX a training step takes the memory of what it was given.
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def stock_weights(model):
    """Kernels and biases of a model, whatever its layers are."""
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    return arrays(x for layer in layers for x in (layer.kernel, layer.bias))


def assert_identical(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


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

"""Factorised layers in models written by hand, with and without a known input."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_dprp

IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype("float32")
LABELS = np.arange(8) % 3


class Subclassed(keras.Model):
    def __init__(self, layers):
        super().__init__()
        self.inner = layers

    def call(self, inputs):
        for layer in self.inner:
            inputs = layer(inputs)
        return inputs


def functional(layers):
    inputs = outputs = keras.Input((6, 6, 2))
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


MODELS = {
    "functional": functional,
    "Sequential": lambda layers: keras.Sequential([keras.Input((6, 6, 2)), *layers]),
    "Sequential without Input": keras.Sequential,
    "subclassed": Subclassed,
}


def layers(**options):
    """A small classifier; options go to its factorised layers."""
    seed = keras.initializers.HeNormal(seed=7)
    return [
        keras_dprp.SVDConv2D(4, 3, kernel_initializer=seed, **options),
        keras.layers.GlobalAveragePooling2D(),
        keras_dprp.SVDDense(3, kernel_initializer=seed, **options),
    ]


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def make(request):
    return request.param


def test_fit_learns_and_keeps_ranks(make):
    inner = layers(rank=2)
    model = make(inner)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss)
    history = model.fit(IMAGES, LABELS, batch_size=4, epochs=6, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert inner[0].rank == inner[2].rank == 2
    assert inner[0].U.shape == (6, 2)
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0),
        ops.convert_to_numpy(model(IMAGES)),
        atol=1e-5,
    )


def test_initial_kernel_is_what_the_initializer_draws(make):
    inner = layers()
    model = make(inner)
    model.compile(loss="mse")
    # Built in the middle of a compiled step, where Keras has to be told nothing.
    model.evaluate(IMAGES, np.zeros((8, 3)), verbose=0)
    for layer in (inner[0], inner[2]):
        drawn = layer.kernel_initializer(layer.kernel.shape)
        np.testing.assert_allclose(
            ops.convert_to_numpy(layer.kernel), ops.convert_to_numpy(drawn), atol=1e-6
        )


def test_initializer_that_fails_is_heard(make):
    def fail(shape, dtype=None):
        raise RuntimeError("drawn in vain")

    with pytest.raises(RuntimeError, match="drawn in vain"):
        model = make([keras_dprp.SVDConv2D(4, 3, kernel_initializer=fail)])
        model.compile(loss="mse")
        model.evaluate(IMAGES, np.zeros((8, 4, 4, 4)), verbose=0)


def test_initializer_of_numpy_arrays(make):
    def ramp(shape, dtype=None):
        return np.linspace(-1, 1, np.prod(shape), dtype="float32").reshape(shape)

    layer = keras_dprp.SVDDense(5, kernel_initializer=ramp)
    model = make([layer])
    model.compile(loss="mse")
    model.evaluate(IMAGES, np.zeros((8, 6, 6, 5)), verbose=0)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.kernel), ramp((2, 5)), atol=1e-6
    )

"""Teachers of the CIFAR-10 example: a trained network, and the network itself."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.bright_images import bright_images


def linear_teacher(factor):
    """A network whose answers are its inputs, four of them, times a factor."""
    kernel = keras.initializers.Identity(factor)
    dense = layers.Dense(4, use_bias=False, kernel_initializer=kernel)
    return keras.Sequential([keras.Input((4,)), dense])


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def test_a_teacher_draws_logits_towards_its_own(examples, logits):
    import teachers

    layer = teachers.Distillation(linear_teacher(1.0))
    images = ops.convert_to_tensor(logits)
    same = layer(images, images, training=True)
    np.testing.assert_allclose(same, logits, atol=1e-6)
    np.testing.assert_allclose(layer.losses[0], 0.0, atol=1e-5)
    distances = []
    for way in (0.5, 1.0):
        layer(images, (1 + way) * images, training=True)
        distances.append(float(layer.losses[-1]))
    assert 0 < distances[0] < distances[1]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_of_the_labels_gradient_the_rest_is_left(share, examples, logits):
    import teachers

    inputs = keras.Input((4,))
    # A kernel of which the gradient can be seen in the step of an optimizer.
    dense = layers.Dense(4, use_bias=False, kernel_initializer="identity")
    layer = teachers.Distillation(linear_teacher(0.0), share)
    model = keras.Model(inputs, layer(inputs, dense(inputs)))
    labels = np.arange(6) % 4
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss)
    model.fit(logits, labels, batch_size=6, verbose=0)
    step = np.eye(4) - np.asarray(dense.get_weights()[0])
    hard = softmax(logits) - np.eye(4)[labels]
    soft = softmax(logits / teachers.TEMPERATURE) - 0.25
    expected = (1 - share) * hard + share * teachers.TEMPERATURE * soft
    np.testing.assert_allclose(step, logits.T @ expected / 6, atol=1e-5)


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=-1, keepdims=True)


def test_no_teacher_outside_training(examples, logits):
    import teachers

    layer = teachers.Distillation(linear_teacher(0.0))
    images = ops.convert_to_tensor(logits)
    np.testing.assert_array_equal(layer(images, images), logits)
    assert not layer.losses


class Watched(keras.callbacks.Callback):
    """Answers of the network at the end of an epoch."""

    def __init__(self, images, epoch):
        super().__init__()
        self.images, self.epoch = images, epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.answers = answers_of(self.model, self.images)


def answers_of(model, images):
    # Without `predict`, which would take `fit`'s place in the middle of it.
    return ops.convert_to_numpy(model(ops.convert_to_tensor(images), training=False))


@pytest.mark.parametrize("method", ["dense", "dprp"])
def test_a_network_learns_from_what_it_was(method, examples, tmp_path):
    import cifar10
    import teachers

    np.savez(tmp_path / "data.npz", **bright_images(4, train=80, test=20))
    pruning = {"target": 0.5, "metric": "macs", "stop": 3}
    settings = cifar10.Settings(
        str(tmp_path / "data.npz"),
        model="resnet8",
        method=method,
        epochs=5,
        own_teacher=2,
        pruning=pruning if method == "dprp" else {},
    )
    images = cifar10.load(settings)[1][0].astype("float32")
    watched = Watched(images, epoch=1)
    _, results, _, callback = cifar10.train(settings, [watched])
    layer = watched.model.layers[-1]
    assert isinstance(layer, teachers.Distillation)
    np.testing.assert_allclose(
        answers_of(layer.teacher, images), watched.answers, atol=1e-4
    )
    assert float(layer.share) == teachers.SHARE
    if callback is not None:
        assert callback.schedule.start == settings.own_teacher
        assert results["macs_kept"] <= 0.5


def test_a_network_is_pruned_after_it_is_its_own_teacher(examples):
    import cifar10

    settings = cifar10.Settings("", epochs=200, own_teacher=150)
    assert cifar10.phase(settings) == {"start": 150, "stop": 170}
    assert cifar10.phase(cifar10.Settings("", epochs=200)) == {}


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"teacher": "x.keras"}, "must have one teacher. Received: teacher='x.keras'"),
        ({"pruning": {"start": 9}}, "must have its full rank"),
        ({"factorize": {"rank": 0.5}}, "must have its full rank"),
    ],
)
def test_settings_that_would_fail_late(arguments, match, examples):
    import cifar10

    with pytest.raises(ValueError, match=match):
        cifar10.Settings("", own_teacher=10, **arguments)


def test_learning_rates_fall_to_zero_once_and_twice(examples):
    import learning_rates

    once = learning_rates.cosine(0.3, epochs=5, steps=4)
    rates = [float(once(step)) for step in range(21)]
    # The first epoch of four steps warms up.
    assert rates[0] == rates[20] == 0.0
    assert max(rates) == rates[4] == pytest.approx(0.3)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    other = learning_rates.cosine(0.1, epochs=3, steps=4)
    twice = learning_rates.OneAfterAnother(once, other, 20)
    expected = rates[:20] + [float(other(step)) for step in range(12)]
    actual = [float(twice(step)) for step in range(32)]
    np.testing.assert_allclose(actual, expected, atol=1e-7)

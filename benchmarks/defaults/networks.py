"""Small networks, each with data and a training of seconds on one processor core.

They differ in what a rule for ranks may stumble over: trained by Adam, a kernel keeps
the flat spectrum of its initial values; `residual` has shortcuts; `convnet` learns by
SGD from images that are noisy anew each time, and never knows them by heart; in `unet`
few parameters do most of the work; `autoencoder` is a regression.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# Of pixels in [0, 1], in training (each time anew) and in the test images.
NOISE = 0.3
VARIANCE = float(np.var(load_digits().images / 16))


@dataclass
class Task:
    """A network that has not learned yet, and all that its training needs.

    Args:
        model: A Keras model, not compiled.
        training: Inputs and targets.
        test: Inputs and targets.
        loss: A Keras loss.
        metric: A Keras metric, whose name is "score"; higher is better.
        epochs: Int.
        batch: Int.
        optimizer: A function from the number of steps to a fresh optimizer.
    """

    model: keras.Model
    training: tuple
    test: tuple
    loss: keras.losses.Loss
    metric: keras.metrics.Metric
    epochs: int
    batch: int
    optimizer: Callable

    def compile(self, model=None):
        """Compile a model (by default the own one) for this training; returns it."""
        model = self.model if model is None else model
        steps = self.epochs * -(-len(self.training[0]) // self.batch)
        model.compile(
            self.optimizer(steps),
            self.loss,
            metrics=[self.metric],
        )
        return model


def digits():
    """Six convolutions, three resolutions: Adam, cosine."""
    x = inputs = keras.Input((8, 8, 1))
    for stage, filters in enumerate((32, 64, 128)):
        if stage:
            x = layers.MaxPooling2D()(x)
        x = _conv(_conv(x, filters), filters)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    training, test = _images(450)
    return Task(model, _moved(*training), test, *_classes(), 16, 128, _adam_cosine)


def residual():
    """Two residual blocks and two dense layers: Adam at a constant rate."""
    x = inputs = keras.Input((8, 8, 1))
    x = _conv(x, 24)
    x = layers.Add()([x, _conv(x, 24)])
    x = _conv(layers.MaxPooling2D()(x), 32, size=1)
    x = layers.Add()([x, _conv(x, 32)])
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(64, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    return Task(model, *_images(397), *_classes(), 30, 64, _adam)


def convnet():
    """Convolutions and a large dense layer, on noisy digits: SGD, cosine, decay."""
    inputs = keras.Input((8, 8, 1))
    x = layers.GaussianNoise(NOISE)(inputs)
    for filters in (24, 48):
        x = layers.MaxPooling2D()(_conv(_conv(x, filters), filters))
    x = layers.Dense(96, activation="relu")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(10)(x))
    training, test = _images(450)
    return Task(model, training, _noisy(*test), *_classes(), 40, 64, _sgd_cosine)


def unet():
    """Three levels, to find soft blobs among squares: Adam at a constant rate."""
    x = inputs = keras.Input((24, 24, 1))
    skips = []
    for filters in (8, 16):
        x = _conv(_conv(x, filters), filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = _conv(_conv(x, 32), 32)
    for filters in (16, 8):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skips.pop()])
        x = _conv(_conv(x, filters), filters)
    model = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    metric = keras.metrics.MeanMetricWrapper(_overlap, name="score")
    training, test = _shapes(800, seed=0), _shapes(400, seed=1)
    return Task(model, training, test, loss, metric, 16, 16, _adam)


def autoencoder():
    """Digits through a code of 32 numbers and back: Adam at a constant rate."""
    x = inputs = keras.Input((8, 8, 1))
    for filters in (24, 48):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, padding="same")(x)
    for filters in (48, 24):
        x = layers.UpSampling2D()(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    outputs = layers.Conv2D(1, 3, padding="same")(x)
    model = keras.Model(inputs, outputs)
    (x, _), (x_test, _) = _images(450)
    # R², so that higher is better and the scale is that of an accuracy.
    metric = keras.metrics.MeanMetricWrapper(_explained, name="score")
    loss = keras.losses.MeanSquaredError()
    return Task(model, (x, x), (x_test, x_test), loss, metric, 30, 64, _adam)


NETWORKS = {
    "digits": digits,
    "residual": residual,
    "convnet": convnet,
    "unet": unet,
    "autoencoder": autoencoder,
}


def _conv(x, filters, size=3):
    x = layers.Conv2D(filters, size, padding="same", use_bias=False)(x)
    # An epoch has a few dozen steps: averages over 100 would lag far behind.
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _classes() -> tuple[keras.losses.Loss, keras.metrics.Metric]:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss, keras.metrics.SparseCategoricalAccuracy(name="score")


def _adam(steps):
    return keras.optimizers.Adam(1e-3)


def _adam_cosine(steps):
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps))


def _sgd_cosine(steps):
    rate = keras.optimizers.schedules.CosineDecay(0.02, steps)
    return keras.optimizers.SGD(rate, 0.9, nesterov=True, weight_decay=5e-4)


def _images(test_size) -> tuple[tuple, tuple]:
    """Scans (n, 8, 8, 1) in [0, 1] with labels: training and test."""
    data = load_digits()
    x = (data.images[..., None] / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        x, data.target, test_size=test_size, stratify=data.target, random_state=0
    )
    return (x, y), (x_test, y_test)


def _moved(x, y):
    """The images, and copies moved by one pixel in four directions."""
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    copies = [framed[:, down : down + 8, right : right + 8] for down, right in moves]
    return np.concatenate(copies), np.tile(y, len(moves))


def _noisy(x, y, copies=4):
    """Copies of the images, each under noise of its own."""
    x, y = np.concatenate([x] * copies), np.tile(y, copies)
    random = np.random.default_rng(0)
    return x + NOISE * random.standard_normal(x.shape).astype("float32"), y


def _shapes(count, seed, size=24):
    """Noisy images of blobs and squares, and masks of the blobs."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[:size, :size]
    x = 0.3 * random.standard_normal((count, size, size))
    masks = np.zeros((count, size, size), "float32")
    for image, mask in zip(x, masks, strict=True):
        for shape in range(4):
            row, column = random.uniform(3, size - 3, 2)
            radius = random.uniform(2.5, 4.5)
            distances = np.abs(down - row), np.abs(right - column)
            if shape % 2:
                image += np.maximum(*distances) < radius
            else:
                away = np.hypot(*distances)
                image += 1.5 * np.exp(-np.square(away / radius))
                mask[away < radius] = 1
    return x[..., None].astype("float32"), masks[..., None]


def _overlap(targets, logits):
    """Intersection over union of each image."""
    found = keras.ops.cast(logits > 0, "float32")
    both = keras.ops.sum(targets * found, axis=(1, 2, 3))
    either = keras.ops.sum(keras.ops.maximum(targets, found), axis=(1, 2, 3))
    return both / keras.ops.maximum(either, 1.0)


def _explained(targets, outputs):
    """The share of the variance of all pixels that is reconstructed, by image."""
    lost = keras.ops.mean(keras.ops.square(targets - outputs), axis=(1, 2, 3))
    return 1 - lost / VARIANCE

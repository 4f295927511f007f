"""Images to train on: loaded from TFDS or an .npz, then shifted and mirrored."""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

SHIFT = 4  # pixels, at most, by which the training images are moved


def load(settings):
    """Images, uint8 (n, height, width, channels), and labels: to train and to test.

    Args:
        settings: An object with `data` ("tfds", an .npz or a folder with one that is
            named after the data set), `dataset`, `validate` and `fraction`.
    """
    if settings.data == "tfds":
        training, test = load_tfds(settings.dataset)
    else:
        path = Path(settings.data)
        path = path / f"{settings.dataset}.npz" if path.is_dir() else path
        with np.load(path) as arrays:
            training = arrays["x_train"], arrays["y_train"]
            test = arrays["x_test"], arrays["y_test"]
    # Some files hold labels as a column.
    training, test = ((x, np.reshape(y, len(x))) for x, y in (training, test))
    order = np.random.default_rng(0).permutation(len(training[1]))
    if settings.validate:
        held_out, order = np.split(order, [len(order) // 10])
        test = tuple(array[held_out] for array in training)
    count = max(round(settings.fraction * len(order)), 1)
    return tuple(array[order[:count]] for array in training), test


def load_tfds(name):
    """Any image-classification data set of TFDS whose images are of one size."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(name)
    shape = builder.info.features["image"].shape
    if None in shape:
        raise ValueError(
            f"`--dataset` must have images of one size. Received: {name} with images "
            f"of shape {shape}"
        )
    builder.download_and_prepare()
    held_out = next((s for s in ("test", "validation") if s in builder.info.splits), "")
    splits = ["train", held_out] if held_out else ["train[:90%]", "train[90%:]"]
    return tuple(
        (arrays["image"], arrays["label"])
        for arrays in tfds.as_numpy(builder.as_dataset(split=splits, batch_size=-1))
    )


class ShiftAndFlip(layers.Layer):
    """Moves every training image by a few pixels, mirrors half; zeros come in."""

    def __init__(self, seed, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        _, height, width, channels = images.shape
        count = ops.shape(images)[0]
        framed = (height + 2 * SHIFT, width + 2 * SHIFT)
        images = ops.pad(images, [(0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)])
        down, right = (self._integers((count, 1), 2 * SHIFT + 1) for _ in range(2))
        columns = ops.arange(width)[None]
        mirrored = self._integers((count, 1), 2)
        columns = ops.where(mirrored == 1, width - 1 - columns, columns)
        # One gather of whole pixels is fast on every backend.
        rows = ops.arange(count)[:, None] * framed[0] + down + ops.arange(height)[None]
        pixels = rows[:, :, None] * framed[1] + (right + columns)[:, None, :]
        images = ops.reshape(images, (-1, channels))
        return ops.take(images, pixels, axis=0)

    def _integers(self, shape, limit):
        return keras.random.randint(shape, 0, limit, seed=self.generator)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}

"""What else makes a trained network smaller: truncation, or zeros in its kernels.

Truncation with training afterwards is the package's own, from a trained network, at an
event in the first epoch, without a teacher.
"""

import time

import keras
import numpy as np
from augmentation import augmented
from cifar10 import (
    BATCH,
    build_for,
    factorize,
    load,
    measure,
    network_in,
    with_augmentation,
)

import keras_dprp as dprp

METHODS = ("truncated", "magnitude")
# Of every training image, moved and mirrored: as many as memory allows.
COPIES = 5


def compress(settings):
    """Make a trained network smaller.

    Args:
        settings: A `Settings` of the example with `weights` and one of the `METHODS`.

    Returns:
        The network of stock layers and a dict of results.
    """
    data = load(settings)
    keras.utils.set_random_seed(settings.seed)
    network = build_for(settings, data)
    if settings.method == "magnitude":
        return prune_by_magnitude(network, settings, data)
    model = factorize(with_augmentation(network, settings), settings)
    dprp.prune(model, **settings.pruning)
    results = evaluated(model, settings, data)
    return network_in(dprp.fold(model), settings), results


def prune_by_magnitude(dense, settings, data):
    """Turn the smallest weights into zeros, which leaves all shapes as they are.

    Needs TensorFlow and tensorflow-model-optimization. `settings.pruning` holds the
    share of zeros.
    """
    from tflite_export import tfmot

    if settings.epochs % COPIES:
        raise ValueError(
            f"Epochs of magnitude pruning must be a multiple of {COPIES}, for it "
            f"trains on as many copies of the images. Received: {settings.epochs}"
        )
    images, labels = data[0]
    start = time.perf_counter()
    network = tfmot.prune(
        dense,
        augmented(images, COPIES, settings.seed),
        np.tile(labels, COPIES),
        epochs=settings.epochs // COPIES,
        batch_size=BATCH,
        seed=settings.seed,
        **settings.pruning,
    )
    seconds = time.perf_counter() - start
    results = evaluated(with_augmentation(network, settings), settings, data)
    return network, {**results, "images": len(labels), "seconds": seconds}


def evaluated(model, settings, data):
    """The results of a model that `fit` does not train."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["accuracy"])
    measured = measure(model, settings, data[1])
    return {"history": {}, "images": 0, "seconds": 0.0, **measured}

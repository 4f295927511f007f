"""What else makes a trained network smaller: truncation, or zeros in its kernels."""

import time

import keras
import numpy as np
from augmentation import augmented
from cifar10 import (
    BATCH,
    add_training_layers,
    compile_for,
    fit,
    load,
    measure,
)

import keras_dprp as dprp

# Of every training image, moved and mirrored: as many as memory allows.
COPIES = 5


def compress(settings, path, callbacks):
    """Make a trained network smaller; train it further unless it is "truncated".

    Args:
        settings: A `Settings` of the example, method "truncated", "finetuned" or
            "magnitude".
        path: Of the trained dense network, `.keras`.
        callbacks: For `fit`; magnitude pruning, in a process of its own, takes none.

    Returns:
        The network and a dict of results.
    """
    data = load(settings)
    keras.utils.set_random_seed(settings.seed)
    dense = keras.saving.load_model(path, compile=False)
    if settings.method == "magnitude":
        return prune_by_magnitude(dense, settings, data)
    return truncate(dense, settings, data, callbacks)


def truncate(dense, settings, data, callbacks):
    """Bring a network to the budget at one stroke."""
    network = dprp.factorize(dense, filters="stage", **settings.factorize)
    ranks = lower_ranks(network, settings.pruning)
    if settings.method == "finetuned":
        results = fit(network, settings, data, callbacks)
    else:
        results = evaluated(network, settings, data)
    return network, {**results, "ranks": ranks}


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
    results = evaluated(network, settings, data)
    trained = {"images": len(labels), "seconds": seconds, "ranks": []}
    return network, {**results, **trained}


def evaluated(network, settings, data):
    """The results of a network that `fit` does not train."""
    model = add_training_layers(network, settings)
    compile_for(model, len(data[0][1]), settings)
    measured = measure(network, model, data[1])
    return {"history": {}, "images": 0, "seconds": 0.0, **measured}


def lower_ranks(network, pruning):
    """Ranks before and after the only event: the callback's first is its last."""
    callback = dprp.RankPruningCallback(**pruning, start=0, stop=0, verbose=0)
    callback.set_model(network)
    callback.set_params({"epochs": 1})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    return [entry["ranks"] for entry in callback.history]

"""Truncation after training: what a network loses that is compressed at one stroke."""

import keras
from cifar10 import add_training_layers, compile_for, fit, load, measure

import keras_dprp as dprp


def compress(settings, path, callbacks):
    """Bring a trained network to the budget; train it further if it is "finetuned".

    Args:
        settings: A `Settings` of the example, method "truncated" or "finetuned".
        path: Of the trained dense network, `.keras`.
        callbacks: For `fit`.

    Returns:
        The factorised network and a dict of results.
    """
    data = load(settings)
    keras.utils.set_random_seed(settings.seed)
    dense = keras.saving.load_model(path, compile=False)
    network = dprp.factorize(dense, filters="stage", **settings.factorize)
    ranks = lower_ranks(network, settings.pruning)
    if settings.method == "finetuned":
        results = fit(network, settings, data, callbacks)
    else:
        model = add_training_layers(network, settings)
        compile_for(model, len(data[0][1]), settings)
        results = {
            "history": {},
            "images": 0,
            "seconds": 0.0,
            **measure(network, model, data[1]),
        }
    return network, {**results, "ranks": ranks}


def lower_ranks(network, pruning):
    """Ranks before and after the only event: the callback's first is its last."""
    callback = dprp.RankPruningCallback(**pruning, start=0, stop=0, verbose=0)
    callback.set_model(network)
    callback.set_params({"epochs": 1})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    return [entry["ranks"] for entry in callback.history]

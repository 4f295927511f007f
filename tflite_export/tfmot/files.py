"""Weights in a file, from one process to the other."""

import numpy as np


def write_weights(path, weights):
    """Write a dict of lists of arrays, by the name of their layer, as an .npz."""
    arrays = {
        f"{number}.{position}": array
        for number, layer in enumerate(weights.values())
        for position, array in enumerate(layer)
    }
    # Names apart: in a key, a slash would be a folder.
    np.savez(path, names=np.array(list(weights), dtype=str), **arrays)


def read_weights(path):
    """Return what `write_weights` wrote."""
    with np.load(path) as arrays:
        weights: dict[str, list] = {name: [] for name in arrays["names"].tolist()}
        layers = list(weights.values())
        for key in arrays.files:
            if key != "names":
                layers[int(key.partition(".")[0])].append(arrays[key])
    return weights

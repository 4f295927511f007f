"""The kernels that pruning and clustering act on."""

import numpy as np

from tflite_export.tfmot.bridge import bring_back, send
from tflite_export.tfmot.classifier import check_classifier
from tflite_export.tfmot.steps import kernels


def train_kernels(task, model, x, y, training, verbose, check, **arguments):
    """Have tf_keras train a classifier while something happens to its kernels.

    Args:
        task: "prune" or "cluster".
        model: A model, as the user gives it.
        x: Array of training inputs.
        y: Array of their classes.
        training: A `Training`.
        verbose: Whether to print the progress, and what the kernels hold in the end.
        check: A function that gets the name of a layer and its new kernel, and raises
            unless it is what was asked for.
        arguments: What else the task asks for.
    """
    portable, y = check_classifier(model, x, y)
    names = check_kernels(portable)
    show = print if verbose else None
    _, weights, outputs = send(
        task, portable, y, training, show, layers=names, **arguments
    )
    for name in names:
        check(name, weights[name][0])
    trained = bring_back(portable, weights, outputs)
    if verbose:
        show_kernels(weights, names)
    return trained


def check_kernels(portable):
    """Names of the layers whose kernels may change, or a ValueError if there are none.

    Args:
        portable: A `Portable`.
    """
    names = kernels(portable.steps)
    if not names:
        raise ValueError(
            "`model` must have a Conv2D or Dense layer that is trainable. "
            f"Received: '{portable.model.name}' without one"
        )
    return names


def show_kernels(weights, names):
    """Print what the kernels of some layers hold now; they come first in `weights`."""
    found = [weights[name][0] for name in names]
    total = sum(kernel.size for kernel in found)
    zeros = sum(int(np.sum(kernel == 0)) for kernel in found)
    distinct = max(len(np.unique(kernel)) for kernel in found)
    print(
        f"{len(found)} kernels: {zeros:,} of {total:,} weights are 0 "
        f"({zeros / total:.1%}), at most {distinct:,} distinct weights in one"
    )

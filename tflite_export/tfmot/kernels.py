"""The kernels that pruning and clustering act on."""

import numpy as np

from tflite_export.tfmot.steps import kernels


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
    """Print what the kernels hold now.

    Args:
        weights: A dict of lists of arrays, the kernel first, by step name.
        names: Names of the layers in question.
    """
    found = [weights[name][0] for name in names]
    total = sum(kernel.size for kernel in found)
    zeros = sum(int(np.sum(kernel == 0)) for kernel in found)
    distinct = max(len(np.unique(kernel)) for kernel in found)
    print(
        f"{len(found)} kernels: {zeros:,} of {total:,} weights are 0 "
        f"({zeros / total:.1%}), at most {distinct:,} distinct weights in one"
    )

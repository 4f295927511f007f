"""Which tensor of a file holds which layer's output.

Names alone do not tell: normalization and activations are fused into convolutions,
and a fused tensor may have any of their names. So layers are matched by value with a
float32 file of the same model, and its tensors by name with those of the file to check.
"""

import numpy as np

from tflite_export.layerwise.difference import Difference

# In the unit of `LayerCheck`: what a float32 file may be off.
TOLERANCE = 1e-3


def match(calls, outputs, tensors):
    """Find the tensor of a float32 file that holds each call's output.

    Args:
        calls: Names of the calls, as `trace` gives them.
        outputs: Their outputs for one sample; None for those that give several.
        tensors: A `FileTensors` that has run this sample.

    Returns:
        A dict from the numbers of calls to tensor names, no two alike.
    """
    values = {name: tensors[name] for name in tensors.names}
    pairs = []
    for number, (call, output) in enumerate(zip(calls, outputs, strict=True)):
        for name, tensor in values.items():
            error = _error(output, tensor)
            if error < TOLERANCE:
                # Among equals the tensor that is named after the layer.
                named = call.partition(" (")[0].rpartition("/")[2] in name
                pairs.append((error, not named, number, name))
    found: dict[int, str] = {}
    for _, _, number, name in sorted(pairs):
        if number not in found and name not in found.values():
            found[number] = name
    return dict(sorted(found.items()))


def aligned(output, tensor):
    """A layer's output with its axes in the order of a tensor; None if none fits.

    LiteRT has channels last, and may have axes of size 1 that Keras has not.
    """
    orders = [output]
    if output.ndim > 2:
        orders.append(np.moveaxis(output, 1, -1))
    wanted = np.squeeze(tensor).shape
    return next((x for x in map(np.squeeze, orders) if x.shape == wanted), None)


def _error(output, tensor):
    expected = None if output is None else aligned(output, tensor)
    if expected is None:
        return np.inf
    difference = Difference()
    difference.add(expected, tensor)
    return difference.error

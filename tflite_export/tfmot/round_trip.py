"""To tf_keras and back, nothing else."""

from tflite_export import samples
from tflite_export.tfmot.bridge import bring_back, send
from tflite_export.tfmot.classifier import check_portable


def round_trip(model, representative_data=None):
    """Take a model to tf_keras and back, without training: tells whether one can.

    Args:
        model: A functional or a built Sequential `keras.Model` of one float32 input
            and one output; factorised layers are folded.
        representative_data: Array of inputs, samples first; 32 of them are enough.
            None takes seeded noise.

    Returns:
        A copy of the folded model, whose weights went there and back.

    Raises:
        ImportError: If tensorflow-model-optimization is not installed.
        RuntimeError: If outputs differ at one end by more than 1e-3 of their standard
            deviation.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, or tf_keras has no like of a layer.

    Example:
    >>> same = tflite_export.tfmot.round_trip(model)
    """
    portable = check_portable(model, lambda tensor: _known(tensor, representative_data))
    _, weights, outputs = send("nothing", portable)
    return bring_back(portable, weights, outputs)


def _known(tensor, data):
    (known,), (array,) = samples.resolve([tensor], data, samples.NOISE_SAMPLES)
    return known, array

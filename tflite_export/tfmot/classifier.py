"""What a user passes to be trained, checked before anything is done with it."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from tflite_export import arrays
from tflite_export.graph import ModelInput, check_model, model_inputs
from tflite_export.settings import NEEDED, require
from tflite_export.stock import stock_model
from tflite_export.tfmot.steps import Step
from tflite_export.verify import keras_outputs

TFMOT = ("tf_keras", "tensorflow_model_optimization")


@dataclass(frozen=True)
class Portable:
    """A model that tf_keras has alike, and samples to compare outputs on.

    Attributes:
        model: The Keras 3 model, float32 and of stock layers.
        steps: Its graph.
        layers: Its layers with weights, by step name.
        input: The `ModelInput`, every size known.
        output: Name of its output.
        x: Array of inputs, samples first.
        expected: What Keras 3 gives for the first of them.
    """

    model: object
    steps: list[Step]
    layers: dict
    input: ModelInput
    output: str
    x: np.ndarray
    expected: np.ndarray


def check_portable(model, resolve):
    """Return the `Portable` of a model, or raise.

    Args:
        model: What the user passed as a model.
        resolve: A function from the model's `ModelInput` to one of known sizes, and
            an array of samples for it.
    """
    require(*NEEDED, *TFMOT, extra="tfmot")
    check_model(model)
    takes, gives = len(model.inputs), len(model.outputs)
    if (takes, gives) != (1, 1):
        raise ValueError(
            "`model` must have one input and one output. "
            f"Received: '{model.name}' with {takes} inputs and {gives} outputs"
        )
    model = stock_model(model)
    # Reading it uses Keras alone, and its errors are about the model.
    from tflite_export.tfmot.reading import read

    steps, layers = read(model)
    (tensor,) = model_inputs(model)
    if tensor.dtype != "float32":
        raise ValueError(
            "`model` must take float32, which tfmot can quantize. "
            f"Received: input '{tensor.name}' of dtype {tensor.dtype}"
        )
    tensor, x = resolve(tensor)
    ((output, expected),) = keras_outputs(model, [x]).items()
    return Portable(model, steps, layers, tensor, output, x, expected)


def check_classifier(model, x, y):
    """The `Portable` of a classifier and an int32 array of its labels, or an error."""
    portable = check_portable(model, lambda tensor: _known(tensor, x))
    shape = portable.expected.shape
    if len(shape) != 2 or shape[1] < 2:
        raise ValueError(
            "`model` must be a classifier, with outputs of shape (None, classes). "
            f"Received: '{portable.model.name}' with outputs of shape "
            f"{(None, *shape[1:])}"
        )
    return portable, _labels(y, len(portable.x), shape[1])


def _known(tensor, x):
    (array,) = arrays.fit([tensor], x, "x")
    return dataclasses.replace(tensor, shape=array.shape[1:]), array


def _labels(y, samples, classes):
    labels = np.asarray(y) if hasattr(y, "__array__") or isinstance(y, list) else None
    if labels is None or not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(
            "`y` must be an array of integers, the class of each sample. "
            f"Received: an object of type {type(y).__name__}"
            + ("" if labels is None else f" and dtype {labels.dtype}")
        )
    # Some files hold labels as a column.
    if labels.shape not in ((samples,), (samples, 1)):
        raise ValueError(
            f"`y` must have shape {(samples,)}, one class for each sample of `x`. "
            f"Received: shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"`y` must hold classes from 0 to {classes - 1}, as the model has "
            f"{classes} outputs. Received: {labels.min()} to {labels.max()}"
        )
    return labels.reshape(samples).astype("int32")

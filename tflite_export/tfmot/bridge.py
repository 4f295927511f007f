"""To the process of tf_keras, and back."""

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np

from tflite_export.class_scores import gives_probabilities
from tflite_export.process import ask
from tflite_export.verify import FLOAT32_TOLERANCE, compare


def send(task, portable, y=None, training=None, show=None, **arguments):
    """Have a task done by tf_keras.

    Args:
        task: One that `legacy.worker` knows.
        portable: A `Portable`.
        y: Labels; None if nothing is trained.
        training: A `Training`; likewise.
        show: A function that gets each line of progress; None for silence.
        arguments: What else the task asks for; JSON must hold it.

    Returns:
        What the task answers, the weights it trained as a dict of lists of arrays by
        step name, and its outputs for the samples; None twice if no weights come back.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, portable, y)
        request = {
            "task": task,
            "steps": [dataclasses.asdict(step) for step in portable.steps],
            "input": dataclasses.asdict(portable.input),
            "output": portable.output,
            "from_logits": y is not None and not gives_probabilities(portable.expected),
            "training": training and dataclasses.asdict(training),
            "arguments": arguments,
        }
        # NumPy numbers may be among the arguments of layers.
        text = json.dumps(request, default=lambda value: value.tolist())
        (folder / "request.json").write_text(text)
        result = ask(
            "tf_keras",
            "tflite_export.tfmot.legacy.worker",
            folder,
            show,
            # Should anything there import Keras 3, it has the backend that is there.
            KERAS_BACKEND="tensorflow",
            TF_USE_LEGACY_KERAS="1",
        )
        if not (folder / "trained.npz").exists():
            return result, None, None
        return (
            result,
            read_weights(folder / "trained.npz"),
            np.load(folder / "outputs.npy"),
        )


def bring_back(portable, weights, outputs):
    """A copy of the model with tf_keras's weights, compared with its outputs there."""
    from keras_dprp.rebuild import rebuild
    from tflite_export.tfmot.reading import read
    from tflite_export.verify import keras_outputs

    copy, _ = rebuild(portable.model, lambda layer: None)
    _, layers = read(copy)
    for name, arrays in weights.items():
        for variable, array in zip(layers[name].weights, arrays, strict=True):
            variable.assign(array)
    (actual,) = keras_outputs(copy, [portable.x]).values()
    check_alike(outputs, actual, "brought back to Keras 3")
    return copy


def check_alike(expected, actual, place):
    """Raise a RuntimeError unless outputs at some place agree as floats do."""
    if not (np.isfinite(expected).all() and np.isfinite(actual).all()):
        raise RuntimeError(f"The outputs of the model {place} hold NaN or infinity.")
    difference = compare("output", expected, actual, True).largest_difference
    if difference > FLOAT32_TOLERANCE:
        raise RuntimeError(
            f"The model {place} differs from what it was by {difference:.1e} of its "
            f"outputs' standard deviation; at most {FLOAT32_TOLERANCE:.0e} is allowed."
        )


def _write(folder, portable, y):
    import keras

    weights = {
        name: [keras.ops.convert_to_numpy(variable) for variable in layer.weights]
        for name, layer in portable.layers.items()
    }
    write_weights(folder / "weights.npz", weights)
    np.save(folder / "x.npy", portable.x)
    np.save(folder / "expected.npy", portable.expected)
    if y is not None:
        np.save(folder / "y.npy", y)


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

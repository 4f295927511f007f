"""What an app must know of a classifier, at the end of its file.

A zip archive may follow the model in a .tflite file: LiteRT reads from the front, and
what reads archives from the back. It holds one file, `model.json`.
"""

import io
import json
import math
import zipfile

import numpy as np

NAME = "model.json"


def check_labels(labels, model):
    """Labels as a list, or None; an error if they are not one str for each class."""
    if labels is None:
        return None
    if not isinstance(labels, list | tuple):
        raise TypeError(
            "`labels` must be a list of str, one for each class. "
            f"Received: {labels!r} (of type {type(labels).__name__})"
        )
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(
                "`labels` must be a list of str. "
                f"Received: {label!r} (of type {type(label).__name__}) among them"
            )
        if not label.strip() or len(label.splitlines()) > 1:
            raise ValueError(
                "`labels` must be of one line each, not empty. "
                f"Received: {label!r} among them"
            )
    shapes = _shapes(model)
    if shapes["outputs"] != [(None, len(labels))] or len(shapes["inputs"]) > 1:
        raise ValueError(
            "`labels` needs a model of one input, and of one output of shape "
            f"(None, number of labels). Received: {len(labels)} labels for {shapes}"
        )
    return list(labels)


def check_input_range(input_range, model):
    """A range as a list of two floats, or None; a ValueError if it is no range."""
    if input_range is None:
        return None
    try:
        low, high = map(float, input_range)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not -math.inf < low < high < math.inf:
        raise ValueError(
            "`input_range` must be two finite numbers, what black and white are in "
            f"the input, as (0, 255). Received: {input_range!r}"
        )
    shapes = _shapes(model)
    if any(len(ends) > 1 for ends in shapes.values()):
        raise ValueError(
            "`input_range` needs a model of one input and one output. "
            f"Received: {shapes}"
        )
    return [low, high]


def check_within(input_range, data, argument):
    """Raise a ValueError if an array, a user's argument, cannot be of a range."""
    if input_range is None:
        return
    low, high = input_range
    black, white = float(data.min()), float(data.max())
    # Scaled images may be off by the rounding of a float32.
    slack = 1e-5 * (high - low)
    outside = black < low - slack or white > high + slack
    # Pixels of [0, 1] fill little of (0, 255), and none of the lower half of (-1, 1).
    if outside or white - black < 0.1 * (high - low) or black >= (low + high) / 2:
        raise ValueError(
            f"`{argument}` must lie within `input_range`, {low, high}, and make use of "
            "it: say what black and white are in data prepared as for training. "
            f"Received: values from {black:g} to {white:g}"
        )


def describe(content, labels, input_range):
    """Return a file's bytes with labels and range, where there are any, at the end."""
    if labels is None and input_range is None:
        return content
    description = {"labels": labels, **_ends(content)}
    description["input"]["range"] = input_range
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        # Of a fixed date, so that the same model gives the same file.
        archive.writestr(zipfile.ZipInfo(NAME), text)
    return file.getvalue()


def _shapes(model):
    return {
        "inputs": [tuple(tensor.shape) for tensor in model.inputs],
        "outputs": [tuple(tensor.shape) for tensor in model.outputs],
    }


def _ends(content):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content).get_signature_runner()
    (taken,) = runner.get_input_details().values()
    (given,) = runner.get_output_details().values()
    return {"input": _tensor(taken), "output": _tensor(given)}


def _tensor(details):
    scale, zero_point = details["quantization"]
    # A file has no scale of 0; LiteRT says so of what is not quantized.
    return {
        "shape": details["shape"].tolist(),
        "dtype": np.dtype(details["dtype"]).name,
        "scale": scale or None,
        "zero_point": zero_point if scale else None,
    }

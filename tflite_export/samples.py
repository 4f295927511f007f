"""Representative data, checked; or noise in its place."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from tflite_export import arrays, streams
from tflite_export.graph import ModelInput

NOISE_SAMPLES = 32


@dataclass(frozen=True)
class Samples:
    """What a file is made with, and compared on.

    Attributes:
        inputs: The model's inputs, every size known.
        arrays: One array for each, samples first.
        outputs: Keras's outputs by name, in its order, for the first of the samples.
    """

    inputs: list[ModelInput]
    arrays: list[np.ndarray]
    outputs: dict[str, np.ndarray]

    @property
    def count(self):
        """How many samples there are outputs for."""
        return len(next(iter(self.outputs.values())))


def resolve(inputs, data, limit=None, argument="representative_data"):
    """The inputs with every size known, and one array of samples for each.

    Args:
        inputs: A list of `ModelInput`; sizes may be None where the data tell them.
        data: None (seeded noise), what `arrays.fit` or what `streams.read` takes.
        limit: How many samples to read; None reads all.
        argument: Name of the user's argument, for errors.
    """
    for tensor in inputs:
        if tensor.dtype not in ("float32", "bool") and "int" not in tensor.dtype:
            raise ValueError(
                "Inputs must be float32, integer or bool. "
                f"Received: input '{tensor.name}' of dtype {tensor.dtype}"
            )
    if data is None:
        return inputs, [_noise(tensor, argument) for tensor in inputs]
    if streams.is_stream(data):
        data = streams.read(inputs, data, argument, limit)
    data = arrays.fit(inputs, data, argument, limit)
    known = [
        dataclasses.replace(tensor, shape=x.shape[1:])
        for tensor, x in zip(inputs, data, strict=True)
    ]
    return known, data


def _noise(tensor, argument):
    if None in tensor.shape:
        raise ValueError(
            f"Input '{tensor.name}' has sizes that are not known, "
            f"{(None, *tensor.shape)}, and a file has fixed ones. Pass "
            f"`{argument}` of the sizes to export for."
        )
    generator = np.random.default_rng(0)
    shape = (NOISE_SAMPLES, *tensor.shape)
    if tensor.dtype == "float32":
        return generator.standard_normal(shape, dtype="float32")
    # Integers are indices as a rule, and every table has two rows.
    return generator.integers(0, 2, shape).astype(tensor.dtype)

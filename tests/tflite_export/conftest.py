"""Models, and a reader of .tflite files that shares nothing with the package."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import tflite_export


@pytest.fixture
def classifier():
    """A small convolutional network with enough weights for files to shrink."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            # Far apart, as a trained network's classes are.
            layers.Dense(
                10,
                activation="softmax",
                kernel_initializer=keras.initializers.VarianceScaling(30.0),
                name="classes",
            ),
        ]
    )


@pytest.fixture
def images():
    return np.random.default_rng(1).normal(size=(40, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="session")
def run_litert():
    """Run a file on samples, one at a time; returns a dict of float outputs."""

    def run(path, **samples):
        runner = Interpreter(model_path=str(path)).get_signature_runner()
        takes, gives = runner.get_input_details(), runner.get_output_details()
        rows = []
        for index in range(len(next(iter(samples.values())))):
            feeds = {
                name: to_steps(array[index : index + 1], takes[name])
                for name, array in samples.items()
            }
            outputs = runner(**feeds)
            rows.append({k: from_steps(v, gives[k]) for k, v in outputs.items()})
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    return run


def to_steps(array, details):
    scale, zero_point = details["quantization"]
    if scale == 0:
        return array
    limits = np.iinfo(details["dtype"])
    steps = np.clip(np.round(array / scale) + zero_point, limits.min, limits.max)
    return steps.astype(details["dtype"])


def from_steps(array, details):
    scale, zero_point = details["quantization"]
    return (array.astype("float64") - zero_point) * scale if scale else array.copy()


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
    """A file to time; exported once."""
    path = tmp_path_factory.mktemp("files") / "small.tflite"
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    tflite_export.export(model, path, verbose=False)
    return path

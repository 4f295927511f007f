"""Pruned, clustered and quantization-aware models: what was asked for, still right."""

import json
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from exported_files import difference, dtypes, same_everywhere
from tfmot_models import (
    CLASSES,
    accuracy,
    every_kind,
    kernels,
    layers_of,
    needs_tfmot,
    pictures,
    randomized,
    residual,
)

import tflite_export
import tflite_export.tfmot as tfmot
from tflite_export.tfmot.steps import KINDS

pytestmark = needs_tfmot

SPARSITY, CLUSTERS = 0.6, 8
# Of four classes; chance gets a quarter.
ENOUGH = 0.6


@pytest.fixture(scope="module")
def data():
    return pictures()


@pytest.fixture(scope="module")
def trained(data):
    keras.utils.set_random_seed(0)
    model = residual()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(*data, epochs=12, batch_size=16, verbose=0)
    assert accuracy(model.predict(data[0], verbose=0), data[1]) > ENOUGH
    return model


@pytest.fixture(scope="module")
def pruned(trained, data):
    return tfmot.prune(
        trained, *data, SPARSITY, epochs=6, learning_rate=5e-3, verbose=False
    )


def test_round_trip_changes_nothing():
    """Of a model with every layer there is a like of, one of them called twice."""
    model = randomized(every_kind())
    kinds = {type(layer).__name__ for layer in layers_of(model)}
    assert kinds - {"InputLayer", "Normalization"} == set(KINDS)
    x, _ = pictures(20)
    before = model.predict(x, verbose=0)
    copy = tfmot.round_trip(model, x)
    np.testing.assert_array_equal(copy.predict(x, verbose=0), before)
    for mine, theirs in zip(model.weights, copy.weights, strict=True):
        assert mine is not theirs and mine.path == theirs.path
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (mine, theirs)))


def test_pruned_model_has_the_sparsity_asked_for(trained, pruned, data):
    before, after = kernels(trained), kernels(pruned)
    assert not any((kernel == 0).any() for kernel in before)
    for kernel in after:
        assert np.count_nonzero(kernel) == round((1 - SPARSITY) * kernel.size)
    assert [layer.name for layer in pruned.layers] == [x.name for x in trained.layers]
    assert accuracy(pruned.predict(data[0], verbose=0), data[1]) > ENOUGH


@same_everywhere
def test_clustered_model_has_few_weights_and_keeps_zeros(pruned, data, capsys):
    clustered = tfmot.cluster(pruned, *data, CLUSTERS, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["epoch 1/2", "epoch 2/2"]
    assert f"at most {CLUSTERS} distinct weights" in lines[-1]
    for before, after in zip(kernels(pruned), kernels(clustered), strict=True):
        assert len(np.unique(after)) <= CLUSTERS
        assert (after[before == 0] == 0).all() and (after != before).any()
    assert accuracy(clustered.predict(data[0], verbose=0), data[1]) > ENOUGH


@same_everywhere
def test_quantization_aware_file_is_int8_throughout(pruned, data, tmp_path):
    path = tmp_path / "model.tflite"
    labels = list("abcd")
    report = tfmot.quantize_aware(
        pruned, path, *data, epochs=2, io_dtype="int8", labels=labels, verbose=False
    )
    assert dtypes(path) <= {"int8", "int32"}
    assert accuracy(tflite_export.predict(path, data[0]), data[1]) > ENOUGH
    assert (report.path, report.quantization) == (str(path), "int8")
    assert report.mean_difference < 0.02
    assert list(tmp_path.iterdir()) == [path]
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("model.json"))["labels"] == labels
    # LiteRT's kernels of convolutions, of one pixel too; Rescaling is not pruned.
    tensors = weights_of(path)
    convolutions = [kernel for kernel in tensors if kernel.size > 3]
    assert len(convolutions) == 5
    for kernel in convolutions:
        assert np.mean(kernel == 0) > SPARSITY - 0.05


def weights_of(path):
    """The int8 tensors in a file that hold weights."""
    interpreter = Interpreter(model_path=str(path))
    return [
        interpreter.get_tensor(details["index"])
        for details in interpreter.get_tensor_details()
        if details["dtype"] == np.int8
        and len(details["quantization_parameters"]["scales"])
        and details["shape"][0] > 1
    ]


@same_everywhere
def test_ranges_are_those_of_the_data(tmp_path):
    """Training that changes nothing gives what post-training int8 gives.

    tfmot starts every range at -6 to 6, where logits of hundreds would end.
    """
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
    # Normalises what no convolution of its own comes before.
    x = keras.layers.BatchNormalization()(keras.layers.MaxPooling2D()(x))
    x = keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x))
    model = randomized(keras.Model(inputs, x))
    x, y = pictures(64)
    expected = model.predict(x, verbose=0)
    assert np.abs(expected).max() > 60
    path = tmp_path / "model.tflite"
    tfmot.quantize_aware(
        model, path, x, y, epochs=1, learning_rate=1e-9, io_dtype="int8", verbose=False
    )
    assert dtypes(path) <= {"int8", "int32"}
    assert difference(tflite_export.predict(path, x), expected) < 0.1


@same_everywhere
def test_diverging_training_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"what was there before")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(CLASSES)])
    x, y = pictures(8)
    with pytest.raises(RuntimeError, match="diverged.*lower `learning_rate`"):
        tfmot.quantize_aware(
            model, path, x[:, 0, 0], y, epochs=2, learning_rate=1e38, verbose=False
        )
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [
        b"what was there before"
    ]

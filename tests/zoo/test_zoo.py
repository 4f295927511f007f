"""Keras's own architectures, from `factorize` to a file that LiteRT runs.

`make test-zoo` runs all of them, `make test` the quick ones.
"""

import keras
import numpy as np
import pytest
import zoo_models as zoo
from ai_edge_litert import schema_py_generated as schema

import keras_dprp as dprp
import tflite_export

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="The same on every backend."
)

# Differences of float32 outputs, as a share of the largest magnitude among them. A
# random network of a hundred layers makes some hundred times more of what it rounds.
TOLERANCE = 1e-4
# Least correlation of int8 outputs with Keras's, after the mean over all images is
# taken off both. Loose, as a random network amplifies noise where a trained one
# rejects it.
INT8_CORRELATION = 0.5
# The share of the parameters that is kept.
TARGET = 0.5
BUILTIN_OPERATIONS = set(vars(schema.BuiltinOperator)) - {"CUSTOM"}


def each_of(names, quick):
    marks = {name: () if name in quick else pytest.mark.zoo for name in names}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks[name]) for name in names]
    )


@each_of(zoo.MODELS, quick=("EfficientNetB0", "MobileNetV2", "MobileNetV3Small"))
def test_pruned_model_becomes_a_file(name, tmp_path, record_property):
    path = tmp_path / "model.tflite"
    dense = zoo.build(name)
    images = zoo.images(dense, 8, seed=2)
    factorized = dprp.factorize(dense)
    differences = {"full rank": difference(factorized, dense, images)}

    zoo.prune(factorized, TARGET)
    counts = dprp.summary(factorized)
    folded = dprp.fold(factorized)
    differences["fold"] = difference(folded, factorized, images)
    assert counts.dense_parameters == parameters(dense)
    assert counts.parameters == parameters(folded)
    assert counts.parameters_kept <= TARGET

    report = tflite_export.export(
        folded, path, representative_data=images, verbose=False
    )
    differences["LiteRT"] = difference(path, folded, images)
    assert max(differences.values()) <= TOLERANCE
    assert set(report.operations) <= BUILTIN_OPERATIONS
    # Less than the weights of the dense model take.
    assert report.bytes < 4 * counts.dense_parameters
    record_property("model", name)
    record_property("dense", counts.dense_parameters)
    record_property("pruned", counts.parameters)
    record_property("bytes", report.bytes)
    for step, value in differences.items():
        record_property(step, float(value))


@each_of(zoo.INT8_MODELS, quick=("MobileNetV3Small",))
def test_int8_file_follows_the_model(name, tmp_path):
    path = tmp_path / "model.tflite"
    factorized = dprp.factorize(zoo.build(name), rank=0.5)
    zoo.settle(factorized)
    folded = dprp.fold(factorized)
    images = zoo.images(folded, 100, seed=2)
    # Warns, which is a failure, of outputs that are far off in the mean.
    report = tflite_export.export(folded, path, "int8", images, verbose=False)
    assert set(report.operations) <= BUILTIN_OPERATIONS
    # A float32 file has four bytes for each parameter.
    assert report.bytes < 0.4 * 4 * folded.count_params()
    actual = tflite_export.predict(path, images[:32])
    expected = zoo.outputs_of(folded, images[:32])
    both = np.stack([centred(actual).ravel(), centred(expected).ravel()])
    assert np.corrcoef(both)[0, 1] > INT8_CORRELATION


def difference(model_or_path, model, images):
    """The largest difference of outputs, in the unit of `TOLERANCE`."""
    expected = zoo.outputs_of(model, images)
    scale = np.abs(expected).max()
    # A network deaf to its inputs would agree with anything.
    assert centred(expected).std() >= 100 * TOLERANCE * scale
    if isinstance(model_or_path, keras.Model):
        actual = zoo.outputs_of(model_or_path, images)
    else:
        actual = tflite_export.predict(model_or_path, images)
    return np.abs(actual - expected).max() / scale


def centred(outputs):
    return outputs - outputs.mean(axis=0)


def parameters(model):
    variables = [v for v in model.variables if v.dtype == "float32"]
    return sum(np.prod(variable.shape) for variable in variables)

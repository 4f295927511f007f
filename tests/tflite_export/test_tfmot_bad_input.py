"""What tfmot cannot be asked for is refused before a process starts."""

import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
from exported_files import same_everywhere
from keras import layers
from tfmot_models import needs_tfmot, pictures, residual

import tflite_export.tfmot as tfmot
from tflite_export import process

X, Y = pictures(8)


@pytest.fixture(autouse=True)
def no_process(monkeypatch):
    def fail(*_):
        pytest.fail("A process was started.")

    monkeypatch.setattr(process, "_run", fail)


def functional(*stack, shape=(8, 8, 3), dtype="float32"):
    x = inputs = keras.Input(shape, dtype=dtype)
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def flat(*stack):
    return functional(*stack, layers.Flatten(), layers.Dense(4))


@needs_tfmot
@same_everywhere
@pytest.mark.parametrize(
    ("stack", "match"),
    [
        ([layers.Conv2DTranspose(2, 3, name="up")], "Conv2D, .*'up' .*Conv2DTranspose"),
        ([layers.Conv2D(2, 3, activation="mish", name="c")], "relu6.*'c' .*mish"),
        ([layers.MaxPooling2D(2, data_format="channels_first")], "channels first"),
        ([layers.BatchNormalization(renorm=True)], "with renorm"),
        ([keras.ops.relu], "'relu.*' .Relu, an operation and no layer"),
        ([lambda x: x * 2], "'multiply.*' .Multiply, an operation and no layer"),
        ([layers.Normalization(axis=1, mean=range(8), variance=range(8))], "axis"),
    ],
)
def test_layers_without_a_like(stack, match):
    with pytest.raises(ValueError, match=f"known to be alike in tf_keras: .*{match}"):
        tfmot.round_trip(flat(*stack))


@needs_tfmot
@same_everywhere
def test_all_layers_without_a_like_are_named():
    model = flat(layers.LayerNormalization(name="one"), layers.Cropping2D(name="two"))
    with pytest.raises(ValueError, match="'one' .*LayerNormalization.*'two'"):
        tfmot.prune(model, X, Y)


@needs_tfmot
@same_everywhere
@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (lambda: "model.keras", TypeError, "must be a Keras model. Received"),
        (
            lambda: functional(layers.Conv2D(2, 3)),
            ValueError,
            r"\(None, classes\). Received: .* shape \(None, 6, 6, 2\)",
        ),
        (
            lambda: functional(layers.Rescaling(1.0), layers.Flatten(), dtype="uint8"),
            ValueError,
            "must take float32.*uint8",
        ),
        (
            lambda: functional(layers.Flatten()),
            ValueError,
            "Conv2D or Dense layer that is trainable",
        ),
    ],
)
def test_model(model, error, match):
    with pytest.raises(error, match=match):
        tfmot.prune(model(), X, Y)


@needs_tfmot
@same_everywhere
def test_two_outputs():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="one output. Received: .* and 2 outputs"):
        tfmot.round_trip(model)


@needs_tfmot
@same_everywhere
def test_shared_layer_cannot_be_quantized(tmp_path):
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    path = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match=r"called once. Received: .*\['shared'\]"):
        tfmot.quantize_aware(flat(shared, shared), path, X, Y)


@needs_tfmot
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"x": X[:, :4]}, ValueError, "`x` .* must have shape .*Received: shape"),
        ({"x": X.astype(str)}, TypeError, "`x` .* must be an array"),
        ({"x": X * np.nan}, ValueError, "`x` .* must be finite"),
        ({"y": Y[:-1]}, ValueError, r"`y` must have shape \(8,\).*Received: shape"),
        ({"y": Y + 0.5}, TypeError, "`y` must be an array of integers.*float64"),
        ({"y": None}, TypeError, "`y` must be an array of integers.*NoneType"),
        ({"y": Y - 1}, ValueError, "classes from 0 to 3.*Received: -1 to"),
        ({"y": Y + 1}, ValueError, "classes from 0 to 3.*Received: 1 to 4"),
        ({"epochs": 0}, ValueError, "`epochs` must be an int of 1 or more"),
        ({"batch_size": 1.5}, ValueError, "`batch_size` must be an int"),
        ({"learning_rate": "fast"}, TypeError, "`learning_rate` must be a number"),
        ({"learning_rate": 0}, ValueError, "`learning_rate` must be more than 0"),
        ({"seed": -1}, ValueError, "`seed` must be an int from 0"),
        ({"sparsity": 1}, ValueError, "`sparsity` must be .* less than 1"),
        ({"sparsity": None}, TypeError, "`sparsity` must be a number"),
    ],
)
@same_everywhere
def test_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        tfmot.prune(**{"model": residual(), "x": X, "y": Y, **arguments})


@needs_tfmot
@same_everywhere
def test_clusters():
    for clusters in (2, 16.0, True):
        with pytest.raises(ValueError, match=f"3 or more. Received: {clusters}"):
            tfmot.cluster(residual(), X, Y, clusters)


@needs_tfmot
@same_everywhere
def test_path_and_dtype(tmp_path):
    with pytest.raises(ValueError, match="folder that exists"):
        tfmot.quantize_aware(residual(), tmp_path / "no" / "m.tflite", X, Y)
    with pytest.raises(ValueError, match="`io_dtype` must be one of"):
        tfmot.quantize_aware(residual(), tmp_path / "m.tflite", X, Y, io_dtype="int4")


@same_everywhere
def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "tf_keras" in name else name
    )
    with pytest.raises(ImportError, match=r'tf_keras, not .*"keras-dprp\[tfmot\]"'):
        tfmot.prune(residual(), X, Y)


@same_everywhere
def test_importing_is_cheap():
    code = (
        "import sys, tflite_export.tfmot\n"
        "print({'keras', 'tensorflow', 'tf_keras'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"

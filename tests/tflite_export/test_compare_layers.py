"""Layer by layer: which is the first that a file has wrong."""

import keras
import numpy as np
import pytest
from exported_files import same_everywhere
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import keras_dprp
import tflite_export

SAMPLES = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("float32")
BLOCKS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["plain", "depthwise", "separable", "nested"]),
        "normalize": st.booleans(),
        "activation": st.sampled_from([None, "relu", "swish"]),
        "residual": st.booleans(),
    }
)


def block(x, kind, normalize, activation, residual, name):
    convolution = {
        "plain": layers.Conv2D(8, 3, padding="same", name=name),
        "depthwise": layers.DepthwiseConv2D(3, padding="same", name=name),
        "separable": layers.SeparableConv2D(8, 3, padding="same", name=name),
        "nested": layers.Conv2D(8, 1, name=name),
    }[kind]
    chain = [convolution]
    if normalize:
        chain.append(layers.BatchNormalization(moving_mean_initializer="normal"))
    if activation:
        chain.append(layers.Activation(activation))
    y = x
    if kind == "nested":
        y = keras.Sequential([keras.Input(x.shape[1:]), *chain], name=f"in_{name}")(x)
    else:
        for layer in chain:
            y = layer(y)
    return layers.Add()([x, y]) if residual else y


def network(blocks):
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="stem")(inputs)
    for number, arguments in enumerate(blocks):
        x = block(x, **arguments, name=f"conv{number}")
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


@same_everywhere
@settings(max_examples=3)
@given(blocks=st.lists(BLOCKS, min_size=1, max_size=3), rank=st.sampled_from([None, 3]))
def test_float32_file_agrees_everywhere(blocks, rank, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.tflite"
    model = network(blocks)
    if rank:
        model = keras_dprp.factorize(model, rank=rank)
    tflite_export.export(model, path, verbose=False)
    report = tflite_export.compare_layers(model, path, SAMPLES, verbose=False)
    assert report.first is None and report.samples == 5
    assert {"stem", "logits"} <= {layer.layer for layer in report.layers}
    assert max(layer.error for layer in report.layers) < 1e-3
    assert not {layer.layer for layer in report.layers} & set(report.unmatched)


def chain(damage=None):
    """Four layers, each fused with what follows it; one may have other weights."""
    keras.utils.set_random_seed(3)
    stack = [keras.Input((8, 8, 3), name="image")]
    for name in ("a", "b", "c"):
        stack.append(layers.Conv2D(8, 3, padding="same", name=name))
        stack.append(layers.BatchNormalization(name=f"{name}_norm"))
        stack.append(layers.ReLU(name=f"{name}_relu"))
    stack += [layers.Flatten(name="flat"), layers.Dense(4, name="logits")]
    model = keras.Sequential(stack)
    if damage:
        kernel = model.get_layer(damage).kernel
        kernel.assign(-keras.ops.convert_to_numpy(kernel))
    return model


@same_everywhere
@pytest.mark.parametrize(
    ("damage", "first", "quantization"),
    [("a", "a_relu", "int8"), ("c", "c_relu", None), ("logits", "logits", "int8")],
)
def test_damaged_layer_is_the_first_to_depart(damage, first, quantization, tmp_path):
    path = tmp_path / "model.tflite"
    data = np.concatenate([SAMPLES] * 8)
    tflite_export.export(chain(damage), path, quantization, data, verbose=False)
    report = tflite_export.compare_layers(chain(), path, SAMPLES, verbose=False)
    assert report.first.layer == first
    assert report.first.error > 0.5 and report.first.sqnr_db < 6
    assert set(report.unmatched) == {"a", "b", "c", "a_norm", "b_norm", "c_norm"}


@pytest.fixture
def int8_file(classifier, images, tmp_path):
    path = tmp_path / "model.tflite"
    tflite_export.export(
        classifier, path, "int8", images, io_dtype="uint8", verbose=False
    )
    return path


@same_everywhere
def test_measures_and_what_is_shown(classifier, images, int8_file, capfd):
    report = tflite_export.compare_layers(classifier, int8_file, images)
    assert capfd.readouterr() == (f"{report}\n", "")
    names = [layer.layer for layer in report.layers]
    assert names == ["re_lu", "conv2d_1", "flatten", "classes"]
    assert set(report.unmatched) == {"conv2d", "batch_normalization"}
    assert "fused" in str(report) and "SQNR" in str(report)
    expected = classifier.predict(images[:32], verbose=0)
    actual = tflite_export.predict(int8_file, images[:32])
    noise = np.square(actual - expected).mean()
    last = report.layers[-1]
    assert last.error == pytest.approx(noise**0.5 / expected.std(), rel=0.1)
    power = np.square(expected).mean()
    assert last.sqnr_db == pytest.approx(10 * np.log10(power / noise), abs=1)
    (axes,) = tflite_export.plot_layers(report).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == names


@same_everywhere
def test_several_inputs_and_shared_layers(tmp_path):
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    shared = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, "tanh", name="d")], name="shared"
    )
    total = layers.Add(name="sum")([shared(left), shared(right)])
    model = keras.Model({"left": left, "right": right}, total)
    path = tmp_path / "model.tflite"
    tflite_export.export(model, path, verbose=False)
    data = {name: np.random.default_rng(1).normal(size=(4, 6)) for name in model.input}
    data["right"] = data["right"] + 1
    report = tflite_export.compare_layers(model, path, data, verbose=False)
    names = [layer.layer for layer in report.layers]
    assert names == ["shared/d", "shared (call 2)/d", "sum"]
    assert report.first is None and not report.unmatched
    assert len(model.get_layer("sum")._inbound_nodes) == 1


@pytest.fixture(scope="module")
def chain_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "chain.tflite"
    tflite_export.export(chain(), path, verbose=False)
    return path


def pooling():
    stack = [keras.Input((8, 8, 3), name="image"), layers.MaxPooling2D(name="p")]
    return keras.Sequential(stack)


def dense():
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dense(2)])


@same_everywhere
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"tolerance": 0}, "`tolerance` must be a number above 0. Received: 0"),
        ({"tolerance": "a"}, "`tolerance` must be a number above 0. Received: 'a'"),
        ({"path": "missing.tflite"}, "Received: 'missing.tflite'"),
        ({"samples": SAMPLES[..., :1]}, "`samples` for input 'image' must have shape"),
        ({"model": pooling}, "one that `export` wrote of this model. Received: .*no"),
        ({"model": dense, "samples": None}, "must have the model's inputs"),
    ],
)
def test_bad_input(arguments, match, chain_file):
    if "model" in arguments:
        arguments = {**arguments, "model": arguments["model"]()}
    given = {"model": chain(), "path": chain_file, "samples": SAMPLES, **arguments}
    with pytest.raises(ValueError, match=match):
        tflite_export.compare_layers(**given)


@pytest.mark.parametrize("report", [None, "report"])
def test_plot_of_something_else(report):
    with pytest.raises(TypeError, match=f"must be a LayersReport.* {report!r}"):
        tflite_export.plot_layers(report)

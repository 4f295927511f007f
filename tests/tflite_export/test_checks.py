"""What an export looks at before a file may be used."""

import keras
import numpy as np
import pytest
from exported_files import same_everywhere
from keras import layers, ops

import tflite_export

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(100, 12)).astype("float32")


def detector(apart=False, size=640.0, idle=False):
    """Boxes in pixels, and scores from 0 to 1 apart or beside them, maybe an idle one.

    Each is of 16 places.
    """
    inputs = keras.Input((12,), name="x")
    boxes = layers.Dense(64, "sigmoid", kernel_initializer="he_normal")(inputs)
    boxes = layers.Rescaling(size, name="boxes")(layers.Reshape((16, 4))(boxes))
    scores = layers.Dense(48, "sigmoid", kernel_initializer="he_normal")(inputs)
    scores = layers.Reshape((16, 3), name="scores")(scores)
    outputs = [boxes, scores, *([0.0 * scores[..., :1]] if idle else [])]
    if not apart:
        outputs = layers.Concatenate(name="both")(outputs)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("idle", [False, pytest.param(True, marks=same_everywhere)])
def test_channels_that_the_file_lost_are_an_error(idle, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    match = r"'both' has 3 of [78] channels \(4, 5, 6\) that are the same .*separate"
    with pytest.raises(RuntimeError, match=match):
        tflite_export.export(detector(idle=idle), path, "int8", FEATURES)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@same_everywhere
def test_channels_apart_are_kept(run_litert, tmp_path):
    path = tmp_path / "model.tflite"
    report = tflite_export.export(
        detector(apart=True), path, "int8", FEATURES, verbose=False
    )
    assert [output.name for output in report.outputs] == ["boxes", "scores"]
    assert report.mean_difference < 0.1 and report.agreement is None
    assert np.ptp(run_litert(path, x=FEATURES[:32])["scores"]) > 0.5


@pytest.mark.parametrize("size", [100.0, pytest.param(20.0, marks=same_everywhere)])
def test_channels_of_a_few_values_are_warned_of(size, tmp_path, recwarn):
    """Scores in steps of 0.4 are not constant, and of little use."""
    path = tmp_path / "model.tflite"
    report = tflite_export.export(
        detector(size=size), path, "int8", FEATURES, verbose=False
    )
    found = [str(each.message) for each in recwarn if each.category is UserWarning]
    if size == 20:
        assert not found and report.outputs[0].coarse_channels == ()
        return
    assert report.outputs[0].coarse_channels == (4, 5, 6)
    assert "a few values      in channels 4, 5, 6" in str(report)
    (message,) = found
    assert "'both', channels 4, 5, 6 have only a few values in the int8" in message


@same_everywhere
def test_float32_is_held_to_each_channel(tmp_path):
    """A score that is off by 0.01 is nothing beside boxes of hundreds."""
    inputs = keras.Input((12,), name="x")
    scores = Drifting()(layers.Dense(3, "sigmoid")(inputs))
    boxes = layers.Dense(4, kernel_initializer=keras.initializers.Constant(100))(inputs)
    model = keras.Model(inputs, layers.Concatenate(name="both")([boxes, scores]))
    with pytest.raises(RuntimeError, match="'both' differs from Keras's"):
        tflite_export.export(model, tmp_path / "m.tflite")


@same_everywhere
def test_one_output_that_is_constant_is_an_error(tmp_path):
    """Like that of a file of which a value that is far away sets the scale."""
    model = keras.Sequential([keras.Input((12,)), layers.Dense(1, name="price")])
    data = FEATURES.copy()
    data[-1] *= 1e5
    with pytest.raises(RuntimeError, match="'price' is the same for all samples"):
        tflite_export.export(model, tmp_path / "m.tflite", "int8", data)
    assert not list(tmp_path.iterdir())


@same_everywhere
@pytest.mark.parametrize("kind", ["rare class", "unlikely", "tail"])
def test_what_is_next_to_nothing_may_be_constant(kind, tmp_path):
    """Integers cannot hold it, and nobody needs it."""
    shift = np.zeros(12, "float32")
    spread = np.ones(12, "float32")
    activation = {"rare class": "softmax", "unlikely": "sigmoid", "tail": None}[kind]
    if kind == "tail":
        spread = np.geomspace(1e-4, 1, 60).astype("float32")
    else:
        shift[3] = -12
    dense = layers.Dense(len(spread), activation, use_bias=True)
    model = keras.Sequential([keras.Input((12,)), dense])
    kernel = RNG.normal(size=(12, len(spread))) * spread
    dense.set_weights([kernel, np.resize(shift, len(spread))])
    tflite_export.export(model, tmp_path / "m.tflite", "int8", FEATURES, verbose=False)


class Drifting(layers.Layer):
    """Gives something else at every call."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs + 0.01 * self.calls


def classifier(activation=None, loss=None):
    model = keras.Sequential([keras.Input((12,)), layers.Dense(5, activation)])
    if loss:
        model.compile("sgd", loss)
    return model


@same_everywhere
@pytest.mark.parametrize(
    ("make", "arguments", "is_score"),
    [
        (lambda: classifier("softmax"), {}, True),
        (lambda: classifier(), {}, False),
        (lambda: classifier("sigmoid"), {}, False),
        (lambda: classifier("sigmoid", "binary_crossentropy"), {}, False),
        (lambda: classifier(None, "mse"), {}, False),
        (lambda: classifier(None, "sparse_categorical_crossentropy"), {}, True),
        (
            lambda: classifier(None, keras.losses.CategoricalCrossentropy(True)),
            {},
            True,
        ),
        (lambda: classifier(None, keras.losses.categorical_crossentropy), {}, True),
        (lambda: classifier(), {"labels": list("abcde")}, True),
        (
            lambda: classifier(),
            {"evaluation_data": (FEATURES, np.arange(100) % 5)},
            True,
        ),
    ],
)
def test_top_class_is_compared_of_class_scores_alone(
    make, arguments, is_score, tmp_path
):
    report = tflite_export.export(
        make(), tmp_path / "m.tflite", verbose=False, **arguments
    )
    assert (report.agreement == 1) is is_score
    assert (report.agreement is None) is not is_score
    assert ("same top class" in str(report)) is is_score


@same_everywhere
def test_each_output_has_its_own_loss(tmp_path):
    inputs = keras.Input((12,))
    outputs = {name: layers.Dense(3, name=name)(inputs) for name in ("kind", "place")}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"kind": "sparse_categorical_crossentropy", "place": "mse"})
    report = tflite_export.export(model, tmp_path / "m.tflite", verbose=False)
    assert [output.agreement for output in report.outputs] == [1, None]


@same_everywhere
@pytest.mark.parametrize("bias", [0, 100])
def test_one_class_alone_is_told(bias, tmp_path):
    model = classifier("softmax")
    model.layers[0].bias.assign([bias, 0, 0, 0, 0])
    report = tflite_export.export(
        model, tmp_path / "m.tflite", "float16", FEATURES, verbose=False
    )
    assert ("100.0%, but of one class alone" in str(report)) is bool(bias)
    assert (report.outputs[0].classes == 1) is bool(bias)


def test_noise_is_called_noise(tmp_path):
    path, noise = tmp_path / "m.tflite", "samples of noise: pass representative_data"
    report = tflite_export.export(classifier(), path, verbose=False)
    assert report.on_noise and noise in str(report)
    for arguments in (
        {"representative_data": FEATURES},
        {"evaluation_data": (FEATURES, np.arange(100) % 5)},
    ):
        report = tflite_export.export(classifier(), path, verbose=False, **arguments)
        assert not report.on_noise and noise not in str(report)


@same_everywhere
@pytest.mark.parametrize(
    ("input_range", "low", "high", "fits"),
    [
        ((0, 255), 0, 255, True),
        ((0, 255), 3, 120, True),
        ((0, 1), 0, 1, True),
        ((-1, 1), -1, 1, True),
        ((0, 255), 0, 1, False),
        ((0, 255), -1, 1, False),
        ((-1, 1), 0, 1, False),
        ((0, 1), 0, 255, False),
        ((0, 1), -1, 1, False),
        ((-1, 1), 0, 255, False),
    ],
)
@pytest.mark.parametrize("argument", ["representative_data", "evaluation_data"])
def test_input_range_is_that_of_the_data(
    argument, input_range, low, high, fits, tmp_path
):
    data = RNG.uniform(low, high, (40, 12))
    data[0], data[1] = low, high
    given = data if argument == "representative_data" else (data, np.arange(40) % 5)
    arguments = {argument: given, "input_range": input_range, "verbose": False}
    path = tmp_path / "m.tflite"
    if fits:
        tflite_export.export(classifier("softmax"), path, **arguments)
        return
    match = f"`{argument}` must lie within `input_range`.*from {low} to {high}"
    with pytest.raises(ValueError, match=match):
        tflite_export.export(classifier("softmax"), path, **arguments)
    assert not list(tmp_path.iterdir())


@same_everywhere
@pytest.mark.parametrize(
    ("quantization", "units", "text"),
    [
        (None, 200, " bytes"),
        ("int8", 200, "% of float32's"),
        ("int8", 1, "not smaller"),
    ],
)
def test_size_beside_float32(quantization, units, text, tmp_path):
    hidden = layers.Dense(units, "relu")
    model = keras.Sequential([keras.Input((12,)), hidden, layers.Dense(units)])
    path = tmp_path / "m.tflite"
    plain = tflite_export.export(model, path, verbose=False)
    assert plain.float32_bytes is None
    report = tflite_export.export(model, path, quantization, FEATURES, verbose=False)
    assert text in str(report).splitlines()[2]
    if quantization:
        assert report.float32_bytes == plain.bytes
        assert (report.bytes >= plain.bytes) is (text == "not smaller")


def two_of_one_shape():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    return keras.Model([left, right], layers.Subtract()([left, right]))


@pytest.mark.parametrize("kind", ["list", "batches", "evaluation"])
def test_inputs_that_may_be_swapped_need_names(kind, tmp_path):
    data = [np.ones((4, 3)), np.zeros((4, 3))]
    arguments = {
        "list": {"representative_data": data},
        "batches": {"representative_data": iter([data])},
        "evaluation": {"evaluation_data": (data, np.ones((4, 3)))},
    }[kind]
    with pytest.raises(ValueError, match=r"dict .*\['left', 'right'\].*swapped"):
        tflite_export.export(two_of_one_shape(), tmp_path / "m.tflite", **arguments)
    assert not list(tmp_path.iterdir())


@same_everywhere
def test_keys_of_inputs_mean_what_they_mean_in_fit(run_litert, tmp_path):
    """Even if they are the names of other inputs."""
    one, two = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    with pytest.warns(UserWarning, match="must match the names"):
        model = keras.Model({"a": one, "b": two}, layers.Subtract()([one, two]))
    data = {"a": 5 + FEATURES[:, :3], "b": FEATURES[:, 3:6]}
    path = tmp_path / "m.tflite"
    tflite_export.export(model, path, "int8", data, verbose=False)
    expected = model.predict(data, verbose=0)
    (outputs,) = run_litert(path, b=data["a"], a=data["b"]).values()
    assert np.abs(outputs - expected).max() < 0.1


def last(operation):
    inputs = keras.Input((12,))
    return keras.Model(inputs, operation(layers.Dense(4)(inputs)))


def nested(operation):
    inputs = keras.Input((12,))
    return keras.Model(inputs, last(operation)(inputs))


class Own(layers.Layer):
    def call(self, inputs):
        return ops.erfinv(0.5 * ops.tanh(inputs))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: last(lambda x: ops.argmax(x, -1)), r"'argmax\w*' \(of type Argmax\)"),
        pytest.param(
            lambda: nested(lambda x: ops.argmax(x, -1)),
            r"'argmax\w*' \(of type Argmax\)",
            marks=same_everywhere,
        ),
        pytest.param(
            lambda: last(Own(name="mine")),
            r"'mine' \(of type Own\)",
            marks=same_everywhere,
        ),
    ],
)
def test_operation_that_litert_lacks_is_told_in_keras_words(make, match, tmp_path):
    with pytest.raises(ValueError, match=f"which {match} needs.* in the app"):
        tflite_export.export(make(), tmp_path / "m.tflite", verbose=False)
    assert not list(tmp_path.iterdir())


@same_everywhere
def test_loop_is_told_to_be_dynamic(tmp_path):
    """Which is smaller than an int8 file of an unrolled loop, too."""

    def recurrent(unroll):
        return keras.Sequential([keras.Input((20, 8)), layers.GRU(8, unroll=unroll)])

    data = RNG.normal(size=(40, 20, 8))
    path = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match="Use quantization='dynamic', which can"):
        tflite_export.export(recurrent(False), path, "int8", data)
    dynamic = tflite_export.export(recurrent(False), path, "dynamic", verbose=False)
    int8 = tflite_export.export(recurrent(True), path, "int8", data, verbose=False)
    assert dynamic.bytes < int8.bytes
    assert "not smaller than float32's" in str(int8)


@same_everywhere
def test_raw_message_of_the_converter_is_translated(tmp_path, monkeypatch):
    from tflite_export import convert

    def fail(*arguments):
        raise RuntimeError("tensorflow/lite/kernels/x.cc:7 y != z (3 != 4)\nNode 5.")

    monkeypatch.setattr(convert, "run_converter", fail)
    match = "cannot be converted: .*Try another quantization than 'int8'"
    with pytest.raises(RuntimeError, match=match):
        tflite_export.export(classifier(), tmp_path / "m.tflite", "int8", FEATURES)

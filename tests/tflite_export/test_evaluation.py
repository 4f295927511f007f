"""What a file is worth on data with targets, beside the model it was made of."""

import json

import keras
import numpy as np
import pytest
from exported_files import same_everywhere
from keras import layers

import tflite_export
from tflite_export.__main__ import main

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(300, 6, 6, 1)).astype("float32")
# The class is where the bright half is.
Y = (X[:, :3].mean(axis=(1, 2, 3)) > X[:, 3:].mean(axis=(1, 2, 3))).astype("int32")


@pytest.fixture(scope="module")
def trained():
    """Bright above or bright below, told right nearly always."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(X, Y, epochs=20, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[1] > 0.9
    return model


@pytest.mark.parametrize(
    "quantization", [pytest.param(None, marks=same_everywhere), "int8"]
)
def test_accuracy_of_both_is_in_the_report(quantization, trained, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    report = tflite_export.export(trained, path, quantization, X[:100], (X, Y), 0.02)
    found = report.evaluation
    assert (found.metric, found.samples) == ("accuracy", 300)
    assert found.keras == pytest.approx(trained.evaluate(X, Y, verbose=0)[1])
    right = tflite_export.predict(path, X).argmax(axis=-1) == Y
    assert found.file == pytest.approx(right.mean())
    assert found.drop == pytest.approx(found.keras - found.file) and found.drop <= 0.02
    last = capsys.readouterr().out.splitlines()[-1]
    values = f"file {found.file:.4g}, Keras {found.keras:.4g}, on 300 samples"
    assert last.split(maxsplit=1) == ["accuracy", values]
    text = json.dumps(report.to_dict())
    assert tflite_export.ExportReport.from_dict(json.loads(text)) == report


def test_wrongly_scaled_pixels_are_caught(trained, tmp_path):
    """The most common mistake: images from 0 to 255 for a model of 0 to 1."""
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    match = (
        "accuracy on `evaluation_data` is 0.* Keras's .*`max_drop` allows, 0.01. No "
        r"file was written.* from 0.* to 25\d.* in the former, from .* to 0.99.*latter"
    )
    with pytest.raises(RuntimeError, match=match):
        tflite_export.export(trained, path, "int8", 255 * X[:100], (X, Y), 0.01)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@same_everywhere
def test_without_max_drop_any_file_will_do(trained, tmp_path):
    path = tmp_path / "model.tflite"
    report = tflite_export.export(
        trained, path, "int8", 255 * X[:100], (X, Y), verbose=False
    )
    assert report.evaluation.drop > 0.1 and path.exists()


@same_everywhere
@pytest.mark.parametrize(
    ("outputs", "activation", "targets"),
    [
        (2, None, Y),
        (2, "softmax", Y[:, None]),
        (2, None, Y.astype("int64")),
        (2, None, np.eye(2)[Y]),
        (1, "sigmoid", Y == 1),
        (1, "sigmoid", Y[:, None]),
    ],
)
def test_accuracy_of_a_model_that_is_not_compiled(
    outputs, activation, targets, tmp_path
):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Flatten(),
            layers.Dense(outputs, activation, name="y"),
        ]
    )
    path = tmp_path / "model.tflite"
    report = tflite_export.export(
        model, path, evaluation_data=(X, targets), verbose=False
    )
    given = tflite_export.predict(path, X)
    classes = given.argmax(axis=-1) if outputs > 1 else given[:, 0] > 0.5
    assert report.evaluation.metric == "accuracy"
    assert report.evaluation.file == pytest.approx(np.mean(classes == Y))
    assert report.evaluation.keras == pytest.approx(report.evaluation.file)


def regression(**compiled):
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(2, name="y")]
    )
    model.compile("sgd", "mse", **compiled)
    return model


TARGETS = RNG.normal(size=(300, 2))


@pytest.mark.parametrize(
    "metric",
    [
        "mae",
        pytest.param(keras.metrics.R2Score(), marks=same_everywhere),
        pytest.param(keras.losses.mean_absolute_error, marks=same_everywhere),
    ],
)
def test_drop_is_how_much_worse_the_file_is(metric, tmp_path):
    """Whether more or less of the metric is better."""
    model = regression(metrics=[metric, "mse"])
    calibration = X[:100] / 50
    report = tflite_export.export(
        model, tmp_path / "m.tflite", "int8", calibration, (X, TARGETS), verbose=False
    )
    expected = model.evaluate(X, TARGETS, verbose=0)[1]
    found = report.evaluation
    assert found.keras == pytest.approx(expected, rel=1e-4)
    assert abs(found.file - found.keras) > 0.01
    sign = 1 if found.metric == "r2_score" else -1
    assert found.drop == pytest.approx(sign * (found.keras - found.file))


@same_everywhere
def test_max_drop_itself_is_allowed(trained, tmp_path):
    path = tmp_path / "m.tflite"
    arguments = (trained, path, "int8", 20 * X[:100], (X, Y))
    drop = tflite_export.export(*arguments, verbose=False).evaluation.drop
    assert drop > 0.01
    tflite_export.export(*arguments, max_drop=drop, verbose=False)
    with pytest.raises(RuntimeError, match="No file was written"):
        tflite_export.export(*arguments, max_drop=drop - 1 / 300, verbose=False)


@same_everywhere
def test_several_inputs_and_outputs(tmp_path):
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    both = layers.Concatenate()([left, right])
    outputs = {name: layers.Dense(2, name=name)(both) for name in ("a", "b")}
    model = keras.Model({"left": left, "right": right}, outputs)
    model.compile("sgd", "mse", metrics={"b": "mae"})
    x = {name: RNG.normal(size=(40, 3)) for name in ("left", "right")}
    y = {name: RNG.normal(size=(40, 2)) for name in ("a", "b")}
    path = tmp_path / "m.tflite"
    report = tflite_export.export(model, path, evaluation_data=(x, y), verbose=False)
    assert report.evaluation.metric == "b_mae"
    error = np.abs(tflite_export.predict(path, x)["b"] - y["b"]).mean()
    assert report.evaluation.file == pytest.approx(error, rel=1e-4)


def test_export_in_the_middle_of_a_fit_disturbs_no_metric(trained, tmp_path):
    model = keras.models.clone_model(trained)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])

    def export(batch, logs):
        values = [float(value) for value in model.get_metrics_result().values()]
        tflite_export.export(
            model, tmp_path / "m.tflite", evaluation_data=(X, Y), verbose=False
        )
        after = [float(value) for value in model.get_metrics_result().values()]
        assert values == after and values[1] > 0

    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch == 1 and export(batch, logs)
    )
    jit = keras.backend.backend() == "jax"
    if jit:
        pytest.skip("On JAX metrics have their values at the end of an epoch.")
    model.fit(X, Y, verbose=0, callbacks=[callback])


def own(y, outputs):
    return keras.ops.mean(y - outputs, axis=-1)


def of_each(y, outputs):
    return keras.ops.abs(y - outputs)


@same_everywhere
@pytest.mark.parametrize(
    ("make", "arguments", "error", "match"),
    [
        (None, {"evaluation_data": X}, TypeError, r"tuple \(x, y\).*type ndarray"),
        (None, {"evaluation_data": (X,)}, TypeError, "type tuple of 1"),
        (None, {"evaluation_data": (X, Y, Y)}, TypeError, "type tuple of 3"),
        (None, {"evaluation_data": (X, list(Y))}, TypeError, "an array.*: list"),
        (None, {"evaluation_data": (X, "classes")}, TypeError, "targets .*: str"),
        (None, {"evaluation_data": (X, Y[:7])}, ValueError, "300 samples and 7 t"),
        (None, {"evaluation_data": (X[:, :5], Y)}, ValueError, r"\(300, 5, 6, 1\)"),
        (None, {"evaluation_data": (X[:0], Y[:0])}, ValueError, "samples first"),
        (None, {"evaluation_data": (X, np.zeros((300, 5)))}, ValueError, "targets in"),
        (None, {"max_drop": 0.1}, ValueError, "needs `evaluation_data`"),
        (None, {"evaluation_data": (X, Y), "max_drop": -0.1}, ValueError, "0 or more"),
        (None, {"evaluation_data": (X, Y), "max_drop": np.nan}, ValueError, "nan"),
        (None, {"evaluation_data": (X, Y), "max_drop": "1%"}, TypeError, "'1%'"),
        (None, {"evaluation_data": (X, Y), "max_drop": True}, TypeError, "True"),
        (regression, {"evaluation_data": (X, TARGETS)}, ValueError, "needs a metric"),
        (
            lambda: regression(metrics=[own]),
            {"evaluation_data": (X, TARGETS), "max_drop": 0.1},
            ValueError,
            "whether more or less is better.*Received: 'own'",
        ),
        (
            lambda: regression(metrics=["mae"]),
            {"evaluation_data": (X, np.full((300, 2), np.nan))},
            ValueError,
            "must be finite.*Received: nan",
        ),
        (
            lambda: regression(metrics=[keras.metrics.F1Score()]),
            {"evaluation_data": (X, np.eye(2)[Y])},
            ValueError,
            r"one number. Received: 'f1_score' of shape \(2,\)",
        ),
    ],
)
def test_bad_input(make, arguments, error, match, trained, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    with pytest.raises(error, match=match):
        tflite_export.export(make() if make else trained, path, **arguments)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@same_everywhere
def test_command_line(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained.save("model.keras")
    np.savez("test.npz", x=X, y=Y)
    np.save("right.npy", X[:100])
    np.save("wrong.npy", 255 * X[:100])
    options = ["--quantization", "int8", "--evaluation-data", "test.npz"]
    options += ["--max-drop", "0.02", "--representative-data"]
    main(["model.keras", "model.tflite", *options, "right.npy"])
    out = capsys.readouterr().out
    assert "same top class" in out and "on 300 samples" in out
    with pytest.raises(SystemExit) as stop:
        main(["model.keras", "other.tflite", *options, "wrong.npy"])
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert "accuracy on --evaluation-data is 0." in err and "--max-drop allows" in err
    assert not (tmp_path / "other.tflite").exists()


@same_everywhere
def test_command_line_names_several_inputs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    both = layers.Concatenate()([left, right])
    keras.Model([left, right], layers.Dense(2)(both)).save("model.keras")
    np.savez("d.npz", right=np.ones((6, 3)), left=np.ones((6, 3)), y=np.ones(6, int))
    main(["model.keras", "model.tflite", "--evaluation-data", "d.npz"])
    assert "on 6 samples" in capsys.readouterr().out

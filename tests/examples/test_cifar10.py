"""The CIFAR-10 example on small made-up images: its parts, and its command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_dprp as dprp
from tests.bright_images import bright_images

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def cifar10(examples):
    import cifar10

    return cifar10


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, **bright_images(4, train=80, test=20))
    return path


def test_augmentation_shifts_and_mirrors(cifar10):
    layer = cifar10.ShiftAndFlip(seed=0)
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, size=(32, 6, 5, 3)).astype("float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    moved = ops.convert_to_numpy(layer(x, training=True))
    assert moved.shape == x.shape
    kinds = {candidate_index(image, new) for image, new in zip(x, moved, strict=True)}
    assert None not in kinds
    assert len(kinds) > 10


def candidate_index(image, new):
    """Which shift and mirroring of an image `new` is; None if it is none of them."""
    height, width, _ = image.shape
    framed = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    for down in range(9):
        for right in range(9):
            window = framed[down : down + height, right : right + width]
            for flip in (1, -1):
                if np.array_equal(window[:, ::flip], new):
                    return down, right, flip
    return None


def test_a_share_of_the_images_and_a_split_of_them(cifar10, data):
    whole, test = cifar10.load(cifar10.Settings(str(data)))
    part, same = cifar10.load(cifar10.Settings(str(data), fraction=0.1))
    assert (len(whole[1]), len(part[1])) == (80, 8)
    np.testing.assert_array_equal(same[0], test[0])
    rest, held_out = cifar10.load(cifar10.Settings(str(data), validate=True))
    assert (len(rest[1]), len(held_out[1])) == (72, 8)
    seen = {image.tobytes() for image in rest[0]}
    assert not any(image.tobytes() in seen for image in held_out[0])


def test_labels_may_be_a_column(cifar10, data):
    arrays = dict(np.load(data))
    columns = {k: v[:, None] if k[0] == "y" else v for k, v in arrays.items()}
    np.savez(data.with_name("columns.npz"), **columns)
    expected = cifar10.load(cifar10.Settings(str(data)))
    actual = cifar10.load(cifar10.Settings(str(data.with_name("columns.npz"))))
    for (_, y), (_, other) in zip(expected, actual, strict=True):
        np.testing.assert_array_equal(y, other)


@pytest.mark.parametrize("epochs", [1, 7, 100])
def test_the_last_epoch_is_validated(cifar10, epochs):
    validated = cifar10.validated(epochs, 20)
    assert validated[0] == epochs
    assert min(validated) >= 1
    assert len(validated) <= 2 * 20


@pytest.fixture
def settings(cifar10, data):
    """A function of changes: the settings of a small training."""

    def changed(**changes):
        return cifar10.Settings(
            str(data), **{"model": "resnet8", "epochs": 3, "validations": 1, **changes}
        )

    return changed


def test_ranks_fall_halfway_where_a_network_is_its_own_teacher(cifar10, settings):
    target = {"target": 0.5}
    given = settings(teacher="self", pruning=target, epochs=4)
    network, results, _, pruning = cifar10.train(given)
    assert results["event_epochs"] == [2]
    assert results["macs_kept"] <= 0.5
    first, last = results["ranks"]
    assert sum(last.values()) < sum(first.values())
    # Halves of a pair are stock layers of names of their own.
    assert any(layer.name.endswith("_first") for layer in network.layers)
    assert dprp.summary(network).macs == results["macs"]
    assert not any(isinstance(layer, dprp.SVDConv2D) for layer in network.layers)


def test_a_dense_network_learns_from_itself_once_the_start_has_come(cifar10, settings):
    losses = []
    for share in (0.5, 0.9):
        given = settings(method="dense", teacher="self", teacher_share=share)
        _, results, _, _ = cifar10.train(given)
        assert results["macs_kept"] == 1
        losses.append(results["history"]["loss"])
    assert given.start == 1
    # What the teacher says is in the loss, the more the larger its share.
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] < losses[1][1]


def test_a_trained_network_is_cut_at_once_and_taught_by_what_it_was(
    cifar10, settings, tmp_path
):
    path = str(tmp_path / "trained.keras")
    dense = settings(method="dense", epochs=1)
    trained, results, _, pruning = cifar10.train(dense)
    assert pruning is None
    assert "ranks" not in results
    assert results["macs_kept"] == results["parameters_kept"] == 1
    trained.save(path)
    given = settings(weights=path, teacher=path, pruning={"target": 0.5}, epochs=1)
    begun = cifar10.build_for(given, cifar10.load(given))
    for mine, other in zip(begun.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(mine), ops.convert_to_numpy(other)
        )
    network, results, _, _ = cifar10.train(given)
    assert results["event_epochs"] == [0]
    assert results["macs_kept"] <= 0.5
    assert network.output_shape == trained.output_shape


def test_a_narrower_network_has_fewer_filters_in_every_stage(cifar10, settings):
    given = settings(width=8)
    network = cifar10.build_for(given, cifar10.load(given))
    for stage, filters in enumerate((8, 16, 32), start=1):
        layer = network.get_layer(f"stage{stage}_block1_b")
        assert layer.filters == filters


@pytest.mark.parametrize(
    "teacher, pruning, restart, restarts",
    [
        ("self", {}, 1.0, 5),
        ("self", {"start": 3}, 0.5, 3),
        ("self", {}, 0.0, None),
        ("none", {}, 1.0, None),
    ],
)
def test_the_learning_rate_starts_anew_where_ranks_fall(
    teacher, pruning, restart, restarts, cifar10
):
    steps = 4
    given = cifar10.Settings(
        "", epochs=10, teacher=teacher, pruning=pruning, restart=restart
    )
    schedule = cifar10.learning_rate(given, steps)
    rates = [float(schedule(step)) for step in range(10 * steps)]
    first, last = given.learning_rate, 0.05 * given.learning_rate
    assert rates[0] == pytest.approx(first)
    assert rates[-1] < last
    rises = [step for step in range(1, len(rates)) if rates[step] > rates[step - 1]]
    assert rises == ([] if restarts is None else [steps * restarts])
    for step in rises:
        assert rates[step] == pytest.approx(restart * first)
        assert rates[step - 1] < last


def run(*arguments, data, out, **environment):
    command = [sys.executable, EXAMPLES / "cifar10.py", "--data", data, "--out", out]
    return subprocess.run(
        [*map(str, command), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_training_needs_no_tensorflow(data, tmp_path):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow is the backend.")
    # A module of that name that cannot be imported comes first.
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "tensorflow.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(blocked), str(EXAMPLES.parent)])
    options = ("--model=resnet8", "--epochs=1")
    done = run(*options, data=data, out=tmp_path / "out", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.keras").exists()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="On JAX the tests of the paper's runner train, save and export.",
)
def test_the_whole_line(data, tmp_path):
    out = tmp_path / "out"
    options = ("--model=resnet8", "--epochs=4", "--export")
    options += ("--target=0.5", "--teacher=self")
    done = run(*options, data=data, out=out)
    assert done.returncode == 0, done.stderr
    results = json.loads((out / "results.json").read_text())
    assert results["macs_kept"] <= 0.5
    assert results["pruning"] == {"target": 0.5}
    assert results["event_epochs"] == [2]
    for name in ("float32", "int8"):
        path = out / f"resnet8-{name}.tflite"
        assert results["tflite"][name]["bytes"] == path.stat().st_size
    network = keras.saving.load_model(out / "model.keras")
    # The network that is saved does not augment.
    names = {type(layer).__name__ for layer in network.layers}
    assert "ShiftAndFlip" not in names
    assert dprp.summary(network).macs == results["macs"]
    accuracy = results["tflite"]["float32"]["accuracy"]
    assert abs(accuracy - results["accuracy"]) <= 0.05
    assert (out / "ranks.png").exists()


@pytest.mark.parametrize(
    "options, match",
    [
        (["--fraction=0"], "--fraction must be in (0, 1]. Received: 0.0"),
        (["--epochs=0"], "--epochs must be 1 or more. Received: 0"),
        (["--target=2"], "--target must be in (0, 1]"),
        (["--target=0.5", "--method=dense"], "goes with --method dprp"),
        (["--width=0"], "--width must be 1 or more. Received: 0"),
        (["--model=resnet21"], "invalid choice: 'resnet21'"),
        (["--teacher=x.keras"], "--teacher must be a file that is there. Received: x"),
        (["--weights=x.keras"], "--weights must be a file that is there. Received: x"),
    ],
)
def test_bad_options(options, match, data, tmp_path):
    done = run(*options, data=data, out=tmp_path / "out")
    assert done.returncode == 2
    assert match in done.stderr
    assert not (tmp_path / "out").exists()

"""Exported files and the Raspberry Pi example on aarch64, beside x86 and Keras.

`make test-arm` runs this; it downloads an emulator first. What an emulator measures is
no latency.
"""

import json
import subprocess
import sys
from pathlib import Path

import emulator
import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from PIL import Image
from run_files import run_files

import keras_dprp
import tflite_export
from tflite_export.operation_files import write_files

pytestmark = pytest.mark.arm

CLASSIFY = emulator.ROOT / "examples" / "raspberry_pi" / "classify.py"
RUN_FILES = Path(__file__).parent / "run_files.py"
MODES = ("spatial", "channel")
# Arguments of `export`, and how far outputs may be from Keras's (standard deviations).
KINDS = {
    "float32": ({}, 1e-3),
    "float16": ({"quantization": "float16"}, 0.05),
    "dynamic": ({"quantization": "dynamic"}, 0.3),
    "int8": ({"quantization": "int8"}, 0.3),
    "int8-int8": ({"quantization": "int8", "io_dtype": "int8"}, 0.3),
    "int8-uint8": ({"quantization": "int8", "io_dtype": "uint8"}, 0.3),
}
MACHINES = ("keras", "x86", "aarch64")
LABELS = ["ant", "bee", "cat", "dog", "elk"]


def network():
    """Takes pixels; has what networks of images have."""
    x = inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1)(x)
    x = block(x, 16)
    x = layers.Add()([x, block(x, 16)])
    x = layers.MaxPooling2D()(x)
    # Keras's default is far smaller than those that trained networks have.
    each = keras.initializers.RandomNormal(stddev=0.3)
    x = layers.DepthwiseConv2D(3, activation="relu6", depthwise_initializer=each)(x)
    x = block(x, 32, strides=2)
    x = layers.GlobalAveragePooling2D()(x)
    # Far apart, as a trained network's classes are.
    spread = keras.initializers.VarianceScaling(30.0)
    x = layers.Dense(5, kernel_initializer=spread, name="logits")(x)
    return keras.Model(inputs, x)


def block(x, filters, **arguments):
    x = layers.Conv2D(filters, 3, padding="same", **arguments)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


@pytest.fixture(scope="session")
def arm():
    try:
        emulator.prepare()
    except emulator.Unavailable as reason:
        pytest.skip(f"Nothing was run on aarch64: {reason}")
    return emulator.run


@pytest.fixture
def say(capsys):
    """Prints past pytest, which keeps what libraries log to itself."""

    def say(text):
        with capsys.disabled():
            print(f"\n{text}", end=" ")

    return say


@pytest.fixture(scope="session")
def images():
    """Pixels in patches, from black to white."""
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (64, 4, 4, 3)).astype("float32")
    return patches.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture(scope="session")
def folder(images, tmp_path_factory):
    """A file of every kind in both modes, samples, and Keras's outputs."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(0)
    dense, expected = network(), {}
    for mode in MODES:
        model = keras_dprp.factorize(dense, rank=0.5, mode=mode)
        expected[mode] = model.predict(images[:32], verbose=0)
        for kind, (arguments, _) in KINDS.items():
            export(model, folder / f"{kind}-{mode}.tflite", images, **arguments)
    with_softmax = keras.Model(dense.input, layers.Softmax()(dense.output))
    export(with_softmax, folder / "softmax.tflite", images, **KINDS["int8-int8"][0])
    np.save(folder / "samples.npy", images[:32])
    np.savez(folder / "keras.npz", **expected)
    return folder


def export(model, path, images, **arguments):
    tflite_export.export(
        model,
        path,
        representative_data=images,
        labels=LABELS,
        input_range=(0, 255),
        verbose=False,
        **arguments,
    )


@pytest.fixture(scope="session")
def outputs(arm, folder):
    """Raw outputs of every file on both processors, and Keras's."""
    run_files(folder, folder / "x86.npz")
    arm(RUN_FILES, folder, folder / "aarch64.npz")
    return {name: dict(np.load(folder / f"{name}.npz")) for name in MACHINES}


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Pictures of other sizes than the files take."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for number, suffix in enumerate((".png", ".png", ".jpg", ".bmp")):
        pixels = rng.integers(0, 256, (4, 5, 3), "uint8").repeat(12, 0).repeat(9, 1)
        Image.fromarray(pixels).save(folder / f"{number}{suffix}")
    return folder


def test_machine(arm, say):
    code = "import platform; print(platform.machine(), platform.python_version())"
    machine, version = arm("-c", code).split()
    assert machine == "aarch64"
    say(f"{machine}, {emulator.CPU}, Python {version}")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_outputs(kind, mode, folder, outputs, say):
    name = f"{kind}-{mode}"
    from_x86 = difference(outputs["aarch64"][name], outputs["x86"][name])
    floats = to_floats(folder / f"{name}.tflite", outputs["aarch64"][name])
    from_keras = difference(floats, outputs["keras"][mode])
    say(f"{name}: off x86 by {from_x86:.1e}, off Keras by {from_keras:.1e}")
    assert from_x86 <= (0 if kind.startswith("int8") else 1e-4)
    assert from_keras <= KINDS[kind][1]


def difference(actual, expected):
    """The largest, in standard deviations of what was expected."""
    expected = expected.astype("float64")
    return np.abs(actual - expected).max() / expected.std()


def to_floats(path, outputs):
    (details,) = Interpreter(model_path=str(path)).get_output_details()
    scale, zero_point = details["quantization"]
    return (outputs.astype("float64") - zero_point) * scale if scale else outputs


def test_softmax_of_integers(outputs, say):
    """LiteRT computes it in float: some are rounded to the step beside."""
    ours, theirs = (outputs[name]["softmax"].astype(int) for name in MACHINES[1:])
    steps = np.abs(ours - theirs)
    say(f"softmax in int8: off x86 by {steps.max()} step, in {(steps > 0).mean():.1%}")
    assert steps.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_raspberry_pi_example(kind, arm, folder, photos, say):
    command = (CLASSIFY, folder / f"{kind}-spatial.tflite", photos, "--top", "2")
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=True
    )
    emulated = table(arm(*command))
    say(f"classify.py, {kind}: {emulated[0]} and {len(emulated) - 1} more rows")
    assert len(emulated) == 8
    for ours, theirs in zip(emulated, table(done.stdout), strict=True):
        assert ours[:-1] == theirs[:-1]
        assert ours[-1] == pytest.approx(theirs[-1], abs=0.11)


def table(text):
    """The rows of what the example prints; shares in percent."""
    rows = text.partition("\n\n")[0].splitlines()[1:]
    return [(*row.split()[:-1], float(row.split()[-1].rstrip("%"))) for row in rows]


def test_the_files_of_a_profile_are_timed_there(arm, tmp_path):
    """By LiteRT and NumPy alone. The times are an emulator's and mean nothing."""
    path = tmp_path / "board.json"
    write_files(network(), path, "int8", verbose=False)
    run = "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    run += "from tflite_export.__main__ import main; main()"
    said = arm("-c", run, emulator.ROOT, "--profile", path, "--runs", "1")
    assert "operations timed" in said
    content = json.loads(path.read_text())
    assert content["device"]["system"] == "Linux aarch64"
    times = [each["milliseconds"] for each in content["operations"]]
    assert times and all(time > 0 for time in times)

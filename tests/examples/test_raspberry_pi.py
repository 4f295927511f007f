"""The Raspberry Pi example, run as it is on a board, over files of all kinds."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import tflite_export

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "examples" / "raspberry_pi"
COLORS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
KINDS = {
    "float32": {},
    "float16": {"quantization": "float16"},
    "dynamic": {"quantization": "dynamic"},
    "int8": {"quantization": "int8"},
    "int8-int8": {"quantization": "int8", "io_dtype": "int8"},
    "int8-uint8": {"quantization": "int8", "io_dtype": "uint8"},
}

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="The same on every backend."
)


def run(*arguments):
    command = [sys.executable, FOLDER / "classify.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def table(done):
    """Rows of label and percent, by file."""
    assert done.returncode == 0, done.stderr
    files: dict[str, list] = {}
    for line in done.stdout.partition("\n\n")[0].splitlines()[1:]:
        *name, label, share = line.split()
        if name:
            rows = files.setdefault(name[0], [])
        rows.append((label, float(share.rstrip("%"))))
    return files


def color_classifier(low=0, high=255):
    """Gives as logits how blue, green and red an image is, in eighths: 8 at most."""
    model = keras.Sequential(
        [
            keras.Input((6, 8, 3), name="image"),
            layers.Rescaling(1 / (high - low), -low / (high - low)),
            layers.Conv2D(3, 1, use_bias=False),
            layers.GlobalAveragePooling2D(),
        ]
    )
    model.layers[1].kernel.assign(8 * np.eye(3)[::-1][None, None])
    return model


def export(path, model=None, low=0, high=255, **arguments):
    rng = np.random.default_rng(0)
    model = model or color_classifier(low, high)
    pixels = rng.uniform(low, high, (40, *model.input_shape[1:]))
    pixels[0], pixels[1] = low, high
    tflite_export.export(
        model, path, representative_data=pixels, verbose=False, **arguments
    )
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A picture of each colour, none of the size that files take."""
    folder = tmp_path_factory.mktemp("images")
    for (name, color), suffix in zip(
        COLORS.items(), (".png", ".JPG", ".bmp"), strict=True
    ):
        Image.new("RGB", (20, 9), color).save(folder / f"{name}{suffix}")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "model.tflite"
    return export(path, labels=list(COLORS), input_range=(0, 255))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file(kind, images, tmp_path):
    arguments = {"labels": list(COLORS), "input_range": (-1, 1), **KINDS[kind]}
    path = export(tmp_path / "model.tflite", low=-1, high=1, **arguments)
    done = run(path, images, "--top", "3")
    assert done.returncode == 0, done.stderr
    share = 100 * np.exp(8) / (np.exp(8) + 2)
    for name, rows in table(done).items():
        assert rows[0] == (name.split(".")[0], pytest.approx(share, abs=0.2))
        assert {label for label, _ in rows} == set(COLORS)
    assert list(table(done)) == ["blue.png", "green.JPG", "red.bmp"]
    assert re.search(r"latency +[\d.e-]+ ms, .* threads: 1\n", done.stdout)
    assert "-1 (black) to 1 (white)" in done.stdout


def test_options(file, images, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("b\ng\nr\n")
    done = run(file, images, "--labels", labels, "--threads", "2")
    assert [rows[0][0] for rows in table(done).values()] == ["b", "g", "r"]
    assert [len(rows) for rows in table(done).values()] == [1, 1, 1]
    assert "threads: 2" in done.stdout
    # As if half of the brightness were black: all colours are at least that.
    done = run(file, images, "--input-range", "127.5", "255", "--top", "3")
    assert table(done)["blue.png"][1][1] > 1


def test_file_without_description(images, tmp_path):
    """Classes are numbers, and pixels pass as they are."""
    path = export(tmp_path / "model.tflite")
    done = run(path, images)
    assert [rows[0][0] for rows in table(done).values()] == ["0", "1", "2"]
    assert "0 (black) to 255 (white)" in done.stdout


def test_gray_images_and_probabilities(tmp_path):
    """One channel, and a sigmoid in the file that no softmax may follow."""
    model = keras.Sequential(
        [
            keras.Input((6, 8, 1)),
            layers.Rescaling(1 / 255),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, "sigmoid", kernel_initializer="ones"),
        ]
    )
    path = export(tmp_path / "model.tflite", model, labels=["up", "too"])
    Image.new("RGBA", (5, 5), (102, 102, 102, 255)).save(tmp_path / "gray.png")
    rows = table(run(path, tmp_path, "--top", "2"))["gray.png"]
    share = 100 / (1 + np.exp(-0.4))
    assert rows == [(label, pytest.approx(share, abs=0.1)) for label in ("up", "too")]


def test_a_photo_held_upright(tmp_path, file):
    """The camera notes the turn: the red half is above, not at the left."""
    pixels = np.zeros((8, 8, 3), "uint8")
    pixels[:, :4, 0] = 255
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = 6
    image.save(tmp_path / "photo.png", exif=image.getexif())
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import classify, pathlib;"
        "model = classify.Classifier(pathlib.Path(sys.argv[2]));"
        "image = model.read(sys.argv[3])[0, :, :, 0];"
        "print(image[0].min(), image[-1].max())"
    )
    arguments = [sys.executable, "-c", code, FOLDER, file, tmp_path / "photo.png"]
    done = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["255.0", "0.0"]


def test_a_damaged_image_is_named(file, images, tmp_path):
    for path in images.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "damaged.png").write_bytes(b"no image")
    done = run(file, tmp_path)
    assert done.returncode == 1
    assert "damaged.png cannot be read" in done.stderr
    assert done.stdout.startswith("file") and "red.bmp" in done.stdout
    assert "damaged" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["no.tflite", "images"], "a file at MODEL. Received: 'no.tflite'"),
        (["notes.txt", "images"], "LiteRT cannot load the file 'notes.txt'"),
        (["model.tflite", "no"], "a folder at IMAGES. Received: 'no'"),
        (["model.tflite", "empty"], "IMAGES must hold images .* Received: 'empty'"),
        (["flat.tflite", "images"], r"must take one image.* Received: .*\(1, 4\)"),
        (["model.tflite", "images", "--labels", "no.txt"], "--labels. Received: 'no."),
        (
            ["model.tflite", "images", "--labels", "notes.txt"],
            "--labels must have 3 lines.* Received: 'notes.txt' with 1",
        ),
        (["model.tflite", "images", "--top", "0"], "--top: must be 1 or more"),
        (["model.tflite", "images", "--threads", "x"], "--threads: invalid"),
        (["model.tflite", "damaged"], "No image in IMAGES can be read"),
    ],
)
def test_bad_input(arguments, match, bad_files, monkeypatch):
    monkeypatch.chdir(bad_files)
    done = run(*arguments)
    assert done.returncode != 0 and done.stdout == ""
    assert re.search(match, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def bad_files(file, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "model.tflite").write_bytes(file.read_bytes())
    (folder / "images").symlink_to(images)
    (folder / "notes.txt").write_text("no model\n")
    (folder / "empty").mkdir()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "a.png").write_bytes(b"no image")
    flat = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    tflite_export.export(flat, folder / "flat.tflite", verbose=False)
    return folder


def test_requirements_are_the_tested_versions():
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    names = ["ai-edge-litert", "numpy", "pillow"]
    assert lines == [f"{name}=={version(name)}" for name in names]


def test_imports_nothing_but_the_requirements(file, images):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:];"
        "sys.modules |= dict.fromkeys(['tensorflow', 'keras', 'keras_dprp',"
        " 'tflite_export', 'rich', 'scipy']);"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, FOLDER / "classify.py", file, images]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

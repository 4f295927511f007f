"""The wheel, built from the checkout and used from where it is installed."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
PACKAGES = ("keras_dprp", "tflite_export")

FACTORIZE = """
import keras, keras_dprp, tflite_export

layers = [keras.layers.Dense(8), keras.layers.Dense(8)]
model = keras.Sequential([keras.Input((8,)), *layers])
factorized = keras_dprp.factorize(model, rank=2)
x = keras.ops.ones((1, 8))
assert factorized(x).shape == (1, 8)
assert factorized.layers[0].rank == 2
assert callable(tflite_export.export)
print(keras_dprp.__file__)
print(tflite_export.__file__)
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # From a copy, as setuptools leaves build folders beside what it builds.
    source = tmp_path_factory.mktemp("source")
    tracked = run("git", "ls-files", "-z", cwd=CHECKOUT).split("\0")
    for name in filter(None, tracked):
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((CHECKOUT / name).read_bytes())
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation")
    run(*command, "--outdir", source / "dist", source)
    (path,) = (source / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An environment with the wheel; its dependencies are those of this process."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel)
    site = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
        ).strip()
    )
    # Last on the path, and as a plain line: an editable install's own .pth is not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_wheel_holds_every_module_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        modules = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = run("git", "ls-files", *PACKAGES, cwd=CHECKOUT).split()
    assert modules == {name for name in tracked if name.endswith(".py")}
    assert {Path(name).parts[0] for name in modules} == set(PACKAGES)


def test_wheel_declares_licence_and_dependencies(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
        assert any(n.endswith("licenses/LICENSE") for n in archive.namelist())
    assert "License-Expression: Apache-2.0" in metadata
    always = set(re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.M))
    extras = set(re.findall(r"^Requires-Dist: ([\w-]+).*; extra", metadata, re.M))
    assert always == {"keras", "numpy", "rich", "threadpoolctl"}
    assert extras >= {
        "tensorflow",
        "tensorflow-datasets",
        "tensorflow-model-optimization",
    }


def test_installed_wheel_factorizes(python, tmp_path):
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    places = run(python, "-c", FACTORIZE, cwd=tmp_path, env=env).split()
    for package, place in zip(PACKAGES, places[-2:], strict=True):
        assert Path(place).is_relative_to(python.parent.parent), place
        assert Path(place).parent.name == package

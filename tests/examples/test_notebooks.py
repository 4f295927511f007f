"""The notebooks run in a real kernel, and those committed hold what they gave."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest

from tests.bright_images import bright_images

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "docs" / "tools"))

import make_notebooks  # noqa: E402

ROW = re.compile(r" ([\d.]+)% accuracy +([\d,]+) bytes ")
ADDRESS = re.compile(r"github(?:\.com)?/(\w+/keras_dprp)")
RELATIVE_LINK = re.compile(r"\]\(((?!https:)[^)#]+)")
# A path from the root that names two folders or more, as no unit or ratio does.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:<])/[\w.-]+/[\w.-]+|\b[A-Z]:\\\w")

all_notebooks = pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem) for path in make_notebooks.paths()]
)
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="The notebooks are the same on JAX."
)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def sources(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def texts(notebook):
    """What the notebook prints, and tables and other values in their text form."""
    return [
        output.text if output.output_type == "stream" else output.data["text/plain"]
        for output in outputs(notebook)
    ]


def check(notebook, target):
    """The whole notebook has run without an error, and the story it tells holds."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output.get("name", output.output_type) for output in outputs(notebook)}
    assert kinds == {"stdout", "display_data", "execute_result"}
    printed = "\n".join(texts(notebook))
    kept = re.findall(r"ranks changed .* ([\d.]+)% of the MACs kept", printed)
    assert kept
    assert float(kept[-1]) <= 100 * target
    sizes = [int(size.replace(",", "")) for _, size in ROW.findall(printed)]
    dense, (small, int8) = sizes[0], sizes[-2:]
    assert int8 < small < 0.8 * dense
    drawn = [x for x in outputs(notebook) if "image/png" in x.get("data", {})]
    assert len(drawn) > 1


@on_tensorflow
def test_quickstart_runs(tmp_path):
    path = make_notebooks.NOTEBOOKS / "quickstart.ipynb"
    notebook = make_notebooks.run(path, tmp_path, EPOCHS=3, TARGET=0.5)
    check(notebook, target=0.5)
    assert {file.name for file in tmp_path.iterdir()} == {
        "dense.tflite",
        "dprp.tflite",
        "dprp-int8.tflite",
    }


@on_tensorflow
def test_cifar10_to_edge_runs(tmp_path):
    np.savez(tmp_path / "images.npz", **bright_images(10, train=80, test=40))
    path = make_notebooks.NOTEBOOKS / "cifar10_to_edge.ipynb"
    reduced = {"DATA": "images.npz", "FRACTION": 1.0, "EPOCHS": 3, "MODEL": "resnet8"}
    check(make_notebooks.run(path, tmp_path, TARGET=0.5, **reduced), target=0.5)
    assert (tmp_path / "classifier.tflite").exists()


@all_notebooks
def test_committed_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    (target,) = re.findall(r"^TARGET = ([\d.]+)", sources(notebook), re.MULTILINE)
    if not outputs(notebook):
        pytest.skip("Its code is newer than its last run: `make notebooks`.")
    check(notebook, float(target))
    printed = "\n".join(texts(notebook))
    assert ABSOLUTE_PATH.findall(printed) == []
    assert "warning" not in printed.lower()
    # Networks that have learned something.
    assert all(float(accuracy) > 30 for accuracy, _ in ROW.findall(printed))
    assert path.stat().st_size < 1_000_000


@all_notebooks
def test_code_is_linted(path):
    for command in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, path], check=True)


@all_notebooks
def test_links(path):
    notebook = nbformat.read(path, as_version=4)
    text = sources(notebook)
    # The badge, and where the package is installed from.
    assert len(ADDRESS.findall(text)) == 2
    assert len(set(ADDRESS.findall(text))) == 1
    assert f"blob/main/examples/notebooks/{path.name})" in notebook.cells[0].source
    for link in RELATIVE_LINK.findall(text):
        assert (path.parent / link).exists(), link


def test_unknown_parameters_are_refused(tmp_path):
    path = make_notebooks.NOTEBOOKS / "quickstart.ipynb"
    with pytest.raises(ValueError, match="EPOCHS.* Received: \\['EPOCH'\\]"):
        make_notebooks.run(path, tmp_path, EPOCH=3)

"""Every Python block of the pages runs, those of a page in order in one namespace."""

import re
import sys
from pathlib import Path

import keras
import matplotlib
import pytest
import sklearn.datasets
from sklearn.utils import Bunch

DOCS = Path(__file__).parent.parent.parent / "docs"
sys.path.insert(0, str(DOCS / "tools"))

from pages import blocks, pages  # noqa: E402

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
IMAGES = 150
# Of a training that the page leaves to the default schedule: two events.
EPOCHS = 4


@pytest.fixture
def few_digits(monkeypatch):
    whole = sklearn.datasets.load_digits()
    few = Bunch(images=whole.images[:IMAGES], target=whole.target[:IMAGES])
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: few)


@pytest.fixture
def untraced(monkeypatch):
    """Few steps of small networks take less time than to trace them."""
    eagerly = property(lambda model: True, lambda model, value: None)
    monkeypatch.setattr(keras.Model, "run_eagerly", eagerly)


# Networks that have seen a hundred images a few times are hard to quantize.
@pytest.mark.filterwarnings("ignore:The outputs of the int8 file differ:UserWarning")
@pytest.mark.skipif(not ON_TENSORFLOW, reason="The pages are the same on JAX.")
@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.stem) for p in pages() if blocks(p)]
)
def test_blocks_run(page, tmp_path, monkeypatch, few_digits, untraced):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    namespace = {"__name__": "page"}
    for block in blocks(page):
        if block.runs:
            # Tracebacks name the page's own lines.
            code = "\n" * (block.line - 1) + re.sub(
                r"\bepochs=\d{2,}", f"epochs={EPOCHS}", block.code
            )
            exec(compile(code, page, "exec"), namespace)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="The page says that it is for JAX."
)
def test_the_loop_of_jax_runs(few_digits):
    namespace = {"__name__": "page"}
    for block in blocks(DOCS / "guides" / "own_loops.md"):
        if "tensorflow" not in block.code:
            exec(compile(block.code, "own_loops.md", "exec"), namespace)


def test_the_pages_have_code():
    with_code = {page.stem for page in pages() if any(b.runs for b in blocks(page))}
    assert with_code >= {"index", "getting_started", "budgets", "troubleshooting"}

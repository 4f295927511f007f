"""What the tests of benchmarks import stays out of all other tests."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / name for name in ("benchmarks/paper", "benchmarks", "examples")]


@pytest.fixture
def paper(monkeypatch):
    """Lets a test import the modules of `benchmarks/paper`, anew each time."""
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).parent in FOLDERS:
            del sys.modules[name]

"""What the tests of examples share."""

from pathlib import Path

import pytest


@pytest.fixture
def examples(monkeypatch):
    """Lets a test import the modules of `examples`, as their scripts do."""
    folder = Path(__file__).parent.parent.parent / "examples"
    monkeypatch.syspath_prepend(str(folder))

"""What is trained on two devices; see `on_two_devices.py`."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras has no such thing on PyTorch."
)
def test_on_two_devices():
    script = Path(__file__).with_name("on_two_devices.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", script]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout

"""The page about integer files says what the committed results hold."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

REPORT = Path(__file__).parents[2] / "benchmarks" / "quantization" / "report.py"


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Needs no Keras: once is enough."
)
def test_the_page_is_what_the_results_give():
    subprocess.run([sys.executable, str(REPORT), "--check"], check=True)

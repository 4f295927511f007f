"""Pages that small reports write say what the committed results hold."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Needs no Keras: once is enough."
)
@pytest.mark.parametrize("name", ["quantization", "training_speed"])
def test_the_page_is_what_the_results_give(name):
    report = BENCHMARKS / name / "report.py"
    subprocess.run([sys.executable, str(report), "--check"], check=True)

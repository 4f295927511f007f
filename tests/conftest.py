"""What every test shares. KERAS_BACKEND chooses the backend of the whole process."""

import gc
import os

# Read when the libraries below start, so they are set before anything is imported.
# One thread a process: pytest-xdist runs as many processes as there are cores.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["MPLBACKEND"] = "Agg"

import hypothesis
import keras
import pytest

# Derandomized, so that a commit which passes here passes everywhere; no deadline,
# because the first example of a shape pays for tracing it.
hypothesis.settings.register_profile(
    "keras_dprp", deadline=None, derandomize=True, max_examples=20, database=None
)
hypothesis.settings.load_profile("keras_dprp")


@pytest.fixture(autouse=True)
def fresh_seeded_keras():
    """Seeds Python, NumPy and the backend; forgets the test's models afterwards."""
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()
    # What outlives a test outlives many: TensorFlow's modules and caches, a million
    # objects that no later collection has to look at again.
    gc.freeze()

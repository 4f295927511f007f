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


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """What JAX has compiled for one test serves the others.

    A folder for each worker, and none for the processes that tests start: JAX does not
    lock it, and a process that is killed would leave half an entry in it.
    """
    if keras.backend.backend() == "jax":
        import jax

        folder = tmp_path_factory.mktemp("compiled")
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(autouse=True)
def fresh_seeded_keras():
    """Seeds Python, NumPy and the backend; forgets the test's models afterwards."""
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()
    # What outlives a test outlives many: TensorFlow's modules and caches, a million
    # objects that no later collection has to look at again.
    gc.freeze()

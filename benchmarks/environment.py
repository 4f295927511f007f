"""What one needs to know of a machine to repeat the figures measured on it."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = ("keras", "tensorflow", "jax", "jaxlib", "ai-edge-litert", "numpy")


def describe():
    """Versions and hardware, as a dict for JSON."""
    return {
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        # What the user told JAX's compiler, which may change results and times.
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": {
            "processor": _processor(),
            "cores": _cores(),
            "gpu": _gpu(),
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def _versions():
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _processor():
    """The processor's model, which Python tells only on some systems."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _cores():
    """Those that this process may use; some systems only tell how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _gpu():
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip().splitlines()[0]

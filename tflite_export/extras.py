"""What is installed only on request."""

import importlib.util

# What `export` imports.
NEEDED = ("tensorflow", "ai_edge_litert", "ai_edge_quantizer")


def require(*modules, extra="export"):
    """Raise an ImportError that says what to install, if a module is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"tflite_export needs {', '.join(missing)}, not installed here: "
            f'pip install "keras-dprp[{extra}]"'
        )

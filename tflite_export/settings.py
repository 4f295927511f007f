"""What is asked for, checked before anything is loaded."""

import importlib.util
import math
import numbers
from dataclasses import dataclass

QUANTIZATIONS = (None, "float16", "dynamic", "int8")
IO_DTYPES = ("float32", "int8", "uint8")
# What `export` imports, installed only on request.
NEEDED = ("tensorflow", "ai_edge_litert", "ai_edge_quantizer")


@dataclass(frozen=True)
class Settings:
    """What is asked for.

    Attributes:
        quantization: One of `QUANTIZATIONS`.
        io_dtype: Of inputs and outputs, one of `IO_DTYPES`.
        labels: As in `description.describe`.
        input_range: As in `description.describe`.
        class_scores: Names of the outputs whose largest channel is the class.
    """

    quantization: str | None = None
    io_dtype: str = "float32"
    labels: list[str] | None = None
    input_range: list[float] | None = None
    class_scores: tuple[str, ...] = ()


def check_settings(quantization, io_dtype, representative_data):
    """Return the `Settings`, or raise a ValueError."""
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"`quantization` must be one of {QUANTIZATIONS}. Received: {quantization!r}"
        )
    if io_dtype not in IO_DTYPES:
        raise ValueError(
            f"`io_dtype` must be one of {IO_DTYPES}. Received: {io_dtype!r}"
        )
    if io_dtype != "float32" and quantization != "int8":
        raise ValueError(
            f"io_dtype='{io_dtype}' needs quantization='int8'. "
            f"Received: quantization={quantization!r}"
        )
    if quantization == "int8" and representative_data is None:
        raise ValueError(
            "quantization='int8' needs `representative_data`: a hundred or more "
            "typical inputs, samples first, prepared as for training. Received: None"
        )
    return Settings(quantization, io_dtype)


def check_evaluation(evaluation_data, max_drop):
    """Raise unless there are inputs and targets, or neither these nor a `max_drop`."""
    is_tuple = isinstance(evaluation_data, tuple)
    if evaluation_data is not None and not (is_tuple and len(evaluation_data) == 2):
        raise TypeError(
            "`evaluation_data` must be a tuple (x, y) of inputs and targets. "
            f"Received: an object of type {type(evaluation_data).__name__}"
            + (f" of {len(evaluation_data)}" if is_tuple else "")
        )
    if max_drop is None:
        return
    check_real("max_drop", max_drop)
    if not 0 <= max_drop < math.inf:
        raise ValueError(
            "`max_drop` must be 0 or more, in the unit of the metric (0.01 is a point "
            f"of accuracy). Received: {max_drop!r}"
        )
    if evaluation_data is None:
        raise ValueError(
            "`max_drop` needs `evaluation_data`, a tuple (x, y) to measure the drop "
            f"on. Received: max_drop={max_drop!r} without"
        )


def check_real(name, value):
    """Raise a TypeError unless `value`, an argument, is a real number."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be a number. "
            f"Received: {value!r} (of type {type(value).__name__})"
        )


def check_count(name, value):
    """Raise a ValueError unless `value`, an argument, is an int of 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"`{name}` must be an int of 1 or more. Received: {value!r}")


def require(*modules, extra="export"):
    """Raise an ImportError that says what to install, if a module is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"tflite_export needs {', '.join(missing)}, not installed here: "
            f'pip install "keras-dprp[{extra}]"'
        )

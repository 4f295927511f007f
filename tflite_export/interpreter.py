"""LiteRT's interpreter of a file."""

import os

from tflite_export.quiet import quiet


def load(path, threads, every_tensor=False):
    """Return an interpreter whose tensors are allocated.

    Args:
        path: A .tflite file.
        threads: Threads the interpreter may use.
        every_tensor: Whether to keep the values of all tensors, not the outputs alone.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If there is no file, it is no .tflite file, or `threads` is wrong.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    check_count("threads", threads)
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            "The path of a file must be a str or a path object. "
            f"Received: {path!r} (of type {type(path).__name__})"
        )
    if not os.path.isfile(path):
        raise ValueError(f"There must be a file at each path. Received: '{path}'")
    keep = {}
    if every_tensor:
        # A delegate leaves no values between the operations that it takes over.
        keep["experimental_preserve_all_tensors"] = True
        keep["experimental_op_resolver_type"] = (
            OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
    try:
        with quiet():
            interpreter = Interpreter(
                model_path=os.fspath(path), num_threads=threads, **keep
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"LiteRT cannot load the file. Received: '{path}' ({error})"
        ) from error
    return interpreter


def check_count(name, value):
    """Raise a ValueError unless `value`, an argument, is an int of 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"`{name}` must be an int of 1 or more. Received: {value!r}")

"""What LiteRT knows of a file: it runs, has operations, and scales for integers."""

import os
from collections import Counter

import numpy as np

from tflite_export.quiet import quiet
from tflite_export.settings import check_count


def load(path, threads, every_tensor=False):
    """Return an interpreter whose tensors are allocated.

    Args:
        path: A .tflite file.
        threads: Threads the interpreter may use.
        every_tensor: Whether to keep the values of all tensors, not the outputs alone.
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


def count_operations(content):
    """Counts of a file's operations by names such as "CONV_2D", frequent ones first."""
    from ai_edge_litert import schema_py_generated as schema

    names = {
        code: name
        for name, code in vars(schema.BuiltinOperator).items()
        if isinstance(code, int)
    }
    model = schema.ModelT.InitFromPackedBuf(content, 0)

    def name_of(operator):
        code = model.operatorCodes[operator.opcodeIndex]
        if code.customCode:
            return code.customCode.decode()
        # Codes up to 127 are in the older of the two fields.
        return names[max(code.builtinCode, code.deprecatedBuiltinCode)]

    operators = (op for graph in model.subgraphs for op in graph.operators or ())
    return dict(Counter(map(name_of, operators)).most_common())


def quantized(array, details):
    """Floats as what a tensor of a file holds; the interpreter gives `details`."""
    scale, zero_point = details["quantization"]
    if not scale:
        return array.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    steps = np.round(array / scale + zero_point)
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def dequantized(array, details):
    """What a tensor of a file holds as floats, if it is quantized; a copy."""
    scale, zero_point = details["quantization"]
    # A copy: the interpreter writes the next sample's outputs to the same place.
    array = np.array(array)
    return ((array - float(zero_point)) * scale).astype("float32") if scale else array

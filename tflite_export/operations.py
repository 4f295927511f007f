"""The operations in a .tflite file."""

from collections import Counter


def count_operations(content):
    """Count operations by name, over all subgraphs.

    Args:
        content: The file's bytes.

    Returns:
        A dict from names such as "CONV_2D" to counts, most frequent first.
    """
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

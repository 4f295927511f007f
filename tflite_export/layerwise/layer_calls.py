"""The outputs of all layers of a model, call by call."""

from collections import Counter


def trace(model):
    """Every call of every layer in one forward pass, nested models opened.

    The model's own layers run, but they are called inside stand-ins, so that the graph
    the model was made of stays as it is.

    Returns:
        A function from a list of tensors, one an input, to the outputs of all calls,
        and the names of the calls: the path of the layer through nested models, with
        the number of the call from the second one on.
    """
    function, names = _function(model, "", Counter())
    return lambda tensors: function(tensors)[1], names


def _function(model, prefix, counts):
    """A `keras.Function` of a model's output and of those of all calls; their names."""
    import keras

    from keras_dprp.graph import first_argument, is_graph, walk

    names, outputs = [], []

    def visit(stand_in, *args, **kwargs):
        layer = stand_in.operation
        if not isinstance(layer, keras.Layer):
            return stand_in(*args, **kwargs)
        path = _numbered(prefix + layer.name, counts)
        if is_graph(layer):
            nested, inner_names = _function(layer, f"{path}/", counts)
            output, inner = nested(keras.tree.flatten(first_argument(args, kwargs)))
            names.extend(inner_names)
            outputs.extend(inner)
            return output
        names.append(path)
        outputs.append(stand_in(*args, **kwargs))
        return outputs[-1]

    inputs, given = walk(model, visit)
    return keras.Function(inputs, (given, outputs)), names


def _numbered(path, counts):
    counts[path] += 1
    return path if counts[path] == 1 else f"{path} (call {counts[path]})"

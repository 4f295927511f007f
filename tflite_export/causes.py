"""What Keras, TensorFlow and LiteRT say went wrong, in terms of the user's model."""

import contextlib
import re
import textwrap


def cause_of(error):
    """Return what an error of Keras's says went wrong, as part of one line.

    Keras gives the cause between dumps of the configuration.
    """
    text = str(error).rpartition("Exception encountered: ")[2]
    sentence = " ".join(text.split()).partition(". ")[0].rstrip(".")
    return textwrap.shorten(sentence, 160, placeholder=" ...")


@contextlib.contextmanager
def translated(quantization, model=None):
    """A context in which a model is converted; its errors say what the user can do.

    Args:
        quantization: As in `settings.Settings`.
        model: The model, on the TensorFlow backend; None if it is not one of Keras 3.
    """
    try:
        yield
    except Exception as error:
        raise _translation(error, quantization, model) from error


def _translation(error, quantization, model):
    # One line for each group: "TF Select ops: Erfinv, Lgamma" or "Custom ops: ...".
    lists = re.findall(
        r"^\s*(?:TF Select|Flex|Custom) ops: (.+)$", str(error), re.MULTILINE
    )
    names = {name for line in lists for name in re.split(r",\s*", line.strip())}
    if names:
        places = [] if model is None else _users_of(model, names)
        needed = f", which {', '.join(places)} needs" if places else ""
        return ValueError(
            f"LiteRT has no operation for TensorFlow's {', '.join(sorted(names))}"
            f"{needed}. Use a layer that does without; or end the model before it, "
            "and compute the rest from the file's outputs in the app."
        )
    way_out = "simplify the model layer by layer to find what it is"
    if quantization:
        way_out = f"try another quantization than '{quantization}', or {way_out}"
    return RuntimeError(
        f"The model cannot be converted: TensorFlow says '{cause_of(error)}'. "
        f"{way_out[0].upper()}{way_out[1:]}."
    )


def _users_of(model, names):
    """What in a model, nested ones opened, needs TensorFlow's operations of some names.

    The converter's report tells layers alone: the operations of `keras.ops` leave no
    name of theirs.
    """
    from keras_dprp.graph import is_graph, tensors_in, walk

    users: dict[str, None] = {}

    def visit(stand_in, *args, **kwargs):
        operation, outputs = stand_in.operation, stand_in(*args, **kwargs)
        if is_graph(operation):
            users.update(dict.fromkeys(_users_of(operation, names)))
        elif names & _operations(tensors_in([args, kwargs]), outputs):
            kind = type(operation).__name__
            users[f"'{operation.name}' (of type {kind})"] = None
        return outputs

    walk(model, visit)
    return list(users)


def _operations(inputs, outputs):
    """Names of TensorFlow's operations from some of a graph's tensors to others."""
    import keras
    import tensorflow as tf

    function = keras.Function(inputs, keras.tree.flatten(outputs))
    tensors = [tf.TensorSpec(x.shape, x.dtype) for x in inputs]
    traced = tf.function(lambda *given: function(list(given)))
    graph = traced.get_concrete_function(*tensors).graph.as_graph_def()
    nodes = [
        *graph.node,
        *(n for each in graph.library.function for n in each.node_def),
    ]
    return {node.op for node in nodes}

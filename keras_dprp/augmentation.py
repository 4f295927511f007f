"""Where a model's inputs stop being augmented, and the network that is behind that."""

import keras

from keras_dprp.graph import flatten_layers, input_like, inputs_of, walk


def network_behind(model, operations):
    """The part of a model that is behind some of its operations.

    Args:
        model: A functional or Sequential model, which is of no other use any more.
        operations: A list of operations of it; none of them for the whole model.
    """
    seen = []

    def visit(stand_in, *args, **kwargs):
        outputs = stand_in.operation(*args, **kwargs)
        if stand_in.operation in operations:
            seen.append(outputs)
        return outputs

    inputs, outputs = walk(model, visit)
    return keras.Model(seen or inputs, outputs)


def augmentation_of(model):
    """The last random operations in front of everything that learns.

    Args:
        model: A functional or built Sequential model.

    Returns:
        A list of operations, empty if the inputs reach the network as they are.

    Raises:
        ValueError: If some inputs are augmented in the model and others are not.
    """
    # Of tensors in front of what learns: the random operations last met. Tensors are
    # kept, as one that is forgotten gives its id to another.
    origins: dict[int, tuple] = {}
    reached: set = set()

    def visit(stand_in, *args, **kwargs):
        operation = stand_in.operation
        outputs = stand_in(*args, **kwargs)
        given = [x for x in keras.tree.flatten([args, kwargs]) if hasattr(x, "shape")]
        before = {o for x in given if id(x) in origins for o in origins[id(x)][1]}
        known = [x for x in given if id(x) in origins]
        if getattr(operation, "trainable_variables", []):
            reached.update(o for x in known for o in origins[id(x)][1] or {None})
        elif len(known) == len(given):
            own = {operation} if _is_random(operation) else before
            for x in keras.tree.flatten(outputs):
                origins[id(x)] = (x, own)
        return outputs

    fresh = [input_like(x) for x in keras.tree.flatten(inputs_of(model))]
    origins.update({id(x): (x, set()) for x in fresh})
    walk(model, visit, fresh)
    if None in reached and len(reached) > 1:
        raise ValueError(
            "A teacher sees the inputs as they are after augmentation, so all of them "
            "must be augmented in the model or none. Received: model "
            f"'{model.name}', in which {[x.name for x in reached if x]} augment some. "
            "Move these into the data pipeline"
        )
    return [operation for operation in reached if operation is not None]


def _is_random(operation):
    inner = flatten_layers(operation) if isinstance(operation, keras.Layer) else []
    return any(
        isinstance(value, keras.random.SeedGenerator)
        for each in [operation, *inner]
        for value in vars(each).values()
    )

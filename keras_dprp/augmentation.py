"""Where a model's inputs stop being augmented, and the network that is behind that."""

import keras

from keras_dprp.graph import flatten_layers, input_like, tensors_in, walk


def network_behind(model, operations):
    """The part of a model that is behind some of its operations, or all of it.

    The model itself is of no other use any more.
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
    """A list of the last random operations in front of everything that learns.

    Raises:
        ValueError: If some inputs are augmented in the model and others are not.
    """
    # Of tensors in front of what learns: the random operations last met.
    origins: dict[keras.KerasTensor, set] = {}
    reached: set = set()

    def visit(stand_in, *args, **kwargs):
        operation = stand_in.operation
        outputs = stand_in(*args, **kwargs)
        given = tensors_in([args, kwargs])
        known = [origins[x] for x in given if x in origins]
        if getattr(operation, "trainable_variables", []):
            reached.update(o for each in known for o in each or {None})
        elif len(known) == len(given):
            own = {operation} if _is_random(operation) else set().union(*known)
            origins.update(dict.fromkeys(tensors_in(outputs), own))
        return outputs

    fresh = [input_like(x) for x in model.inputs]
    origins.update(dict.fromkeys(fresh, set()))
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

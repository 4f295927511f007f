"""What a Keras model takes and gives, flat and by name."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class ModelInput:
    """One input of a model or a file.

    Attributes:
        name: Its name in the file.
        shape: Without the batch.
        dtype: A str.
        other_names: What else the user may call it: the name of the tensor, and its
            key if the model takes a dict.
    """

    name: str
    shape: tuple
    dtype: str
    other_names: tuple = ()


def check_model(model):
    """Raise unless `model` is a functional or a built Sequential one, without state."""
    import keras

    from keras_dprp.graph import check_is_model

    check_is_model(model)
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError(
                "`model` must be built: give it an `Input`, or call it on data. "
                f"Received: the Sequential model '{model.name}', not built"
            )
    elif not isinstance(model, keras.Function):
        raise ValueError(
            "`model` must be functional or Sequential. Call a subclassed model on "
            "a `keras.Input` and wrap both: `keras.Model(inputs, outputs)`. "
            f"Received: '{model.name}' (of type {type(model).__name__})"
        )
    _refuse_state(model)


def _refuse_state(model):
    from keras_dprp.graph import flatten_layers

    layers = flatten_layers(model)
    names = [each.name for each in layers if getattr(each, "stateful", False) is True]
    if names:
        raise ValueError(
            "`model` must have no stateful layers: a file takes each sample for "
            "itself, and comparing outputs would change the state. Build them with "
            f"`stateful=False`. Received: {names}"
        )


def model_inputs(model):
    """The inputs of a model, as a list of `ModelInput` in the order Keras has."""
    # Keras names tensors it was given no name for by a running number.
    names = [
        "input" if re.match(r"keras_tensor", tensor.name) else tensor.name
        for tensor in model.inputs
    ]
    return [
        ModelInput(name, tuple(x.shape[1:]), x.dtype, (x.name, key))
        for name, key, x in zip(
            _identifiers(names), _input_keys(model), model.inputs, strict=True
        )
    ]


def _input_keys(model):
    from keras_dprp.graph import inputs_of

    inputs = inputs_of(model)
    if isinstance(inputs, dict):
        return _keys(inputs)
    return [tensor.name for tensor in model.inputs]


def _keys(structure):
    """The path to each leaf of nested dicts, in Keras's order."""
    import keras

    paths = keras.tree.flatten_with_path(structure)
    return ["_".join(map(str, path)) for path, _ in paths]


def output_names(model):
    """Names for the outputs: keys of a dict, else the layers they come from."""
    import keras

    if isinstance(model, keras.Sequential):
        names = [model.layers[-1].name]
    elif isinstance(model.output, dict):
        names = _keys(model.output)
    else:
        names = model.output_names
    return _identifiers(names)


def call_flat(model, tensors):
    """Call a model on one tensor for each of `model_inputs`; returns a flat list."""
    import keras

    from keras_dprp.graph import inputs_of

    inputs = keras.tree.pack_sequence_as(inputs_of(model), tensors)
    return keras.tree.flatten(model(inputs, training=False))


def _identifiers(names):
    """Python identifiers, as signatures ask for, no two alike."""
    taken: list[str] = []
    for name in names:
        name = re.sub(r"\W|^(?=\d)", "_", name)
        copies = [f"{name}_{number}" for number in range(1, len(names) + 1)]
        taken.append(next(free for free in [name, *copies] if free not in taken))
    return taken

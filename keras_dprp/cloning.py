"""A model rebuilt layer by layer: what `factorize` and `fold` have in common."""

import keras

from keras_dprp.graph import is_graph


def rebuild(model, replace):
    """Copy a model, weights included, with some layers replaced.

    Layers shared within the model, also between nested models, stay shared. Names
    survive.

    Args:
        model: A functional or a built Sequential model.
        replace: Function from a layer to the list of layers that stand in its place,
            one after the other, or None to copy it. The last of them takes the
            place's name. It is called once for every layer.

    Returns:
        The copy, and a dict from `id(layer)` to the list of layers in its place.
    """
    places: dict[int, list] = {}
    copied: list = []

    def place(operation):
        if id(operation) not in places:
            places[id(operation)] = _stand_ins(operation)
        return places[id(operation)]

    def _stand_ins(operation):
        if is_graph(operation):
            return [clone(operation)]
        if isinstance(operation, keras.Layer):
            replacement = replace(operation)
            if replacement is not None:
                return replacement
        copied.append(operation)
        return [type(operation).from_config(operation.get_config())]

    def clone(graph):
        if isinstance(graph, keras.Sequential):
            return _clone_sequential(graph, place)
        return _clone_functional(graph, place)

    copy = clone(model)
    for operation in copied:
        _copy_variables(operation, places[id(operation)][0])
    return copy, places


def _clone_sequential(model, place):
    layers = [layer for each in model.layers for layer in place(each)]
    first = model.inputs[0]
    inputs = keras.Input(batch_shape=first.shape, dtype=first.dtype, name=first.name)
    return keras.Sequential(
        [inputs, *layers], name=model.name, trainable=model.trainable
    )


def _clone_functional(model, place):
    def call(last, *args, **kwargs):
        *before, _ = stand_ins[id(last)]
        for layer in before:
            args = (layer(*args), *args[1:])
        return last(*args, **kwargs)

    stand_ins: dict[int, list] = {}

    def last_of(operation):
        layers = place(operation)
        stand_ins[id(layers[-1])] = layers
        return layers[-1]

    copy = keras.models.clone_model(
        _uncompiled(model), clone_function=last_of, call_function=call
    )
    if not model.trainable:
        copy.trainable = False
    return copy


def _uncompiled(model):
    """The same graph without its loss and optimizer, which may not be serializable."""
    if not model.compiled:
        return model
    try:
        return type(model)(model.input, model.output, name=model.name)
    except TypeError:  # A functional model whose class has a constructor of its own.
        return keras.Model(model.input, model.output, name=model.name)


def _copy_variables(source, target):
    for old, new in zip(
        getattr(source, "variables", []), getattr(target, "variables", []), strict=True
    ):
        # A copy: JAX donates the buffers of what it trains.
        new.assign(keras.ops.convert_to_numpy(old))

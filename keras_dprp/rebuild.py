"""A model rebuilt layer by layer: what `factorize`, `fold` and `export` share."""

from collections.abc import Callable

import keras

from keras_dprp.copies import copy_layer, copy_state
from keras_dprp.graph import (
    StandIn,
    check_is_built,
    check_is_model,
    first_argument,
    flatten_layers,
    graph_layers,
    has_plain_constructor,
    input_like,
    is_graph,
    overrides,
)


def check_can_rebuild(model, instead=""):
    """Raise unless a model is a graph, and a copy of it does all that the model does.

    A class with a constructor of its own becomes a plain functional or Sequential
    model: with it would go the training step that it may define.

    Args:
        model: Any object.
        instead: What to do with a subclassed model, for the message.
    """
    check_is_model(model)
    if isinstance(model, keras.Sequential):
        check_is_built(model)
    if not is_graph(model) or (overrides(model) and not has_plain_constructor(model)):
        raise ValueError(
            "`model` must be a functional or Sequential model: the layers inside a "
            "subclassed one cannot be replaced from outside, nor can a constructor of "
            f"its own be called. {instead}"
            f"Received: '{model.name}' (of type {type(model).__name__})"
        )


def rebuild(
    model,
    replace: Callable[[keras.Operation], list | None],
    like=None,
    observer=None,
    observed=(),
):
    """Copy a model, weights included, with some layers replaced.

    Layers shared within the model, also between nested models, stay shared. Names
    survive.

    Args:
        model: A functional or a built Sequential model.
        replace: Function from an operation (a layer, a nested model, a mere function)
            to the list of those that stand in its place, one after the other, or None
            to copy it. It is called once for each. The first of them may be any
            function of symbolic tensors.
        like: Function from an input tensor to a fresh one. Defaults to one of the
            same name, shape and dtype.
        observer: A layer to put behind each of the operations in `observed`, or
            where there are none behind every input of the model.
        observed: Operations of the model itself, not of one nested in it.

    Returns:
        The copy, and a dict from each operation to the list of those in its place.

    Raises:
        ValueError: If something is copied, and a layer is held by another layer of the
            model as well.
    """
    places: dict[keras.Operation, list] = {}
    copied: list[keras.Layer] = []

    def place(operation):
        if operation not in places:
            places[operation] = stand_ins(operation)
        seen = [observer] if operation in observed else []
        return [*places[operation], *seen]

    def stand_ins(operation):
        replacement = replace(operation)
        if replacement is not None:
            return replacement
        if is_graph(operation):
            return [clone(operation)]
        if not isinstance(operation, keras.Layer):
            return [operation]  # A mere function, without name or weights of its own.
        copied.append(operation)
        return [copy_layer(operation)]

    def clone(graph, behind=None):
        new_input = like or _like(graph)
        if isinstance(graph, keras.Sequential):
            return _clone_sequential(graph, place, new_input, behind)
        return _clone_functional(graph, place, new_input, behind)

    result = clone(model, None if observed else observer)
    if copied:
        _check_held_once(model)
    for layer in copied:
        copy_state(layer, places[layer][0])
    return result, places


def _check_held_once(model):
    """Raise where a copy would come apart from the layer whose weights it shares."""
    owners: dict[int, keras.Layer] = {}
    for layer in graph_layers(model):
        for variable in layer.variables:
            other = owners.setdefault(id(variable), layer)
            if other is not layer:
                raise ValueError(
                    "`model` must hold each weight in one of its layers. Received: "
                    f"model '{model.name}', in which layers '{other.name}' and "
                    f"'{layer.name}' share '{variable.path}'; copies of them would not"
                )


def _clone_sequential(model, place, new_input, behind):
    layers = [layer for each in model.layers for layer in place(each)]
    if behind is not None:
        layers.insert(0, behind)
    inputs = new_input(model.inputs[0])
    model_class = type(model) if has_plain_constructor(model) else keras.Sequential
    return model_class([inputs, *layers], name=model.name, trainable=model.trainable)


def _clone_functional(model, place, new_input, behind):
    inputs = keras.tree.map_structure(new_input, model.input)
    seen = {id(x): behind(x) for x in keras.tree.flatten(inputs)} if behind else {}
    chains: dict[keras.Operation, list] = {}

    def first_of(operation):
        layers = place(operation)
        # Not called: what stands in its place need not be one layer.
        first = StandIn(operation)
        chains[first] = layers
        return first

    def call(first, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(
            lambda x: seen.get(id(x), x), (args, kwargs)
        )
        if not chains[first]:
            return first_argument(args, kwargs)
        head, *rest = chains[first]
        outputs = head(*args, **kwargs)
        for layer in rest:
            outputs = layer(outputs)
        return outputs

    copy = keras.models.clone_model(
        _uncompiled(model),
        input_tensors=inputs,
        clone_function=first_of,
        call_function=call,
    )
    if not model.trainable:
        copy.trainable = False
    return copy


def _like(model):
    """A function from an input tensor of a model to a fresh one of the same name."""
    layers = flatten_layers(model)
    inputs = [x for x in layers if isinstance(x, keras.layers.InputLayer)]
    names = {layer.output: layer.name for layer in inputs}
    return lambda tensor: input_like(tensor, names.get(tensor))


def _uncompiled(model):
    """The same graph without its loss and optimizer, which may not be serializable."""
    if not model.compiled:
        return model
    model_class = type(model) if has_plain_constructor(model) else keras.Model
    return model_class(model.input, model.output, name=model.name)

"""A model rebuilt layer by layer: what `factorize` and `fold` have in common."""

import inspect
import tempfile
import warnings

import keras

from keras_dprp import resize
from keras_dprp.graph import first_argument, is_graph, overrides


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
    copied: list[keras.Layer] = []

    def place(operation):
        if id(operation) not in places:
            places[id(operation)] = _stand_ins(operation)
        return places[id(operation)]

    def _stand_ins(operation):
        if is_graph(operation):
            return [clone(operation)]
        if not isinstance(operation, keras.Layer):
            return [operation]  # A mere function, without name or weights of its own.
        replacement = replace(operation)
        if replacement is not None:
            return replacement
        copied.append(operation)
        return [_copy_layer(operation)]

    def clone(graph):
        if isinstance(graph, keras.Sequential):
            return _clone_sequential(graph, place)
        return _clone_functional(graph, place)

    copy = clone(model)
    for layer in copied:
        copy_state(layer, places[id(layer)][0])
    return copy, places


def can_rebuild(model):
    """Whether a model is a graph, and a copy of it does all that the model does.

    A class with a constructor of its own becomes a plain functional or Sequential
    model: with it would go the training step that it may define.
    """
    return is_graph(model) and (_has_plain_constructor(model) or not overrides(model))


def copy_state(source, target):
    """Copy all that a built layer has learned to another of the same configuration."""
    for old, new in _sublayers(source, target):
        # Keras does not build a layer that serves as activation before it is used.
        if old.built and not new.built and old.get_build_config():
            new.build_from_config(old.get_build_config())
    for old, new in zip(source.variables, target.variables, strict=True):
        # By value: JAX donates the buffers of what it trains.
        new.assign(keras.ops.convert_to_numpy(old))
    for old, new in _sublayers(source, target):
        if hasattr(old, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                old.save_assets(folder)
                new.load_assets(folder)
        if hasattr(new, "finalize_state"):
            new.finalize_state()


def twin_config(layer, names):
    """Arguments that a stock layer and its factorised twin share, as live objects."""
    config = {name: getattr(layer, name) for name in names}
    activation = config["activation"]
    if isinstance(activation, keras.Layer):
        config["activation"] = _copy_layer(activation)
    return {
        **config,
        "name": layer.name,
        "trainable": layer.trainable,
        "dtype": layer.dtype_policy,
    }


def copy_activation_state(source, target):
    """Copy the weights of a layer that serves as activation, if there is one."""
    if isinstance(source.activation, keras.Layer):
        copy_state(source.activation, target.activation)


def _sublayers(source, target):
    """Both layers, and pair by pair the layers inside them."""
    layers = ([layer, *resize.flatten_layers(layer)] for layer in (source, target))
    return list(zip(*layers, strict=True))


def _copy_layer(layer):
    if type(layer) is not keras.layers.Lambda:
        return type(layer).from_config(layer.get_config())
    with warnings.catch_warnings():
        # That a configuration with a lambda in it should not be saved.
        warnings.simplefilter("ignore")
        config = layer.get_config()
    # A function out of a configuration would have lost its closure, if Keras let it in.
    config |= {
        "function": layer.function,
        "mask": layer.mask,
        "arguments": layer.arguments,
    }
    if isinstance(config.get("output_shape"), dict):
        config["output_shape"] = layer.compute_output_shape
    return keras.layers.Lambda(**config)


def _clone_sequential(model, place):
    layers = [layer for each in model.layers for layer in place(each)]
    inputs = _like(model)(model.inputs[0])
    model_class = type(model) if _has_plain_constructor(model) else keras.Sequential
    return model_class([inputs, *layers], name=model.name, trainable=model.trainable)


def _clone_functional(model, place):
    def call(last, *args, **kwargs):
        *before, _ = stand_ins[id(last)]
        if before:
            inputs = first_argument(args, kwargs)
            for layer in before:
                inputs = layer(inputs)
            return last(inputs)
        return last(*args, **kwargs)

    stand_ins: dict[int, list] = {}

    def last_of(operation):
        layers = place(operation)
        stand_ins[id(layers[-1])] = layers
        return layers[-1]

    copy = keras.models.clone_model(
        _uncompiled(model),
        input_tensors=keras.tree.map_structure(_like(model), model.input),
        clone_function=last_of,
        call_function=call,
    )
    if not model.trainable:
        copy.trainable = False
    return copy


def _like(model):
    """A function from an input tensor of a model to a fresh one of the same name."""
    names = {
        id(layer.output): layer.name
        for layer in resize.flatten_layers(model)
        if isinstance(layer, keras.layers.InputLayer)
    }

    def like(tensor):
        name = names.get(id(tensor), tensor.name)
        return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)

    return like


def _uncompiled(model):
    """The same graph without its loss and optimizer, which may not be serializable."""
    if not model.compiled:
        return model
    model_class = type(model) if _has_plain_constructor(model) else keras.Model
    return model_class(model.input, model.output, name=model.name)


def _has_plain_constructor(model):
    """Whether the class can be constructed as Keras constructs its own."""
    if isinstance(model, keras.Sequential):
        return type(model).__init__ is keras.Sequential.__init__
    # Keras's own rule for the class of a cloned model.
    arguments = inspect.getfullargspec(type(model).__init__)
    takes_graph = arguments.args[1:] == ["inputs", "outputs", "name"]
    return takes_graph or bool(arguments.varargs and arguments.varkw)

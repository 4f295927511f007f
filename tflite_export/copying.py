"""Models copied layer by layer, as plain float32 ones."""

import contextlib
import warnings

import keras

from keras_dprp.copies import copy_state
from keras_dprp.graph import (
    flatten_layers,
    graph_layers,
    inputs_of,
    is_graph,
    outputs_of,
)
from keras_dprp.rebuild import rebuild
from tflite_export.causes import cause_of

OTHER_FLOATS = ("float16", "bfloat16", "float64")


def computes_otherwise(layer):
    """Whether a layer computes, or keeps its weights, in another float than float32."""
    return bool({layer.compute_dtype, layer.variable_dtype} & set(OTHER_FLOATS))


def copy_float32(model):
    """Copy a model, weights included, in float32 and without what it is trained with.

    Models become functional ones of Keras's own class, whatever they were.
    The functions that layers hold (activations, Lambdas) are shared with the copy, as
    a configuration would lose their closures. A layer that cannot be copied, or
    computes otherwise even then, is a ValueError.
    """
    copies: dict[keras.Operation, keras.Operation] = {}

    def copy(operation):
        if operation not in copies:
            copies[operation] = _copy(operation, copy)
        return copies[operation]

    with _float32_policy():
        result = copy(model)
    for layer in graph_layers(model):
        if layer in copies:
            copy_state(layer, copies[layer])
    for layer in flatten_layers(result):
        if computes_otherwise(layer):
            raise _cannot_be_copied(layer, "it sets its own dtype")
    return result


@contextlib.contextmanager
def _float32_policy():
    """Float32 for the layers that layers make in their constructors."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _copy(operation, copy):
    """A copy of a layer, a nested model or a mere function, by `copy` what it holds."""
    if is_graph(operation):
        graph = keras.Model(
            inputs_of(operation), outputs_of(operation), name=operation.name
        )
        return rebuild(graph, lambda each: [copy(each)], _input_like)[0]
    if isinstance(operation, keras.Layer):
        try:
            return _copy_layer(operation, copy)
        except Exception as error:
            raise _cannot_be_copied(
                operation, f"{type(error).__name__}: {cause_of(error)}"
            ) from error
    if getattr(operation, "dtype", None) in OTHER_FLOATS:
        return type(operation).from_config(_as_float32(operation.get_config()))
    return operation


def _input_like(tensor):
    dtype = "float32" if tensor.dtype in OTHER_FLOATS else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=tensor.name)


def _copy_layer(layer, copy):
    with warnings.catch_warnings():
        # That a configuration with a lambda in it should not be saved.
        warnings.simplefilter("ignore")
        config = _as_float32(layer.get_config())
    config |= {
        key: _live(getattr(layer, key, None), value, copy)
        for key, value in config.items()
    }
    if isinstance(layer, keras.layers.Lambda):
        if isinstance(config.get("output_shape"), dict):
            config["output_shape"] = layer.compute_output_shape
        return type(layer)(**config)
    if type(layer).from_config.__func__ is keras.Layer.from_config.__func__:
        return type(layer)(**config)
    return _from_config(type(layer), config)


def _live(value, serialized, copy):
    """What a layer holds in place of a configuration: a function, a layer's copy."""
    if isinstance(value, keras.Layer):
        return copy(value)
    if isinstance(value, list | tuple) and value and isinstance(serialized, list):
        pairs = zip(value, serialized, strict=False)
        return [_live(each, config, copy) for each, config in pairs]
    # A str may be the name of a function of Keras's or, by chance, of another one.
    named = isinstance(serialized, dict | str) and not hasattr(value, "__self__")
    return value if callable(value) and named else serialized


def _from_config(layer_class, config):
    """Construct a layer whose `from_config` wants configurations, not objects."""
    scope: dict[str, _Finished] = {}

    def wrap(value):
        if isinstance(value, list):
            return [wrap(each) for each in value]
        if not callable(value):
            return value
        name = f"tflite_export>{len(scope)}"
        scope[name] = _Finished(value)
        return {"class_name": name, "registered_name": name, "config": {}}

    wrapped = {key: wrap(value) for key, value in config.items()}
    with keras.saving.custom_object_scope(scope):
        return layer_class.from_config(wrapped)


class _Finished:
    """An object in the place of the class that Keras would make it with."""

    def __init__(self, value):
        self.value = value

    def from_config(self, config):
        return self.value


def _as_float32(config, key=None):
    """A configuration with every dtype and policy in it float32, however deep."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return "float32"
        return {key: _as_float32(value, key) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_as_float32(value) for value in config)
    return "float32" if key == "dtype" and config in OTHER_FLOATS else config


def _cannot_be_copied(layer, reason):
    return ValueError(
        "A model of mixed precision, or with a nested model of a class of your own, is "
        "exported as a float32 copy, so each layer must be made anew from its "
        "`get_config`. Give the layer a complete one, or build the model with dtype "
        "'float32' and load the weights into it. "
        f"Received: layer '{layer.name}' (of type {type(layer).__name__}): {reason}"
    )

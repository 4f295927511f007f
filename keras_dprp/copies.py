"""Copies of single layers, with all that they have learned."""

import inspect
import tempfile
import warnings

import keras

from keras_dprp.graph import flatten_layers
from keras_dprp.live.variables import set_value


def copy_layer(layer):
    """A fresh layer of the same configuration."""
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


def copy_state(source, target):
    """Copy all that a built layer has learned to another of the same configuration."""
    for old, new in _sublayers(source, target):
        # Keras does not build a layer that serves as activation before it is used.
        if old.built and not new.built and old.get_build_config():
            new.build_from_config(old.get_build_config())
    for old, new in zip(source.variables, target.variables, strict=True):
        copy_variable(old, new)
    for old, new in _sublayers(source, target):
        if hasattr(old, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                old.save_assets(folder)
                new.load_assets(folder)
        if hasattr(new, "finalize_state"):
            new.finalize_state()


def copy_variable(source, target):
    """Copy by value, of any shape: JAX donates the buffers of what it trains."""
    set_value(target, keras.ops.convert_to_numpy(source))


def copy_all_but_kernel(source, target):
    """Copy the bias of a layer, and the weights of one that serves as activation."""
    if source.bias is not None:
        copy_variable(source.bias, target.bias)
    if isinstance(source.activation, keras.Layer):
        copy_state(source.activation, target.activation)


def shared_arguments(stock_class):
    """Names of the arguments that a stock layer and its factorised twin share."""
    left_out = {
        "self",
        "lora_rank",
        "lora_alpha",
        "gptq_unpacked_column_size",
        "quantization_config",
        "kwargs",
    }
    names = inspect.signature(stock_class.__init__).parameters
    return tuple(name for name in names if name not in left_out)


def attribute_of(argument):
    """The attribute in which a layer has what an argument of it was."""
    return {"output_shape": "partial_output_shape"}.get(argument, argument)


def twin_config(layer, names):
    """The arguments that a layer shares with its twin, as live objects."""
    config = {name: getattr(layer, attribute_of(name)) for name in names}
    activation = config.get("activation")
    if isinstance(activation, keras.Layer):
        config["activation"] = copy_layer(activation)
    return {
        **config,
        "name": layer.name,
        "trainable": layer.trainable,
        "dtype": layer.dtype_policy,
    }


def free_name(name, taken):
    """A name for a layer that no other one has; from now on it is taken.

    Args:
        name: What it would be called.
        taken: Set of the names of all other layers.
    """
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _sublayers(source, target):
    """Both layers, and pair by pair the layers inside them."""
    layers = ([layer, *flatten_layers(layer)] for layer in (source, target))
    return list(zip(*layers, strict=True))

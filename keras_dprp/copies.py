"""Copies of single layers, with all that they have learned."""

import tempfile
import warnings

import keras

from keras_dprp.graph import flatten_layers


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
    for old, new in _sublayers(source, target):
        if hasattr(old, "variables_of_any_shape"):
            values = old.variables_of_any_shape().items()
            new.load_values({n: keras.ops.convert_to_numpy(v) for n, v in values})
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
        config["activation"] = copy_layer(activation)
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
    layers = ([layer, *flatten_layers(layer)] for layer in (source, target))
    return list(zip(*layers, strict=True))

"""The models that hold a factorised layer, and what they have compiled.

Nothing leads from a layer to its models. A model is noted when it calls a layer, when
it loads or sets weights, and when `adopt` is given it.
"""

import functools
import re
import weakref

import keras
import numpy as np
from keras.src.backend.common import global_state, stateless_scope

# Weak: none of the models owns another here.
_holders: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def sublayers(layer):
    """The layers directly inside a layer or model."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def flatten_layers(layer):
    """Every layer inside a layer or model, however nested, each once, in order."""
    found: dict[keras.Layer, None] = {}
    for each in sublayers(layer):
        found.update(dict.fromkeys([each, *flatten_layers(each)]))
    return list(found)


def adopt(model):
    """Note that a model holds the layers in it whose variables change shape.

    Returns:
        A list of these layers.
    """
    layers = shape_shifters(model)
    changed = [_join(layer, model) for layer in layers]
    if any(changed) and getattr(model, "train_function", None) is not None:
        # It was compiled when weight decay still reached the bases.
        model.make_train_function(force=True)
    return layers


def note_caller(layer):
    """Note that the model which is calling a layer holds it.

    It may be written by hand, come out of a file, or be one of several.
    """
    context = global_state.get_global_attribute("current_call_ctx")
    caller = getattr(context, "entry_layer", None)
    if isinstance(caller, keras.Model):
        _join(layer, caller)


def holders(layer):
    """The models known to hold a layer."""
    return list(_holders.get(layer, ()))


def in_step():
    """Whether Keras keeps what is assigned now.

    Where a user's own `jax.jit` traces a model it would not: the variable would be
    left with a tracer in it.
    """
    return keras.backend.backend() != "jax" or stateless_scope.in_stateless_scope()


def newest_values(model):
    """Have variables hold their values in the middle of an epoch, too."""
    if hasattr(model, "jax_state_sync"):
        # There the JAX trainer itself holds the newest ones.
        model.jax_state_sync()


def retrace(layer):
    """Have the models that hold a layer compile anew what they have compiled."""
    for model in holders(layer):
        forget_compiled(model)


def forget_compiled(model):
    """Have a model compile anew: TensorFlow would go on with replaced variables."""
    for kind in ("train", "test", "predict"):
        if getattr(model, f"{kind}_function", None) is not None:
            getattr(model, f"make_{kind}_function")(force=True)


def shape_shifters(model):
    """The built layers in a model whose variables change shape."""
    return [
        layer
        for layer in flatten_layers(model)
        if hasattr(layer, "state_variables") and layer.built
    ]


def take_states(owner, layers, weights):
    """Give layers the states that a list of their owner's weights has.

    Nothing is changed unless all of them fit: Keras would find a misfit only after it
    has assigned all that comes before it.

    Args:
        owner: The model, or the layer, whose `set_weights` gets the list.
        layers: Those of its layers whose variables change shape.
        weights: A list of arrays.

    Raises:
        ValueError: If an array does not fit.
    """
    if len(weights) != len(owner.weights):
        return  # Keras says so.
    arrays = map(np.asarray, weights)
    values = dict(zip(map(id, owner.weights), arrays, strict=True))
    states = {
        layer: {n: values.pop(id(v)) for n, v in layer.state_variables().items()}
        for layer in layers
    }
    for layer, state in states.items():
        layer.check_values(state)
    for variable in owner.weights:
        value = values.get(id(variable))
        if value is not None and value.shape != tuple(variable.shape):
            raise ValueError(
                f"`weights` must have an array of shape {tuple(variable.shape)} for "
                f"variable '{variable.path}'. Received: shape {value.shape}"
            )
    for layer, state in states.items():
        layer.load_values(state)


def _join(layer, model):
    """Note that a model holds a layer; whether this changed what decays."""
    _holders.setdefault(layer, weakref.WeakSet()).add(model)
    return layer.settle_in(model)


# Keras tells no layer that it has become a part of a model, and a model out of a file
# has called none of its layers. So the methods of every model by which its variables
# can get values of another shape note the model first. Models without factorised
# layers do as they did.
_keras_load_own_variables = keras.Model.load_own_variables
_keras_load_weights = keras.Model.load_weights
_keras_set_weights = keras.Model.set_weights


@functools.wraps(_keras_load_own_variables)
def _load_own_variables(model, store):
    # Files are loaded from the model down: the layers in it come after this.
    adopt(model)
    _keras_load_own_variables(model, store)


@functools.wraps(_keras_load_weights)
def _load_weights(model, filepath, *args, **kwargs):
    try:
        _keras_load_weights(model, filepath, *args, **kwargs)
    except ValueError as error:
        if not shape_shifters(model):
            raise
        if re.search(r"(?<!\.weights)\.(h5|hdf5)$", str(filepath)):
            # Of these files Keras gives no layer more than values of the same shape.
            advice = (
                "A legacy HDF5 file must have the ranks that the model has. Load the "
                "whole model, `keras.saving.load_model(...)`, and take its weights: "
                "`model.set_weights(loaded.get_weights())`; or save weights as "
                "'.weights.h5'."
            )
        elif "could not be loaded" in str(error):
            # Keras names one layer, which may be half of one that was taken apart.
            advice = (
                "The file must be of a model with the same factorised layers. Load a "
                "stock model's weights into that model, before `factorize`."
            )
        else:
            raise
        raise ValueError(f"{advice} Received: '{filepath}': {error}") from error


@functools.wraps(_keras_set_weights)
def _set_weights(model, weights):
    layers = adopt(model)
    if layers:
        take_states(model, layers, weights)
    _keras_set_weights(model, weights)


keras.Model.load_own_variables = _load_own_variables
keras.Model.load_weights = _load_weights
keras.Model.set_weights = _set_weights

"""The models that hold a factorised layer, and what they have compiled.

Nothing leads from a layer to its models. Every model that calls a layer is noted when
it does; `adopt` notes one that has not called its layers yet.
"""

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
    """Note that a model holds the layers in it whose variables change shape."""
    changed = [_join(layer, model) for layer in shape_shifters(model)]
    if any(changed) and getattr(model, "train_function", None) is not None:
        # It was compiled when weight decay still reached the bases.
        model.make_train_function(force=True)


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
        if hasattr(layer, "variables_of_any_shape") and layer.built
    ]


class SetWeights:
    """`model.set_weights` that takes the weights of another state or rank.

    EarlyStopping restores its best weights with it, at the very end of training.
    """

    def __init__(self, model):
        self._model = weakref.ref(model)

    def __call__(self, weights):
        model = self._model()
        assert model is not None  # It is what holds this object.
        if len(weights) == len(model.weights):
            arrays = [np.asarray(value) for value in weights]
            values = dict(zip(map(id, model.weights), arrays, strict=True))
            layers = shape_shifters(model)
            _check_shapes(model, layers, values)
            for layer in layers:
                own = layer.variables_of_any_shape()
                layer.load_values({n: values[id(v)] for n, v in own.items()})
        type(model).set_weights(model, weights)


def _check_shapes(model, layers, values):
    """Raise unless arrays by `id(variable)` fit the model, whatever its state.

    Keras would find a misfit only after it has assigned all that comes before it.
    """
    free = set()
    for layer in layers:
        own = layer.variables_of_any_shape()
        layer.check_values({name: values[id(v)] for name, v in own.items()})
        free |= {id(v) for v in own.values()}
    for variable in model.weights:
        shape = values[id(variable)].shape
        if id(variable) not in free and shape != tuple(variable.shape):
            raise ValueError(
                f"`weights` must have an array of shape {tuple(variable.shape)} for "
                f"variable '{variable.path}'. Received: shape {shape}"
            )


def _join(layer, model):
    """Note that a model holds a layer; whether this changed what decays."""
    _holders.setdefault(layer, weakref.WeakSet()).add(model)
    if "set_weights" not in vars(model):
        # Past Keras's tracking, which would take it for a part of the model.
        object.__setattr__(model, "set_weights", SetWeights(model))
    return layer.settle_in(model)

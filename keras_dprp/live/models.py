"""The models that hold a factorised layer, and what they have compiled.

Nothing leads from a layer to its models. Every model that calls a layer is noted when
it does; `adopt` notes one that has not called its layers yet.
"""

import contextlib
import weakref
from dataclasses import dataclass

import keras
import numpy as np
from keras.src.backend.common import global_state, stateless_scope

from keras_dprp.live import optimizers
from keras_dprp.live.variables import set_value, track_again

# Weak: none of the models owns another here.
_holders: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Change:
    """New values for the variables of a factorised layer.

    Attributes:
        variables: Dict from name ("kernel", "U", "s", "V") to variable.
        values: Dict from name to array, of any shape.
        source: A decomposition of `svd.py` by which slots follow; None has them begin
            anew.
        matrix: The layer's `KernelMatrix`.
    """

    variables: dict
    values: dict
    source: object = None
    matrix: object = None

    @property
    def learned(self):
        """Names of the variables that have learned until now."""
        return {n for n, v in self.variables.items() if 0 not in v.shape}

    @property
    def active(self):
        """Names of the variables that learn from now on."""
        return {n for n, v in self.values.items() if 0 not in v.shape}

    def carry_gradients(self, old, power):
        """What is remembered of gradients, by name: see `svd.py`."""
        return self.source.carry_gradients(self._as_matrix(old), power)

    def carry_averages(self, old):
        """Averages of the weights, by name: see `svd.py`."""
        return self.source.carry_averages(self._as_matrix(old))

    def _as_matrix(self, old):
        if "kernel" not in self.learned:
            return old
        matrix = keras.ops.convert_to_numpy(self.matrix.to_matrix(old["kernel"]))
        return {"kernel": matrix.astype("float64")}


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
    changed = [_join(layer, model) for layer in _shape_shifters(model)]
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


def apply(changes_by_layer):
    """Give layers new values and shapes, and all that depends on them.

    Args:
        changes_by_layer: Dict from a layer to its `Change`.
    """
    models = list(dict.fromkeys(m for x in changes_by_layer for m in holders(x)))
    for model in models:
        newest_values(model)
    # New values in old shapes need no new compilation.
    reshaped = any(map(_reshapes, changes_by_layer.values()))
    known = {id(o): o for model in models for o in optimizers.optimizers_of(model)}
    with _strategy_scope(models):
        for change in changes_by_layer.values():
            optimizers.apply(list(known.values()), change)
    for layer in changes_by_layer:
        for model in holders(layer):
            _settle(layer, model)
    if reshaped:
        for model in models:
            track_again([model, *flatten_layers(model)])
            forget_compiled(model)
        if not models:
            track_again(list(changes_by_layer))


def set_plain_value(layer, variable, value):
    """Give a variable that no optimizer trains a value of another shape."""
    models = holders(layer)
    with _strategy_scope(models):
        set_value(variable, value)
    for model in models:
        track_again([model, *flatten_layers(model)])
        forget_compiled(model)


def retrace(layer):
    """Have the models that hold a layer compile anew what they have compiled."""
    for model in holders(layer):
        forget_compiled(model)


def forget_compiled(model):
    """Have a model compile anew: TensorFlow would go on with replaced variables."""
    for kind in ("train", "test", "predict"):
        if getattr(model, f"{kind}_function", None) is not None:
            getattr(model, f"make_{kind}_function")(force=True)


def compiled_losses(model):
    """Path to an output, loss and weight, of every loss a model was compiled with."""
    losses = model._compile_loss
    return [] if losses is None else [each[:3] for each in losses._flat_losses]


def wrap_loss(model, layer):
    """Have a model's training loss go through a layer's `compute_loss`.

    Args:
        model: A `keras.Model`.
        layer: A `Distillation` in it.

    Returns:
        Whether it did not go through it before.
    """
    if isinstance(vars(model).get("compute_loss"), _ComputeLoss):
        return False
    _attach(model, "compute_loss", _ComputeLoss(model, layer))
    return True


def _attach(model, name, value):
    """Put a method on one model, past Keras's tracking of its parts."""
    object.__setattr__(model, name, value)


class _ComputeLoss:
    """`model.compute_loss` that goes through a layer in training."""

    def __init__(self, model, layer):
        # Weak: the model holds this object, and the layer.
        self._model, self._layer = weakref.ref(model), weakref.ref(layer)

    def __call__(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        model, layer = self._model(), self._layer()

        def task_loss(outputs):
            return type(model).compute_loss(
                model,
                x=x,
                y=y,
                y_pred=outputs,
                sample_weight=sample_weight,
                training=training,
            )

        if not training or layer is None:
            return task_loss(y_pred)
        return layer.compute_loss(model, task_loss, y_pred)


class _SetWeights:
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
            layers = _shape_shifters(model)
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


def _shape_shifters(model):
    return [
        layer
        for layer in flatten_layers(model)
        if hasattr(layer, "variables_of_any_shape") and layer.built
    ]


def _join(layer, model):
    """Note that a model holds a layer; whether this changed what decays."""
    _holders.setdefault(layer, weakref.WeakSet()).add(model)
    if "set_weights" not in vars(model):
        _attach(model, "set_weights", _SetWeights(model))
    return _settle(layer, model)


def _settle(layer, model):
    """What a layer does to a model that holds it; whether this changed it."""
    return layer.settle_in(model)


def _reshapes(change):
    return any(
        np.shape(change.values[name]) != tuple(variable.shape)
        for name, variable in change.variables.items()
    )


def _strategy_scope(models):
    for model in models:
        strategy = getattr(model, "_distribute_strategy", None)
        if strategy is not None:
            return strategy.scope()
    return contextlib.nullcontext()

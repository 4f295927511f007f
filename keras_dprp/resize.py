"""New shapes under a running `fit`: the only file that touches private Keras.

A layer keeps its `keras.Variable` objects and gives them values of another shape, so
the order of variables, tracking and saving need nothing. What else knows the old
shapes has to follow: the slots of optimizers, what they key by variable, and the
compiled train, test and predict functions. Those belong to models, and every model
that calls a layer is noted when it does. Written against Keras 3.15, which
`pyproject.toml` pins for the sake of this file.
"""

import contextlib
import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from keras.src.backend.common import global_state, stateless_scope

from keras_dprp import slots

# The models that hold a factorised layer. Weak: none of them owns another here.
_models: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
# By optimizer, `id(s)` where this file keeps weight decay off s, and not the user.
_spared: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Change:
    """A new value for one variable and how its optimizer slots follow.

    Args:
        variable: A `keras.Variable` whose last axis is the rank.
        value: Array of the new shape.
        gradient_map: Array `(..., old rank, new rank)` for slots that are linear in
            the gradient; None starts all slots anew.
        weight_map: Likewise for averages of the variable itself.
        source: A `keras.Variable` that has learned in this one's place, and changes
            after it: its slots are carried.
        kernel_maps: With a `source`: one array `(..., axis, new rank)`, by which the
            first of the last two axes of its slots is multiplied, or one for each.
    """

    variable: keras.Variable
    value: np.ndarray
    gradient_map: np.ndarray | None = None
    weight_map: np.ndarray | None = None
    source: keras.Variable | None = None
    kernel_maps: tuple[np.ndarray, ...] = ()


def flatten_layers(model):
    """Every layer inside a model, however nested, each once, in the model's order."""
    layers = {}
    for layer in model._flatten_layers(include_self=False, recursive=False):
        layers.update({id(each): each for each in (layer, *flatten_layers(layer))})
    return list(layers.values())


def adopt(model):
    """Note that a model holds its factorised layers, before it has called them."""
    changed = [_join(layer, model) for layer in _factorized(model)]
    if any(changed) and getattr(model, "train_function", None) is not None:
        # It was compiled when weight decay still reached the bases.
        model.make_train_function(force=True)


def note_caller(layer):
    """Note that the model which is calling a factorised layer holds it.

    It may be written by hand, come out of a file, or be one of several.
    """
    context = global_state.get_global_attribute("current_call_ctx")
    caller = getattr(context, "entry_layer", None)
    if isinstance(caller, keras.Model):
        _join(layer, caller)


def in_step():
    """Whether Keras keeps what is assigned now.

    Where a user's own `jax.jit` traces a model it would not: the variable would be
    left with a tracer in it.
    """
    return keras.backend.backend() != "jax" or stateless_scope.in_stateless_scope()


def find_holders(layer):
    """Note the models that hold a layer which none of them has called yet.

    As with a model out of a file. Nothing leads from a layer to its models; the
    garbage collector knows every object there is.
    """
    if layer in _models:
        return
    for each in gc.get_objects():
        # By `type`, as proxies would answer `isinstance` for what they stand for.
        is_model = issubclass(type(each), keras.Model) and hasattr(each, "_layers")
        if is_model and any(inner is layer for inner in flatten_layers(each)):
            adopt(each)


def apply(layers, changes):
    """Give variables new values and shapes, and all that depends on them.

    Args:
        layers: The built `SVDLayer`s whose variables change.
        changes: A list of `Change`.
    """
    models = {id(m): m for layer in layers for m in _models.get(layer, ())}.values()
    for model in models:
        if hasattr(model, "jax_state_sync"):
            # In the middle of an epoch the JAX trainer itself holds the newest values.
            model.jax_state_sync()
    # New values in old shapes need no new compilation.
    reshaped = any(_reshapes(change) for change in changes)
    optimizers = {id(o): o for m in models for o in _optimizers(m)}.values()
    with _strategy_scope(models):
        for change in changes:
            _apply_one(change, optimizers)
    for model in models if reshaped else ():
        _forget_compiled_functions(model)


def build_optimizer(model):
    """Have a model's optimizer make its slots, which else it does in its first step."""
    optimizer = model.optimizer
    if optimizer is not None and not optimizer.built:
        with _strategy_scope([model]):
            optimizer.build(model.trainable_variables)


def retrace(layer):
    """Have the models that hold a layer compile anew what they have compiled."""
    for model in _models.get(layer, ()):
        _forget_compiled_functions(model)


def place_weight_decay(layer):
    """Have weight decay reach `layer.decaying`, and no other of the factors."""
    for model in _models.get(layer, ()):
        for optimizer in _optimizers(model):
            _place_weight_decay(optimizer, layer)


def load_factors(layer, factors):
    """Assign U, s and V of any rank to a layer, and fit its optimizers to them.

    Slots of another rank cannot be mapped, since the checkpoint's bases are not the
    layer's: they start anew, until loading the optimizer's own state fills them.

    Args:
        layer: A built `SVDLayer`.
        factors: Arrays by name, "U", "s" and "V".
    """
    find_holders(layer)
    changes = [Change(getattr(layer, name), value) for name, value in factors.items()]
    if any(_reshapes(change) for change in changes):
        apply([layer], changes)
    else:
        for change in changes:
            change.variable.assign(change.value)
    layer.recognize_learning()


class _RankAwareSetWeights:
    """`model.set_weights` that takes the weights of another rank.

    EarlyStopping restores its best weights with it, at the very end of training.
    """

    def __init__(self, model):
        self._model = weakref.ref(model)

    def __call__(self, weights):
        model = self._model()
        assert model is not None  # It is what holds this object.
        layers = _factorized(model)
        if len(weights) == len(model.weights):
            arrays = [np.asarray(value) for value in weights]
            values = dict(zip(map(id, model.weights), arrays, strict=True))
            _check_shapes_but_for_ranks(model, layers, values)
            for layer in layers:
                factors = _factors(layer)
                load_factors(layer, {n: values[id(v)] for n, v in factors.items()})
        type(model).set_weights(model, weights)


def _check_shapes_but_for_ranks(model, layers, values):
    """Raise unless arrays by `id(variable)` have the shapes of a model of some ranks.

    Keras would find a misfit only after it has assigned all that comes before it.
    """
    ranks = {
        id(variable): values[id(layer.s)].shape[-1:]
        for layer in layers
        for variable in _factors(layer).values()
    }
    for variable in model.weights:
        shape = tuple(variable.shape)
        if id(variable) in ranks:
            shape = (*shape[:-1], *ranks[id(variable)])
        if values[id(variable)].shape != shape:
            raise ValueError(
                f"`weights` must have an array of shape {shape} for variable "
                f"'{variable.path}'. Received: shape {values[id(variable)].shape}"
            )


def _factorized(model):
    return [
        layer
        for layer in flatten_layers(model)
        if hasattr(layer, "pair_kernels") and layer.built
    ]


def _factors(layer):
    return {name: getattr(layer, name) for name in ("U", "s", "V")}


def _join(layer, model):
    """Note that a model holds a layer; whether this changed its weight decay."""
    _models.setdefault(layer, weakref.WeakSet()).add(model)
    if "set_weights" not in vars(model):
        # Past Keras's tracking, which would take it for a part of the model.
        object.__setattr__(model, "set_weights", _RankAwareSetWeights(model))
    # All of them, whatever the first ones say.
    return any([_place_weight_decay(each, layer) for each in _optimizers(model)])


def _place_weight_decay(optimizer, layer):
    """As `place_weight_decay`, for one optimizer; whether this changed anything.

    `Optimizer.exclude_from_weight_decay` would overwrite the user's choice, and is
    refused once the optimizer is built.
    """
    spared = _spared.setdefault(optimizer, set())
    before = frozenset(getattr(optimizer, "_exclude_from_weight_decay", ()))
    excluded = before | {optimizer._var_key(v) for v in _factors(layer).values()}
    # A user who keeps it off s means the kernel, whichever of the factors that is.
    if optimizer._var_key(layer.s) not in before or id(layer.s) in spared:
        excluded -= {optimizer._var_key(layer.decaying)}
        if layer.decaying is layer.s:
            spared.discard(id(layer.s))
        else:
            spared.add(id(layer.s))
    if excluded != before:
        optimizer._exclude_from_weight_decay = set(excluded)
        optimizer._exclude_from_weight_decay_cache = {}
    return excluded != before


def _optimizers(model) -> Iterator[keras.optimizers.Optimizer]:
    """The optimizer of a model and those it wraps."""
    waiting = [getattr(model, "optimizer", None)]
    while waiting:
        optimizer = waiting.pop()
        if optimizer is not None:
            yield optimizer
            # A LossScaleOptimizer wraps one, a MultiOptimizer several.
            waiting.append(getattr(optimizer, "inner_optimizer", None))
            waiting.extend(getattr(optimizer, "optimizers", ()))


def _strategy_scope(models):
    for model in models:
        strategy = getattr(model, "_distribute_strategy", None)
        if strategy is not None:
            return strategy.scope()
    return contextlib.nullcontext()


def _reshapes(change):
    return change.value.shape != tuple(change.variable.shape)


def _apply_one(change, optimizers):
    """Change one variable, and what optimizers keep of it."""
    variable = change.variable
    keys = [optimizer._var_key(variable) for optimizer in optimizers]
    for optimizer in optimizers:
        index, source = (_place(optimizer, v) for v in (variable, change.source))
        if index is not None:
            for slot, value in slots.mapped(optimizer, index, change, source):
                _set_value(slot, value)
    _set_value(variable, change.value)
    for optimizer, key in zip(optimizers, keys, strict=True):
        _rekey(optimizer, key, optimizer._var_key(variable))


def _place(optimizer, variable):
    """Where a variable stands among those an optimizer trains; None if it does not."""
    if variable is None:
        return None
    return optimizer._trainable_variables_indices.get(optimizer._var_key(variable))


def _set_value(variable, value):
    """What the last lines of `keras.Variable.__init__` do, on a living variable."""
    value = ops.convert_to_tensor(np.asarray(value, "float32"), dtype=variable._dtype)
    if tuple(value.shape) == tuple(variable.shape):
        variable.assign(value)
        return
    variable._initialize(value)
    variable._shape = variable._validate_shape(value.shape)
    variable._ndim = len(variable._shape)


def _rekey(optimizer, old, new):
    """TensorFlow keys by the `tf.Variable`, which a new shape has replaced."""
    if old == new:
        return
    for value in vars(optimizer).values():
        if isinstance(value, dict) and old in value:
            value[new] = value.pop(old)
        elif isinstance(value, set) and old in value:
            value.remove(old)
            value.add(new)


def _forget_compiled_functions(model):
    """TensorFlow's functions would go on with the old variables, in silence."""
    for kind in ("train", "test", "predict"):
        if getattr(model, f"{kind}_function", None) is not None:
            getattr(model, f"make_{kind}_function")(force=True)

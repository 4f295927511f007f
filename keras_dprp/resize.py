"""New shapes under a running `fit`: the only file that touches private Keras.

A layer keeps its `keras.Variable` objects and gives them values of another shape, so
the order of variables, tracking and saving need nothing. What else knows the old
shapes has to follow: the optimizer's slots, what the optimizer keys by variable, and
the compiled train, test and predict functions. Written against Keras 3.15, which
`pyproject.toml` pins for the sake of this file.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

# What an optimizer's slots hold, by attribute. Squares of gradients take the square
# of the gradient's map, else they turn negative and their roots NaN; an infinity
# norm takes its absolute value; an average of weights takes the map of the weights.
# Whatever is not listed is linear in the gradient (momenta, accumulated gradients).
_SQUARES = {
    "_velocities",
    "_velocity_hats",
    "_accumulators",
    "_accumulated_grads",
    "_accumulated_delta_vars",
    "adam_velocities",
    "_v",
    "_r",
    "_c",
}
_NORMS = {"_u"}
_WEIGHTS = {"_model_variables_moving_average"}
# Adafactor keeps a row and a column of a matrix; the rank is the axis of the column.
_WITHOUT_RANK = {"_r"}


@dataclass(frozen=True)
class Change:
    """A new value for one variable and how its optimizer slots follow.

    Args:
        variable: A `keras.Variable` whose last axis is the rank.
        value: Array of the new shape.
        gradient_map: Array `(..., old rank, new rank)` for slots that are linear in
            the gradient; None leaves zeros.
        weight_map: Likewise for averages of the variable itself.
    """

    variable: keras.Variable
    value: np.ndarray
    gradient_map: np.ndarray | None = None
    weight_map: np.ndarray | None = None


def flatten_layers(model):
    """Every layer inside a model, however nested, each once."""
    return model._flatten_layers(include_self=False)


def adopt(model):
    """Tell the factorised layers of a model whose they are.

    From then on a checkpoint of another rank can be loaded into them, and
    `model.set_weights` takes weights of another rank: both have to reach the
    optimizer's slots, which only the model knows.
    """
    for layer in _factorized(model):
        # Past Keras's tracking: a layer does not own its model.
        object.__setattr__(layer, "_model_reference", weakref.ref(model))
    if not isinstance(model.set_weights, _RankAwareSetWeights):
        object.__setattr__(model, "set_weights", _RankAwareSetWeights(model))


def apply(model, changes):
    """Give variables new values and shapes, and all that depends on them.

    Args:
        model: The compiled model (an uncompiled one has no optimizer to follow).
        changes: A list of `Change`.
    """
    if hasattr(model, "jax_state_sync"):
        # In the middle of an epoch the JAX trainer holds the newest values itself.
        model.jax_state_sync()
    # New values in old shapes need no new compilation.
    reshaped = any(c.value.shape != tuple(c.variable.shape) for c in changes)
    strategy = getattr(model, "_distribute_strategy", None)
    with strategy.scope() if strategy else contextlib.nullcontext():
        optimizers = list(_optimizers(getattr(model, "optimizer", None)))
        new_keys: list[dict] = [{} for _ in optimizers]
        for change in changes:
            for optimizer, keys in zip(optimizers, new_keys, strict=True):
                if _resize_slots(optimizer, change):
                    keys[optimizer._var_key(change.variable)] = change.variable
            _resize_variable(change.variable, change.value)
        for optimizer, keys in zip(optimizers, new_keys, strict=True):
            _rekey(optimizer, {k: optimizer._var_key(v) for k, v in keys.items()})
    if reshaped:
        _forget_compiled_functions(model)


def load_factors(layer, factors):
    """Assign U, s and V of any rank to a layer, and fit its model's optimizer.

    Slots of another rank cannot be mapped, since the checkpoint's bases are not the
    layer's: they become zeros, which loading the optimizer's state then fills.

    Args:
        layer: A built `SVDLayer`.
        factors: Arrays by name, "U", "s" and "V".
    """
    variables = {name: getattr(layer, name) for name in ("U", "s", "V")}
    if all(tuple(v.shape) == factors[n].shape for n, v in variables.items()):
        for name, variable in variables.items():
            variable.assign(factors[name])
        return
    changes = [Change(v, factors[name]) for name, v in variables.items()]
    reference = getattr(layer, "_model_reference", None)
    model = reference() if reference else None
    if model is not None:
        apply(model, changes)
    else:
        for change in changes:
            _resize_variable(change.variable, change.value)


def exclude_from_weight_decay(model, variables):
    """Keep weight decay off `variables`, besides what the user kept it off.

    `Optimizer.exclude_from_weight_decay` would overwrite the user's choice, and is
    refused once the optimizer is built.
    """
    changed = False
    for optimizer in _optimizers(getattr(model, "optimizer", None)):
        keys = {optimizer._var_key(variable) for variable in variables}
        excluded = getattr(optimizer, "_exclude_from_weight_decay", set())
        if optimizer.weight_decay is not None and not keys <= excluded:
            optimizer._exclude_from_weight_decay = excluded | keys
            optimizer._exclude_from_weight_decay_cache = {}
            changed = True
    if changed:
        _forget_compiled_functions(model)


class _RankAwareSetWeights:
    """`model.set_weights` that takes the weights of another rank.

    EarlyStopping restores its best weights with it, at the very end of training.
    """

    def __init__(self, model):
        self._model = weakref.ref(model)

    def __call__(self, weights):
        model = self._model()
        variables = model.weights
        if len(variables) == len(weights):
            values = {id(v): w for v, w in zip(variables, weights, strict=True)}
            for layer in _factorized(model):
                factors = {
                    name: np.asarray(values[id(getattr(layer, name))])
                    for name in ("U", "s", "V")
                }
                if factors["U"].shape[:-1] == tuple(layer.U.shape[:-1]):
                    load_factors(layer, factors)
        type(model).set_weights(model, weights)


def _factorized(model):
    return [
        layer
        for layer in flatten_layers(model)
        if hasattr(layer, "pair_kernels") and layer.built
    ]


def _optimizers(optimizer) -> Iterator[keras.optimizers.Optimizer]:
    """An optimizer and those it wraps, as far as they are built."""
    if optimizer is None:
        return
    inner = getattr(optimizer, "inner_optimizer", None)
    children = [inner] if inner is not None else getattr(optimizer, "optimizers", [])
    for child in children:
        yield from _optimizers(child)
    if optimizer.built:
        yield optimizer


def _slots(optimizer, index) -> Iterator[tuple[str, keras.Variable]]:
    """Attribute and variable of every slot of the trainable variable `index`."""
    count = len(optimizer._trainable_variables)
    for name, value in vars(optimizer).items():
        if name in ("_trainable_variables", "_variables"):
            continue
        if isinstance(value, (list, tuple)) and len(value) == count:
            slot = value[index]
            if isinstance(slot, keras.Variable) and slot.ndim:
                yield name, slot


def _resize_slots(optimizer, change):
    """Map the slots of one variable; False if the optimizer does not know it."""
    key = optimizer._var_key(change.variable)
    index = optimizer._trainable_variables_indices.get(key)
    if index is None:
        return False
    for name, slot in _slots(optimizer, index):
        # Adafactor leaves slots it does not use at one element.
        if name not in _WITHOUT_RANK and slot.shape[-1] == change.variable.shape[-1]:
            _resize_variable(slot, _mapped(name, slot, change))
    return True


def _mapped(name, slot, change):
    """The value of a slot at the new rank."""
    old = np.asarray(ops.convert_to_numpy(slot), "float64")
    matrix = change.weight_map if name in _WEIGHTS else change.gradient_map
    if matrix is None:
        return np.zeros((*old.shape[:-1], change.value.shape[-1]))
    transform: Callable = lambda x: x  # noqa: E731
    if name in _SQUARES:
        transform = np.square
    elif name in _NORMS:
        transform = np.abs
    matrix = transform(matrix)
    if old.ndim == matrix.ndim - 1:
        return np.einsum("...r,...rk->...k", old, matrix)
    return old @ matrix


def _resize_variable(variable, value):
    """What the last lines of `keras.Variable.__init__` do, on a living variable."""
    value = ops.convert_to_tensor(np.asarray(value, "float32"), dtype=variable._dtype)
    if tuple(value.shape) == tuple(variable.shape):
        variable.assign(value)
        return
    variable._initialize(value)
    variable._shape = variable._validate_shape(value.shape)
    variable._ndim = len(variable._shape)


def _rekey(optimizer, new_keys):
    """TensorFlow keys by the `tf.Variable`, which a new shape has replaced."""
    for name, value in list(vars(optimizer).items()):
        if isinstance(value, dict) and any(key in new_keys for key in value):
            setattr(optimizer, name, {new_keys.get(k, k): v for k, v in value.items()})
        elif isinstance(value, set) and any(key in new_keys for key in value):
            setattr(optimizer, name, {new_keys.get(key, key) for key in value})


def _forget_compiled_functions(model):
    """TensorFlow's functions would go on with the old variables, in silence."""
    for kind in ("train", "test", "predict"):
        if getattr(model, f"{kind}_function", None) is not None:
            getattr(model, f"make_{kind}_function")(force=True)

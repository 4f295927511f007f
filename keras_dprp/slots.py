"""What an optimizer remembers of a variable, and how it follows a change of rank.

Optimizers keep lists of variables, slots, one for every trainable variable. Their
attribute names say what they hold, and with it how they follow new bases.
"""

import keras
import numpy as np
from keras import ops

# Linear in the gradient, as momenta are.
_GRADIENTS = {
    "momentums",
    "_momentums",
    "_average_gradients",
    "_accumulated_gradients",
    "_m",
}
# Squares take the square of the map, else they turn negative and their roots NaN.
_SQUARES = {
    "_velocities",
    "_velocity_hats",
    "_accumulators",
    "_accumulated_grads",
    "_accumulated_delta_vars",
    "adam_velocities",
    "_v",
    "_c",
}
# Infinity norms take its absolute value.
_NORMS = {"_u"}
# Averages of the weights, and squares of their steps, follow the weights.
_AVERAGES = {"_model_variables_moving_average"}
_STEPS = {"_accumulated_delta_vars"}
# Adafactor keeps a row and a column of a matrix; the rank is the axis of the column.
_WITHOUT_RANK = {"_r"}
_NO_SLOTS = {"_trainable_variables", "_variables"}


def mapped(optimizer, index, change, source_index=None):
    """The slots of a trainable variable, each with its value after a change.

    Args:
        optimizer: A built optimizer.
        index: Int, the variable's place among the optimizer's.
        change: A `Change` of the variable, not made yet.
        source_index: Int, the place of the change's `source`; None if it has none, or
            another optimizer has it.

    Returns:
        A list of pairs of a slot variable and an array.
    """
    rank = change.variable.shape[-1]
    slots = _slots(optimizer, index, rank)
    learned = index if change.source is None else source_index
    known = {} if learned is None else _slots(optimizer, learned, rank)
    old = {
        name: ops.convert_to_numpy(slot).astype("float64")
        for name, slot in known.items()
    }
    if change.source is not None and not slots.keys() <= old.keys():
        # Muon's momenta of a matrix without Adam's squares would be huge steps of s.
        old = {}
    centered = "_average_gradients" in old
    if centered:
        # RMSprop divides by the root of this difference, which has to stay positive.
        old["_velocities"] -= np.square(old["_average_gradients"])
    if change.source is None:
        new = {n: _map(n, each, change, optimizer) for n, each in old.items()}
    else:
        new = {
            name: _from_kernel(name, slot, old.get(name), change, optimizer)
            for name, slot in slots.items()
        }
    if centered:
        new["_velocities"] += np.square(new["_average_gradients"])
    if isinstance(optimizer, keras.optimizers.Ftrl) and "_linears" in new:
        new["_linears"] = _ftrl_linear(optimizer, change.value, new["_accumulators"])
    return [(slot, new[name]) for name, slot in slots.items()]


def _from_kernel(name, slot, kernel, change, optimizer):
    """The value of a slot whose variable has not learned, out of the kernel's."""
    if name in _averages(optimizer):
        return change.value
    # Adafactor's are of one axis of the kernel, which says nothing of the other.
    if name in _STEPS or kernel is None or kernel.ndim != change.source.ndim:
        return _anew(name, slot, change, optimizer)
    first, *second = (_power(name, kernel, m, optimizer) for m in change.kernel_maps)
    if second:
        return np.einsum("...mn,...mk,...nk->...k", kernel, first, *second)
    return np.swapaxes(kernel, -1, -2) @ first


def _ftrl_linear(optimizer, weights, accumulator):
    """What makes Ftrl, which computes weights out of its slots, arrive at these."""
    rate = float(ops.convert_to_numpy(optimizer.learning_rate))
    quadratic = accumulator**-optimizer.learning_rate_power + optimizer.beta
    quadratic = quadratic / rate + 2 * optimizer.l2_regularization_strength
    shift = optimizer.l1_regularization_strength * np.sign(weights)
    return -weights * quadratic - shift


def _slots(optimizer, index, rank):
    """A trainable variable's slots that have an axis of the rank, by name."""
    found = {}
    count = len(optimizer._trainable_variables)
    for name, value in vars(optimizer).items():
        if name in _NO_SLOTS | _WITHOUT_RANK:
            continue
        if isinstance(value, (list, tuple)) and len(value) == count:
            slot = value[index]
            # Optimizers leave slots they do not use empty, or scalar.
            if (
                isinstance(slot, keras.Variable)
                and slot.ndim
                and slot.shape[-1] == rank
            ):
                found[name] = slot
    return found


def _averages(optimizer):
    """Names of the slots that hold averages of the weights."""
    if isinstance(optimizer, keras.optimizers.ScheduleFreeAdamW):
        # What it calls momentum is the sequence of weights it averages.
        return _AVERAGES | {"_momentums"}
    return _AVERAGES


def _map(name, old, change, optimizer):
    """The value of one slot at the new rank."""
    averages = _averages(optimizer)
    if change.gradient_map is None:
        # The average of one value is the value.
        return change.value if name in averages else _anew(name, old, change, optimizer)
    follows_weights = name in averages | _STEPS
    matrix = change.weight_map if follows_weights else change.gradient_map
    matrix = _power(name, old, matrix, optimizer)
    if old.ndim == matrix.ndim - 1:
        return np.einsum("...r,...rk->...k", old, matrix)
    return old @ matrix


def _power(name, old, matrix, optimizer):
    """The matrix, its square or its absolute value, as a slot's values follow it."""
    if name in _SQUARES:
        return np.square(matrix)
    if name in _NORMS:
        return np.abs(matrix)
    if name not in _averages(optimizer) | _GRADIENTS and old.min() >= 0:
        # An optimizer that is not Keras's own: most likely squares.
        return np.square(matrix)
    return matrix


def _anew(name, old, change, optimizer):
    """A slot as before the first step."""
    # Zero would have Ftrl divide by it.
    start = getattr(optimizer, "initial_accumulator_value", 0)
    shape = (*old.shape[:-1], change.value.shape[-1])
    return np.full(shape, start if name == "_accumulators" else 0.0)

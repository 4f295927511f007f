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


def mapped(optimizer, index, change):
    """The slots of a trainable variable, each with its value after a change.

    Args:
        optimizer: A built optimizer.
        index: Int, the variable's place among the optimizer's.
        change: A `Change` of the variable, not made yet.

    Returns:
        A list of pairs of a slot variable and an array.
    """
    slots = _slots(optimizer, index, change.variable.shape[-1])
    old = {n: ops.convert_to_numpy(v).astype("float64") for n, v in slots.items()}
    centered = "_average_gradients" in old
    if centered:
        # RMSprop divides by the root of this difference, which has to stay positive.
        old["_velocities"] -= np.square(old["_average_gradients"])
    new = {n: _map(n, each, change, _averages(optimizer)) for n, each in old.items()}
    if centered:
        new["_velocities"] += np.square(new["_average_gradients"])
    if isinstance(optimizer, keras.optimizers.Ftrl) and "_linears" in new:
        new["_linears"] = _ftrl_linear(optimizer, change.value, new["_accumulators"])
    return [(slot, new[name]) for name, slot in slots.items()]


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


def _map(name, old, change, averages):
    """The value of one slot at the new rank."""
    if change.gradient_map is None:
        # The average of one value is the value.
        return change.value if name in averages else np.zeros(_shape(old, change))
    follows_weights = name in averages | _STEPS
    matrix = change.weight_map if follows_weights else change.gradient_map
    if name in _SQUARES:
        matrix = np.square(matrix)
    elif name in _NORMS:
        matrix = np.abs(matrix)
    elif name not in averages | _GRADIENTS and old.min() >= 0:
        # An optimizer that is not Keras's own: most likely squares.
        matrix = np.square(matrix)
    if old.ndim == matrix.ndim - 1:
        return np.einsum("...r,...rk->...k", old, matrix)
    return old @ matrix


def _shape(old, change):
    return (*old.shape[:-1], change.value.shape[-1])

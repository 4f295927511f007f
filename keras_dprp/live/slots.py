"""What an optimizer remembers of a layer's kernel, and how it follows a change.

Optimizers keep lists of variables, slots, one for every trainable variable. Their
attribute names say what they hold, and with it how they follow new factors.
"""

import keras
import numpy as np
from keras import ops

# Squares take the square of the map, else they turn negative and their roots NaN.
_SQUARES = {
    "_velocities",
    "_velocity_hats",
    "_accumulators",
    "_accumulated_grads",
    "adam_velocities",
    "_v",
}
# Infinity norms take its absolute value.
_NORMS = {"_u"}
# Averages of the weights.
_AVERAGES = {"_model_variables_moving_average"}
# Linear in the gradient, as momenta are.
_GRADIENTS = {
    "momentums",
    "_momentums",
    "_average_gradients",
    "_accumulated_gradients",
    "_m",
}
# Squares of steps say nothing of other factors' steps.
_STEPS = {"_accumulated_delta_vars"}
# Adafactor's means over rows and columns, which follow from its "_v".
_MEANS = {"_r": -1, "_c": -2}
# What is less is zero in a slot.
_SMALLEST = np.finfo("float32").tiny
_NO_SLOTS = {"_trainable_variables", "_variables"}


def follow(optimizer, change):
    """Give the slots of a layer's variables the shapes and values of a change.

    Args:
        optimizer: A built optimizer.
        change: A `Change`, whose variables still have their old values.

    Returns:
        A list of pairs of a slot variable and its new array.
    """
    places = {
        name: optimizer._trainable_variables_indices.get(optimizer._var_key(variable))
        for name, variable in change.variables.items()
    }
    found = {
        name: _slots_of(optimizer, place)
        for name, place in places.items()
        if place is not None
    }
    new = _carried(optimizer, change, found)
    pairs = []
    for name, slots in found.items():
        for slot_name, slot in slots.items():
            # One that an optimizer does not use for a variable is a scalar.
            if slot.ndim:
                pairs.append((slot, new[slot_name][name]))
    return pairs


def unknown_slots(optimizer):
    """Names of an optimizer's attributes that hold slots in a way not known here.

    Args:
        optimizer: A `keras.optimizers.Optimizer` of any class, built or not.
    """
    if not _has_slots_of_its_own(optimizer):
        return []
    # A copy, as Keras may not have built all that the optimizer is to train.
    probe = type(optimizer).from_config(optimizer.get_config())
    probe.build([keras.Variable(np.zeros((2, 3), "float32")) for _ in range(2)])
    known = {id(v) for place in (0, 1) for v in _slots_of(probe, place).values()}
    missing = {id(v) for v in probe.variables if v.ndim} - known
    return [
        name
        for name, value in vars(probe).items()
        if name not in _NO_SLOTS and missing & {id(v) for v in _variables_in(value)}
    ]


def _has_slots_of_its_own(optimizer):
    return not type(optimizer).__module__.startswith("keras.")


def _variables_in(value):
    """Every variable in nested lists, tuples and dicts."""
    if isinstance(value, keras.Variable):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple)):
        return []
    return [variable for each in value for variable in _variables_in(each)]


def _slots_of(optimizer, place):
    """The slots of one trainable variable by the name of the attribute."""
    slots = {}
    count = len(optimizer._trainable_variables)
    for name, value in vars(optimizer).items():
        if name in _NO_SLOTS or not isinstance(value, (list, tuple)):
            continue
        if len(value) == count and isinstance(value[place], keras.Variable):
            slots[name] = value[place]
    return slots


def _carried(optimizer, change, found):
    """New arrays by slot name, then by variable name."""
    names = {name for slots in found.values() for name in slots}
    old = {
        name: {
            key: ops.convert_to_numpy(slots[name]).astype("float64")
            for key, slots in found.items()
            if name in slots
        }
        for name in names - set(_MEANS)
    }
    if "_average_gradients" in old:
        # RMSprop divides by the root of this difference, which has to stay positive.
        for key, average in old["_average_gradients"].items():
            old["_velocities"][key] = old["_velocities"][key] - np.square(average)
    new = {name: _carry(optimizer, change, name, each) for name, each in old.items()}
    for key in found:
        # Muon's momenta of a matrix without Adam's squares would be huge steps of s.
        if any(name in new and new[name].get(key) is None for name in found[key]):
            for name in found[key].keys() - set(_MEANS):
                new[name][key] = _anew(optimizer, change, name, key)
    if "_average_gradients" in new:
        for key, average in new["_average_gradients"].items():
            new["_velocities"][key] = new["_velocities"][key] + np.square(average)
    if isinstance(optimizer, keras.optimizers.Ftrl) and "_linears" in new:
        for key in new["_linears"]:
            # Of a singular value of zero nothing is remembered, and Ftrl divides by it.
            anew = _anew(optimizer, change, "_accumulators", key)
            accumulator = new["_accumulators"][key]
            accumulator = np.where(accumulator > _SMALLEST, accumulator, anew)
            new["_accumulators"][key] = accumulator
            new["_linears"][key] = _ftrl_linear(
                optimizer, change.values[key], accumulator
            )
    for name in names & set(_MEANS):
        new[name] = _means(new["_v"], _MEANS[name])
    return new


def _carry(optimizer, change, name, old):
    """New arrays of one kind of slot by variable name; None where none can be had."""
    anew = {key: _anew(optimizer, change, name, key) for key in old}
    if change.source is None or name in _STEPS:
        return anew
    if name in _averages(optimizer):
        carried = change.carry_averages(old)
    elif change.learned <= old.keys():
        carried = change.carry_gradients(old, _power(name, old))
    else:
        carried = dict.fromkeys(change.active)
    return {key: carried.get(key, value) for key, value in anew.items()}


def _power(name, old):
    """How slots of this name follow a map: by it, its square or its absolute value."""
    if name in _NORMS:
        return np.abs
    unknown = name not in _GRADIENTS | _SQUARES
    # An optimizer that is not Keras's own: never negative, so most likely squares.
    if name in _SQUARES or (unknown and all(np.all(x >= 0) for x in old.values())):
        return np.square
    return lambda entries: entries


def _averages(optimizer):
    """Names of the slots that hold averages of the weights."""
    if isinstance(optimizer, keras.optimizers.ScheduleFreeAdamW):
        # What it calls momentum is the sequence of weights it averages.
        return _AVERAGES | {"_momentums"}
    return _AVERAGES


def _anew(optimizer, change, name, key):
    """A slot as before the first step."""
    value = change.values[key]
    if name in _averages(optimizer):
        # The average of one value is the value.
        return value
    # Zero would have Ftrl divide by it.
    start = getattr(optimizer, "initial_accumulator_value", 0)
    return np.full(value.shape, start if name == "_accumulators" else 0.0)


def _means(squares, axis):
    """Adafactor's means of squares; of what is empty, zeros."""
    return {
        key: np.sum(array, axis=axis) / max(array.shape[axis], 1)
        for key, array in squares.items()
        if array.ndim > 1
    }


def _ftrl_linear(optimizer, weights, accumulator):
    """What makes Ftrl, which computes weights out of its slots, arrive at these."""
    rate = float(ops.convert_to_numpy(optimizer.learning_rate))
    with np.errstate(divide="ignore"):
        quadratic = accumulator**-optimizer.learning_rate_power + optimizer.beta
    quadratic = quadratic / rate + 2 * optimizer.l2_regularization_strength
    shift = optimizer.l1_regularization_strength * np.sign(weights)
    return -weights * quadratic - shift

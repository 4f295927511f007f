"""The optimizers of a model: what they decay, and how they know variables."""

from collections.abc import Iterator

import keras
from keras.src.backend.common.variables import AutocastScope

from keras_dprp.live import slots
from keras_dprp.live.variables import set_value


def optimizers_of(model) -> Iterator[keras.optimizers.Optimizer]:
    """The optimizer of a model and those it wraps."""
    waiting = [getattr(model, "optimizer", None)]
    while waiting:
        optimizer = waiting.pop()
        if optimizer is not None:
            yield optimizer
            # A LossScaleOptimizer wraps one, a MultiOptimizer several.
            waiting.append(getattr(optimizer, "inner_optimizer", None))
            waiting.extend(getattr(optimizer, "optimizers", ()))


def check_slots(model):
    """Raise a ValueError where an optimizer's slots could not follow new ranks."""
    for optimizer in optimizers_of(model):
        unknown = slots.unknown_slots(optimizer)
        if unknown:
            raise ValueError(
                "The optimizer must keep its slots in lists with one variable for "
                "every trainable variable, as Keras's optimizers do, so that they can "
                f"follow new ranks. Received: {type(optimizer).__name__} with slots in "
                f"{unknown}"
            )


def place_weight_decay(model, layer):
    """Have weight decay reach a layer's kernel, or s in its place; never U and V.

    What the user has excluded stays so: s is treated as the kernel. The optimizer's
    own cache of answers is used, since `exclude_from_weight_decay` would overwrite the
    user's choice.

    Args:
        model: A model that holds the layer.
        layer: A built `SVDLayer`.

    Returns:
        Whether this changed what an optimizer would decay.
    """
    factors = layer.state_variables()
    changed = False
    for optimizer in optimizers_of(model):
        known = vars(optimizer).get("_exclude_from_weight_decay_cache", {})
        with AutocastScope(None):  # The kernel, not a tensor cast from it.
            decays = optimizer._use_weight_decay(factors["kernel"])
        answers = {
            optimizer._var_key(factors["U"]): False,
            optimizer._var_key(factors["V"]): False,
            optimizer._var_key(factors["s"]): decays,
        }
        if not answers.items() <= known.items():
            changed = True
            _replace(
                optimizer, "_exclude_from_weight_decay_cache", {**known, **answers}
            )
    return changed


def apply(optimizers, change):
    """Give a layer's variables their new values, and what optimizers keep of them.

    Args:
        optimizers: A list of optimizers; those not built yet keep nothing.
        change: A `Change`.
    """
    variables = change.variables.values()
    keys = [[optimizer._var_key(v) for v in variables] for optimizer in optimizers]
    for optimizer in optimizers:
        if optimizer.built:
            for slot, value in slots.follow(optimizer, change):
                set_value(slot, value)
    for name, variable in change.variables.items():
        set_value(variable, change.values[name])
    for optimizer, old in zip(optimizers, keys, strict=True):
        new = [optimizer._var_key(variable) for variable in variables]
        _rename_keys(optimizer, dict(zip(old, new, strict=True)))


def _rename_keys(optimizer, names):
    """TensorFlow keys by the `tf.Variable`, which a new shape has replaced."""
    names = {old: new for old, new in names.items() if old != new}
    for attribute, value in list(vars(optimizer).items()):
        if isinstance(value, dict) and names.keys() & value.keys():
            renamed = {names.get(key, key): each for key, each in value.items()}
            _replace(optimizer, attribute, renamed)
        elif isinstance(value, set) and names.keys() & value:
            _replace(optimizer, attribute, {names.get(key, key) for key in value})


def _replace(optimizer, attribute, value):
    """Set a fresh dict or set, past TensorFlow's tracking.

    TensorFlow refuses to save an object with a tracked dict that was changed.
    """
    vars(optimizer)[attribute] = value

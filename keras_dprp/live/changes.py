"""Layers that take another state, and all that depends on their variables."""

import contextlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_dprp.live import models, optimizers
from keras_dprp.live.variables import set_value


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
    source: Any = None
    matrix: Any = None

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


def apply(changes_by_layer):
    """Give layers new values and shapes, and all that depends on them.

    Args:
        changes_by_layer: Dict from a layer to its `Change`.

    Raises:
        ValueError: If devices cannot share a new rank; nothing is changed then.
    """
    for layer, change in changes_by_layer.items():
        _check_layouts(layer, change)
    holding = list(
        dict.fromkeys(m for x in changes_by_layer for m in models.holders(x))
    )
    for model in holding:
        models.newest_values(model)
    # New values in old shapes need no new compilation.
    reshaped = any(map(_reshapes, changes_by_layer.values()))
    known = {id(o): o for model in holding for o in optimizers.optimizers_of(model)}
    with _strategy_scope(holding):
        for change in changes_by_layer.values():
            optimizers.apply(list(known.values()), change)
    for layer in changes_by_layer:
        for model in models.holders(layer):
            layer.settle_in(model)
    if reshaped:
        for model in holding:
            models.forget_compiled(model)


def set_plain_value(layer, variable, value):
    """Give a variable that no optimizer trains a value of another shape."""
    with _strategy_scope(models.holders(layer)):
        set_value(variable, value)
    models.retrace(layer)


def _check_layouts(layer, change):
    """Raise a ValueError where devices share an axis that cannot be divided."""
    for name, variable in change.variables.items():
        layout = variable._layout
        if layout is None or layout.axes[-1] is None:
            continue
        mesh, rank = layout.device_mesh, np.shape(change.values[name])[-1]
        devices = mesh.shape[mesh.axis_names.index(layout.axes[-1])]
        if rank % devices:
            raise ValueError(
                f"{devices} devices share the ranks of '{variable.path}', so these "
                f"must be multiples of {devices}: pass `multiple_of={devices}`, or a "
                "layout map that leaves the last axes of U, s and V whole. "
                f"Received: rank {rank} for layer '{layer.name}'"
            )


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

"""The state of a layer, told by shapes: dense, or factorised of some rank.

Dense, `kernel` has the stock shape and U, s, V are empty. Factorised, these have as
many columns as the rank, and `kernel` is empty. Files and lists of weights say it too.
"""

import keras
import numpy as np
from keras import ops

from keras_dprp.live import changes, models, optimizers

FACTORS = ("U", "s", "V")
STATE = ("kernel", *FACTORS)


class StateLayer(keras.layers.Layer):
    """A layer with variables `kernel`, `U`, `s`, `V` of which some are empty.

    Subclasses set `_kernel`, `U`, `s`, `V`, and `matrix`, a `KernelMatrix`.
    """

    @property
    def is_dense(self):
        """Whether the kernel is a dense one now."""
        return 0 not in self._kernel.shape

    def _unused(self):
        """Zero, for gradients of what is empty: Keras warns where there are none."""
        empty = [v for v in self.state_variables().values() if 0 in v.shape]
        return sum(ops.sum(ops.cast(variable, "float32")) for variable in empty)

    # What `live/models.py` asks of layers whose variables change shape.

    def state_variables(self):
        """The variables that change shape, by name."""
        return dict(zip(STATE, (self._kernel, self.U, self.s, self.V), strict=True))

    def settle_in(self, model):
        return optimizers.place_weight_decay(model, self)

    def check_values(self, values):
        """Raise a ValueError unless arrays by name are a state of this layer."""
        matrix = self.matrix
        shapes = {name: tuple(values[name].shape) for name in STATE}
        rank = shapes["s"][-1] if shapes["s"] else 0
        dense, factorised = matrix.state_shapes(None), matrix.state_shapes(rank)
        if shapes == dense or (shapes == factorised and 0 < rank <= matrix.full_rank):
            return
        largest = matrix.state_shapes(matrix.full_rank)
        raise ValueError(
            f"Layer '{self.name}' expected the weights of a dense kernel, of shapes "
            f"{dense}, or factors of at most full rank, of shapes {largest}. "
            f"Received: shapes {shapes}"
        )

    def load_values(self, values):
        """Take checked values of any state; slots of another one begin anew."""
        variables = self.state_variables()
        if any(values[n].shape != tuple(v.shape) for n, v in variables.items()):
            changes.apply({self: changes.Change(variables, values)})
            return
        for name, variable in variables.items():
            variable.assign(values[name])

    # Saving.

    def set_weights(self, weights):
        models.take_states(self, [self], weights)
        super().set_weights(weights)

    def save_own_variables(self, store):
        for name, variable in self._own_variables().items():
            store[name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load a checkpoint of any state: variables (and slots) take its shapes."""
        if not self.built:
            raise ValueError(
                f"Layer '{self.name}' must be built before it takes weights: call the "
                "model on a batch of data first. Received: an unbuilt layer"
            )
        variables = self._own_variables()
        missing = sorted(set(variables) - set(store.keys()))
        if missing:
            raise ValueError(
                f"Layer '{self.name}' expected the checkpoint of a factorised layer, "
                f"with {sorted(variables)}. Received: one with {sorted(store.keys())}"
            )
        values = {name: np.asarray(store[name]) for name in variables}
        state = {name: values.pop(name) for name in STATE}
        self.check_values(state)
        for name, value in values.items():
            if value.shape != tuple(variables[name].shape):
                hint = (
                    ". The layer had other penalties: factorise with the same "
                    "`structure` and `compression`, or load the whole model"
                )
                raise ValueError(
                    f"Layer '{self.name}' expected '{name}' of shape "
                    f"{tuple(variables[name].shape)}. Received: shape {value.shape}"
                    f"{hint if name.startswith('penalty') else ''}"
                )
        self.load_values(state)
        for name, value in values.items():
            variables[name].assign(value)

    def _own_variables(self):
        """Variables by name, without those of a layer used as activation."""
        others = {id(v) for v in getattr(self.activation, "variables", ())}
        return {v.name: v for v in self.variables if id(v) not in others}


class UnlessEmpty(keras.regularizers.Regularizer):
    """A regularizer that says nothing of a kernel that factors stand in for."""

    def __init__(self, regularizer):
        self.regularizer = regularizer

    @classmethod
    def of(cls, regularizer):
        """One around a regularizer, None where there is none."""
        return None if regularizer is None else cls(regularizer)

    def __call__(self, kernel):
        return ops.zeros(()) if 0 in kernel.shape else self.regularizer(kernel)

"""The base of factorised layers: a kernel that is dense, or U diag(s) Vᵀ."""

import functools
import math

import keras
import numpy as np
from keras import ops

from keras_dprp import svd
from keras_dprp.copies import attribute_of, twin_config
from keras_dprp.layers.initial_state import check_rank, initial_state, resolve_rank
from keras_dprp.layers.kind import Kind
from keras_dprp.layers.penalized_layer import PenalizedLayer
from keras_dprp.layers.state import FACTORS, StateLayer, UnlessEmpty
from keras_dprp.live import changes, models

# Below this share of the dense multiply-accumulates two convolutions beat one with
# the merged kernel in training; above it the extra activation costs more than it saves.
PAIR_PAYS_BELOW = 0.5
# On an accelerator, where arithmetic is cheap and memory traffic is not, they only do
# in place of a kernel of so many numbers, which is dear to merge (training_time.md).
LARGE_KERNEL = 3 * 3 * 128 * 128


class SVDLayer(Kind, StateLayer, PenalizedLayer):
    """A layer whose kernel is dense, or the product U diag(s) Vᵀ of the current rank.

    Shapes say which: what is unused is empty. Dense, the layer computes and learns as
    its stock twin. Subclasses say what a `Kind` says.

    Args:
        arguments: Dict with those of the stock layer, by name.
        rank: None (dense), an int, or a float in (0, 1], a share of the full rank.
        structure: None, a name, a penalty object, or a list of them.
        compression: Likewise.

    Attributes:
        U: Variable of shape `(rows, rank)`; with groups `(groups, rows, rank)`.
        s: Variable of shape `(rank,)`; with groups `(groups, rank)`. Ones at an event,
            and U and V share the singular values; with penalties it has them alone.
        V: Variable of shape `(columns, rank)`; with groups `(groups, columns, rank)`.
        matrix: The `KernelMatrix` of the kernel.
    """

    def __init__(self, arguments, rank, structure, compression, **kwargs):
        # The stock layer checks the arguments and brings them into standard form.
        # Named, so that it takes no automatic name away from the user's layers.
        given = {name: arguments[name] for name in self.stock_arguments}
        stock = self.stock_class(**given, name="stock")
        super().__init__(
            structure,
            compression,
            activity_regularizer=stock.activity_regularizer,
            **kwargs,
        )
        if stock.kernel_constraint is not None:
            raise ValueError(
                f"{type(self).__name__} does not take a kernel constraint: it cannot "
                "act on a product of factors. Use a kernel regularizer, or the stock "
                f"layer. Received: kernel_constraint={stock.kernel_constraint}"
            )
        for argument in self.stock_arguments:
            if argument != "activity_regularizer":
                name = attribute_of(argument)
                setattr(self, name, getattr(stock, name))
        self.requested_rank = check_rank(rank)
        self.supports_masking = stock.supports_masking
        self.input_spec = stock.input_spec
        # A method, which Keras does not track; the stock layer is no part of this one.
        self._stock_output_shape = stock.compute_output_shape

    def build(self, input_shape):
        self.input_spec = self.spec_for(input_shape)
        for axis, size in self.input_spec.axes.items():
            if size is None:
                raise ValueError(
                    f"Layer '{self.name}' needs an input whose axis {axis} has a known "
                    f"size. Received: input_shape={tuple(input_shape)}"
                )
        self.matrix = self.kernel_matrix(input_shape)
        self.built_input_shape = tuple(input_shape)
        rank = resolve_rank(self.requested_rank, self.matrix.full_rank, self.name)
        drawn = self.initializer_for(input_shape)
        state = initial_state(self.matrix, rank, drawn, self.is_balanced)
        for name, (shape, initializer) in state.items():
            # Products are formed in float32 whatever the policy; a dense kernel is
            # cast as the stock layer's.
            of_kernel = name == "kernel"
            weight = self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                regularizer=UnlessEmpty.of(self.kernel_regularizer)
                if of_kernel
                else None,
                autocast=of_kernel,
            )
            setattr(self, "_kernel" if name == "kernel" else name, weight)
        self.bias = None
        if (shape := self.bias_shape(input_shape)) is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self._build_penalties(rank or self.matrix.full_rank)
        self.built = True

    def call(self, inputs, training=None):
        models.note_caller(self)
        self._add_losses_once(training)
        if not self.is_dense and self.trains_as_pair():
            U, s, V = self.factors()
            first = U * s[..., None, :] + self._unused()
            pair = (ops.cast(factor, self.compute_dtype) for factor in (first, V))
            outputs = self.apply_pair(inputs, *pair)
        else:
            kernel = ops.cast(self.kernel, self.compute_dtype)
            unused = ops.cast(self._unused(), self.compute_dtype)
            outputs = self.apply_kernel(inputs, kernel + unused)
        if self.bias is not None:
            outputs = ops.add(outputs, self.broadcast_bias())
        return self.activation(outputs) if self.activation is not None else outputs

    def compute_output_shape(self, input_shape):
        return self._stock_output_shape(input_shape)

    # Its state.

    @property
    def rank(self):
        """The rank now, full while dense (before `build`: the one asked for)."""
        if not self.built:
            return self.requested_rank
        return self.matrix.full_rank if self.is_dense else int(self.s.shape[-1])

    @property
    def full_rank(self):
        """The largest rank the kernel matrix can have."""
        return self.matrix.full_rank

    @property
    def kernel(self):
        """The dense kernel, or the product U diag(s) Vᵀ as a float32 tensor."""
        if not self.built:
            raise AttributeError(f"Build layer '{self.name}' before its `kernel`.")
        if self.is_dense:
            return self._kernel
        U, s, V = self.factors()
        product = ops.matmul(U * s[..., None, :], ops.swapaxes(V, -1, -2))
        return self.matrix.to_kernel(product)

    def factors(self):
        """U, s and V as float32 tensors."""
        return tuple(ops.cast(factor, "float32") for factor in (self.U, self.s, self.V))

    @property
    def is_balanced(self):
        """Whether U and V share the singular values; penalties want these in s."""
        return not self.terms

    def decompose(self):
        """The exact SVD of the kernel now: a decomposition of `svd.py`."""
        if self.is_dense:
            kernel = ops.convert_to_numpy(self._kernel)
            matrix = ops.convert_to_numpy(self.matrix.to_matrix(kernel))
            return svd.decompose_kernel(matrix)
        return svd.decompose_factors(*map(ops.convert_to_numpy, self.factors()))

    def change_to(self, decomposition):
        """The `Change` that gives the layer the factors of a decomposition of it."""
        if self.is_balanced:
            decomposition = svd.BalancedDecomposition(decomposition)
        values = {name: getattr(decomposition, name) for name in FACTORS}
        rank = decomposition.s.shape[-1]
        values["kernel"] = np.zeros(self.matrix.state_shapes(rank)["kernel"])
        return changes.Change(
            self.state_variables(), values, decomposition, self.matrix
        )

    def trains_as_pair(self):
        """Whether the forward pass in training uses both factors, or their product."""
        if _on_accelerator() and math.prod(self.matrix.kernel_shape) < LARGE_KERNEL:
            return False
        share = self.matrix.pair_share(self.built_input_shape, self.rank)
        return share <= PAIR_PAYS_BELOW

    # Saving.

    def stock_layer(self):
        """A fresh stock layer of the same arguments, kernel aside."""
        return self.stock_class(**twin_config(self, self.stock_arguments))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        stock = {
            # Dense leaves this one out of its own configuration.
            "activity_regularizer": serialize(self.activity_regularizer),
            **self.stock_layer().get_config(),
            # The stock layer has a copy, and not what a file needs to build it.
            "activation": keras.activations.serialize(self.activation),
        }
        return {
            **super().get_config(),
            **{name: stock[name] for name in self.stock_arguments},
            "rank": None if self.built and self.is_dense else self.rank,
            "structure": [serialize(penalty) for penalty in self.structure],
            "compression": [serialize(penalty) for penalty in self.compression],
        }


@functools.cache
def _on_accelerator():
    """Whether Keras trains on a GPU or TPU; some backends cannot tell."""
    if keras.backend.backend() not in ("jax", "tensorflow"):
        return False
    return not keras.distribution.list_devices()[0].startswith("cpu")

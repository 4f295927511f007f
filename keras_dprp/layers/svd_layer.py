"""The base of factorised layers: a kernel held as U diag(s) Vᵀ."""

import functools

import keras
import numpy as np
from keras import ops

from keras_dprp import resize
from keras_dprp.cloning import twin_config
from keras_dprp.decomposition import decompose
from keras_dprp.layers import checkpoint, learning
from keras_dprp.layers.penalized_layer import PenalizedLayer
from keras_dprp.layers.rank_argument import check_rank, resolve_rank
from keras_dprp.layers.spectral_initializer import SpectralInitializer

# Below this share of the dense multiply-accumulates two convolutions beat one with
# the merged kernel in training; above it the extra activation costs more than it saves.
PAIR_PAYS_BELOW = 0.5
# On an accelerator, where arithmetic is cheap and memory traffic is not, they only do
# in place of a kernel of so many numbers, which is dear to merge (training_time.md).
LARGE_KERNEL = 3 * 3 * 128 * 128


class SVDLayer(PenalizedLayer):
    """A layer whose kernel is the product U diag(s) Vᵀ of the current rank.

    Subclasses name their stock twin in `stock_class`, say how its kernel is read as a
    matrix, and apply it; everything that concerns factors, ranks and penalties is
    here. `layer.kernel` is the product, of the stock layer's kernel shape.

    Args:
        stock: The stock Keras layer of the same arguments.
        rank: None (full), an int, or a float in (0, 1], a share of the full rank.
        structure: None, a name, a penalty object, or a list of them.
        compression: Likewise.

    Attributes:
        U: Variable of shape `(rows, rank)`; with groups `(groups, rows, rank)`.
        s: Variable of shape `(rank,)`; with groups `(groups, rank)`.
        V: Variable of shape `(columns, rank)`; with groups `(groups, columns, rank)`.
        learns_dense: Whether the kernel learns by itself now. U or V is the kernel
            matrix then, the other one the identity, and s is all ones.
    """

    stock_class: type[keras.layers.Layer]
    stock_arguments: tuple[str, ...]
    groups = 1

    def __init__(self, stock, rank, structure, compression, **kwargs):
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
                setattr(self, argument, getattr(stock, argument))
        self.requested_rank = check_rank(rank)
        self.learns_dense = False
        self.supports_masking = stock.supports_masking
        self.input_spec = stock.input_spec
        # A method, which Keras does not track; the stock layer is no part of this one.
        self._stock_output_shape = stock.compute_output_shape

    # What a subclass says of its kernel.

    @property
    def channel_axis(self):
        """Which axis of the inputs has the channels."""
        return -1

    def check_input(self, input_shape):
        """Raise where the layer cannot be built for inputs of this shape."""

    def kernel_shape(self, input_shape):
        """Shape of the stock layer's kernel."""
        raise NotImplementedError

    def matrix_shape(self):
        """Rows and columns of the kernel matrix (of one group)."""
        raise NotImplementedError

    def to_matrix(self, kernel):
        """The kernel as a matrix."""
        raise NotImplementedError

    def to_kernel(self, matrix):
        """The matrix as a kernel."""
        raise NotImplementedError

    def dense_macs(self, input_shape):
        """MACs for one sample with the merged kernel."""
        raise NotImplementedError

    def pair_macs(self, input_shape, rank=None):
        """MACs for one sample with two layers, at `rank` (default: now)."""
        raise NotImplementedError

    def apply_kernel(self, inputs, kernel):
        """Outputs, before bias and activation, with the merged kernel."""
        raise NotImplementedError

    def apply_pair(self, inputs, first, second):
        """Outputs, before bias and activation, with the two factors."""
        raise NotImplementedError

    # The layer.

    def build(self, input_shape):
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise ValueError(
                f"Layer '{self.name}' needs an input whose axis {self.channel_axis} "
                f"has a known size. Received: input_shape={tuple(input_shape)}"
            )
        self.input_spec = keras.InputSpec(
            min_ndim=self.input_spec.min_ndim, axes={self.channel_axis: channels}
        )
        self.check_input(input_shape)
        self.built_input_shape = tuple(input_shape)
        self._kernel_shape = self.kernel_shape(input_shape)
        rows, columns = self.matrix_shape()
        rank = resolve_rank(self.requested_rank, min(rows, columns), self.name)
        self._build_factors(rows, columns, rank)
        self._build_bias()
        self._build_penalties(rank)
        self.built = True

    def _build_factors(self, rows, columns, rank):
        lead = (self.groups,) if self.groups > 1 else ()
        spectral = SpectralInitializer(
            self.kernel_initializer, self._kernel_shape, self.to_matrix
        )
        for name, shape in (
            ("U", (*lead, rows, rank)),
            ("s", (*lead, rank)),
            ("V", (*lead, columns, rank)),
        ):
            # Products and penalties are formed in float32 whatever the policy.
            weight = self.add_weight(
                name=name,
                shape=shape,
                initializer=spectral.factor(name),
                autocast=False,
            )
            setattr(self, name, weight)

    def _build_bias(self):
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self._kernel_shape[-1],),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs, training=None):
        resize.note_caller(self)
        self._add_penalty_once(training)
        if self.trains_as_pair():
            U, s, V = self._learning_factors()
            outputs = self.apply_pair(
                inputs,
                ops.cast(U * s[..., None, :], self.compute_dtype),
                ops.cast(V, self.compute_dtype),
            )
        else:
            kernel = ops.cast(self.kernel, self.compute_dtype)
            outputs = self.apply_kernel(inputs, kernel)
        if self.bias is not None:
            outputs = outputs + self._broadcast_bias()
        return self.activation(outputs) if self.activation is not None else outputs

    def _broadcast_bias(self):
        return ops.convert_to_tensor(self.bias)

    def compute_output_shape(self, input_shape):
        return self._stock_output_shape(input_shape)

    # Factors and ranks.

    @property
    def rank(self):
        """The rank now (before `build`: the one asked for)."""
        return int(self.s.shape[-1]) if self.built else self.requested_rank

    @property
    def full_rank(self):
        """The largest rank the kernel matrix can have."""
        return min(self.matrix_shape())

    def factors(self):
        return tuple(ops.cast(factor, "float32") for factor in (self.U, self.s, self.V))

    def _learning_factors(self):
        U, s, V = self.factors()
        return learning.learning_factors(U, s, V, self.learns_dense)

    @property
    def kernel(self):
        """The product U diag(s) Vᵀ as a float32 tensor of the stock kernel's shape."""
        if not self.built:
            raise AttributeError(f"Build layer '{self.name}' before its `kernel`.")
        U, s, V = self._learning_factors()
        return self.to_kernel(ops.matmul(U * s[..., None, :], ops.swapaxes(V, -1, -2)))

    def decompose(self):
        """The exact SVD of the product, a `Decomposition` of float64 arrays."""
        return decompose(*(ops.convert_to_numpy(factor) for factor in self.factors()))

    @property
    def decaying(self):
        """The one of the factors that an optimizer's weight decay is for."""
        if not self.learns_dense:
            return self.s
        return self.U if learning.is_in_U(self.U, self.V) else self.V

    def learn_dense(self, dense):
        """Have the kernel learn by itself, or by its factors.

        Args:
            dense: Bool. The factors, and slots, are to be what that needs: see
                `layers/changes.py`.
        """
        if dense != self.learns_dense:
            self.learns_dense = dense
            resize.place_weight_decay(self)
            resize.retrace(self)

    def recognize_learning(self):
        """Have the kernel learn as it did when factors like these were saved.

        If that is otherwise than now, slots begin anew.
        """
        values = [ops.convert_to_numpy(factor) for factor in self.factors()]
        dense = learning.is_dense(*values)
        if dense != self.learns_dense:
            changes = map(resize.Change, (self.U, self.s, self.V), values)
            resize.apply([self], list(changes))
            self.learn_dense(dense)

    def singular_values(self):
        """|s| in descending order, `(rank,)` or `(groups, rank)`, float64."""
        # Without a decomposition of what is not finite, as at any time.
        if self.learns_dense and np.isfinite(ops.convert_to_numpy(self.kernel)).all():
            return self.decompose().s
        s = np.abs(ops.convert_to_numpy(self.s).astype("float64"))
        return -np.sort(-s, axis=-1)

    # Costs.

    def dense_parameters(self):
        """Parameters of the kernel as one dense kernel."""
        rows, columns = self.matrix_shape()
        return self.groups * rows * columns

    def pair_parameters(self, rank=None):
        """Parameters of the kernel as two, at `rank` (default: now)."""
        return self.groups * sum(self.matrix_shape()) * (rank or self.rank)

    def pair_is_cheaper(self, rank=None):
        """Whether two layers of `rank` need fewer MACs than the dense one."""
        return self._pair_share(rank) < 1

    def trains_as_pair(self):
        """Whether the forward pass in training uses both factors, or their product."""
        if _on_accelerator() and self.dense_parameters() < LARGE_KERNEL:
            return False
        return self._pair_share() <= PAIR_PAYS_BELOW

    def _pair_share(self, rank=None):
        shape = self.built_input_shape
        return self.pair_macs(shape, rank) / self.dense_macs(shape)

    # Saving.

    def stock_config(self):
        """Arguments of the stock layer with the same outputs, kernel aside."""
        return twin_config(self, self.stock_arguments)

    def stock_layer(self):
        """A fresh stock layer of the same arguments."""
        return self.stock_class(**self.stock_config())

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        stock = {
            # Dense leaves this one out of its own configuration.
            "activity_regularizer": serialize(self.activity_regularizer),
            **self.stock_layer().get_config(),
        }
        return {
            **super().get_config(),
            **{name: stock[name] for name in self.stock_arguments},
            "rank": self.rank,
            "structure": [serialize(penalty) for penalty in self.structure],
            "compression": [serialize(penalty) for penalty in self.compression],
        }

    def set_weights(self, weights):
        super().set_weights(weights)
        self.recognize_learning()

    def save_own_variables(self, store):
        for name, variable in self._own_variables().items():
            store[name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load a checkpoint of any rank: variables (and slots) take its shapes."""
        variables = self._own_variables()
        values = checkpoint.read(self.name, variables, store, self.full_rank)
        factors = {name: values.pop(name) for name in checkpoint.FACTORS}
        resize.load_factors(self, factors)
        for name, value in values.items():
            variables[name].assign(value)

    def _own_variables(self):
        """Variables by name, without those of a layer used as activation."""
        others = {id(v) for v in getattr(self.activation, "variables", ())}
        return {v.name: v for v in self.variables if id(v) not in others}


@functools.cache
def _on_accelerator():
    """Whether Keras trains on a GPU or TPU; some backends cannot tell."""
    if keras.backend.backend() not in ("jax", "tensorflow"):
        return False
    return not keras.distribution.list_devices()[0].startswith("cpu")

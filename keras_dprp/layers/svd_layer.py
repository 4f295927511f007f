"""The base of factorised layers: a kernel held as U diag(s) Vᵀ."""

import keras
import numpy as np
from keras import ops

from keras_dprp import penalties, resize
from keras_dprp.decomposition import decompose
from keras_dprp.layers.spectral_initializer import SpectralInitializer

# Below this share of the dense multiply-accumulates two convolutions beat one with
# the merged kernel in training; above it the extra activation costs more than it saves.
PAIR_PAYS_BELOW = 0.5


class SVDLayer(keras.layers.Layer):
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
        penalty_weights: Variable: the current weight of every term of `structure`,
            then of `compression`. It can change in training without a retrace.
        kept_rank: Variable: how many singular values the pruning rule would keep now.
    """

    stock_class: type[keras.layers.Layer]
    stock_arguments: tuple[str, ...]
    groups = 1

    def __init__(self, stock, rank, structure, compression, **kwargs):
        super().__init__(activity_regularizer=stock.activity_regularizer, **kwargs)
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
        self.structure = penalties.get(structure, penalties.STRUCTURE, "structure")
        self.compression = penalties.get(
            compression, penalties.COMPRESSION, "compression"
        )
        self.supports_masking = stock.supports_masking
        self._penalty = None

    # What a subclass says of its kernel.

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
        """MACs for one sample with two layers, at `rank` (default: the rank now)."""
        raise NotImplementedError

    def apply_kernel(self, inputs, kernel):
        """Outputs, before bias and activation, with the merged kernel."""
        raise NotImplementedError

    def apply_pair(self, inputs, first, second):
        """Outputs, before bias and activation, with the two factors."""
        raise NotImplementedError

    # The layer.

    def build(self, input_shape):
        self.built_input_shape = tuple(input_shape)
        self._kernel_shape = self.kernel_shape(input_shape)
        rows, columns = self.matrix_shape()
        rank = resolve_rank(self.requested_rank, min(rows, columns), self.name)
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
        self._build_bias()
        self._build_penalties(rank)
        self.built = True

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

    def _build_penalties(self, rank):
        weights = self.configured_penalty_weights()
        self.penalty_weights = self.add_weight(
            name="penalty_weights",
            shape=(len(weights),),
            initializer=lambda shape, dtype: ops.convert_to_tensor(weights, dtype),
            dtype="float32",
            autocast=False,
            trainable=False,
        )
        self.kept_rank = self.add_weight(
            name="kept_rank",
            shape=(),
            initializer=keras.initializers.Constant(rank),
            dtype="float32",
            autocast=False,
            trainable=False,
        )

    def call(self, inputs):
        self._add_penalty_once()
        if self.trains_as_pair():
            U, s, V = self.factors()
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
        return self.stock_layer().compute_output_shape(input_shape)

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
        """U, s and V as float32 tensors."""
        return tuple(ops.cast(factor, "float32") for factor in (self.U, self.s, self.V))

    @property
    def kernel(self):
        """The product U diag(s) Vᵀ as a float32 tensor of the stock kernel's shape."""
        if not self.built:
            raise AttributeError(
                f"Build layer '{self.name}' before reading its `kernel`."
            )
        U, s, V = self.factors()
        return self.to_kernel(
            ops.matmul(U * s[..., None, :], ops.swapaxes(V, -1, -2))
        )

    def decompose(self):
        """The exact SVD of the product, a `Decomposition` of float64 arrays."""
        return decompose(*(ops.convert_to_numpy(factor) for factor in self.factors()))

    def changes(self, decomposition):
        """What becomes of U, s and V under a (truncated) decomposition."""
        new = decomposition
        return [
            resize.Change(*change)
            for change in zip(
                (self.U, self.s, self.V),
                (new.U, new.s, new.V),
                new.gradient_maps(),
                new.weight_maps(),
                strict=True,
            )
        ]

    def singular_values(self):
        """|s| in descending order, `(rank,)` or `(groups, rank)`, float64."""
        s = np.abs(ops.convert_to_numpy(self.s).astype("float64"))
        return -np.sort(-s, axis=-1)

    # Costs.

    def dense_parameters(self):
        """Parameters of the kernel as one dense kernel."""
        rows, columns = self.matrix_shape()
        return self.groups * rows * columns

    def pair_parameters(self, rank=None):
        """Parameters of the kernel as two, at `rank` (default: the rank now)."""
        return self.groups * sum(self.matrix_shape()) * (rank or self.rank)

    def pair_is_cheaper(self, rank=None):
        """Whether two layers of `rank` need fewer MACs than the dense one."""
        return self._pair_share(rank) < 1

    def trains_as_pair(self):
        """Whether the forward pass in training uses both factors, or their product."""
        return self._pair_share() <= PAIR_PAYS_BELOW

    def _pair_share(self, rank=None):
        shape = self.built_input_shape
        return self.pair_macs(shape, rank) / self.dense_macs(shape)

    # Penalties.

    def configured_penalty_weights(self):
        """The weights the penalty objects were made with, structure first."""
        return [float(p.weight) for p in (*self.structure, *self.compression)]

    def set_penalties(self, structure, compression):
        """Switch the structure and the compression terms on or off.

        Args:
            structure: Bool.
            compression: Bool.
        """
        switch = [structure] * len(self.structure)
        switch += [compression] * len(self.compression)
        weights = np.multiply(self.configured_penalty_weights(), switch)
        self.penalty_weights.assign(weights.astype("float32"))

    def structure_penalty(self):
        """What the structure terms add to the loss when they are on, a scalar."""
        return self._weighted_sum(self.structure)

    def compression_penalty(self):
        """What the compression terms add to the loss when they are on, a scalar."""
        return self._weighted_sum(self.compression)

    def _weighted_sum(self, terms):
        factors = self.factors()
        return sum(float(p.weight * p(*factors, self.kept_rank)) for p in terms)

    def _penalties(self):
        terms = []
        if self.structure or self.compression:
            factors, kept_rank = self.factors(), ops.convert_to_tensor(self.kept_rank)
            values = [p(*factors, kept_rank) for p in (*self.structure, *self.compression)]
            terms.append(ops.sum(self.penalty_weights * ops.stack(values)))
        if self.kernel_regularizer is not None:
            terms.append(self.kernel_regularizer(self.kernel))
        return terms

    def _add_penalty_once(self):
        """Add the penalties unless an earlier call of this step has added them.

        A layer that is used twice in a model is called twice a step, and its factors
        would pay twice. Keras forgets the losses when the outermost call of the next
        step begins, so what is still in `losses` is of this step.
        """
        if any(loss is self._penalty for loss in self.losses):
            return
        terms = self._penalties()
        if terms:
            self._penalty = sum(terms)
            self.add_loss(self._penalty)

    # Saving.

    def stock_config(self):
        """Arguments of the stock layer with the same outputs, kernel aside."""
        config = {name: getattr(self, name) for name in self.stock_arguments}
        return {
            **config,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy,
        }

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

    def save_own_variables(self, store):
        for variable in self.variables:
            store[variable.name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load a checkpoint of any rank: variables (and slots) take its shapes."""
        factors = {name: np.asarray(store[name]) for name in ("U", "s", "V")}
        expected = tuple(self.U.shape[:-1])
        if factors["U"].shape[:-1] != expected:
            raise ValueError(
                f"Layer '{self.name}' expected a factor U of shape "
                f"{(*expected, 'rank')}. Received: shape {factors['U'].shape}"
            )
        resize.load_factors(self, factors)
        for variable in self.variables:
            if variable.name not in factors:
                variable.assign(np.asarray(store[variable.name]))


def check_rank(rank):
    """Return `rank` if it is None, an int >= 1 or a float in (0, 1]."""
    if rank is None:
        return rank
    if isinstance(rank, bool) or not isinstance(rank, (int, float, np.integer)):
        raise TypeError(
            "`rank` must be None (full), an int, or a float in (0, 1]. "
            f"Received: rank={rank!r} (of type {type(rank).__name__})"
        )
    if isinstance(rank, float) and not 0 < rank <= 1:
        raise ValueError(
            f"A float `rank` is a share of the full rank, in (0, 1]. Received: {rank}"
        )
    if not isinstance(rank, float) and rank < 1:
        raise ValueError(f"`rank` must be at least 1. Received: rank={rank}")
    return rank if isinstance(rank, float) else int(rank)


def resolve_rank(rank, full_rank, layer_name):
    """The rank as an int between 1 and the full rank."""
    if rank is None:
        return full_rank
    if isinstance(rank, float):
        return max(1, round(rank * full_rank))
    if rank > full_rank:
        raise ValueError(
            f"`rank` of layer '{layer_name}' must be at most its full rank "
            f"{full_rank}. Received: rank={rank}"
        )
    return rank

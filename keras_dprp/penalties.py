"""What `add_loss` adds to the task loss: structure and compression terms.

The seed of these terms is the training objective of DPRP; its equations are
reconstructed, so every term is a small object of its own that can be replaced.
"""

import keras
from keras import ops

from keras_dprp import arguments

_EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="keras_dprp")
class Penalty:
    """One term of the training objective, computed from a layer's factors.

    Subclasses implement `__call__(U, s, V, kept_rank)` and return a scalar. All
    arguments are float32 tensors: `U` of shape `(rows, rank)`, `s` of shape
    `(rank,)`, `V` of shape `(columns, rank)`, each with a leading axis if the layer
    has groups, and `kept_rank`, a scalar: how many of today's singular values the
    pruning rule would keep in the end.

    Args:
        weight: Float >= 0. What the term is multiplied by.

    Raises:
        TypeError: If `weight` is no number.
        ValueError: If `weight` is negative or not finite.

    Example:
    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class LogSum(keras_dprp.penalties.Penalty):
    ...     def __call__(self, U, s, V, kept_rank):
    ...         return keras.ops.sum(keras.ops.log1p(keras.ops.abs(s)))
    """

    default_weight = 1.0

    def __init__(self, weight=None):
        weight = self.default_weight if weight is None else weight
        self.weight = _finite(weight, "weight")

    def __call__(self, U, s, V, kept_rank):
        raise NotImplementedError

    def get_config(self):
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable(package="keras_dprp")
class Orthogonality(Penalty):
    """(‖UᵀU − I‖² + ‖VᵀV − I‖²) / r²: the columns of both bases stay orthonormal."""

    def __call__(self, U, s, V, kept_rank):
        return (_gram_error(U) + _gram_error(V)) / s.shape[-1] ** 2


@keras.saving.register_keras_serializable(package="keras_dprp")
class Ordering(Penalty):
    """Σ relu(sᵢ₊₁ − sᵢ) + Σ relu(−sᵢ): singular values stay sorted and positive."""

    # Each pair out of order pulls with the whole weight, however little it is off.
    default_weight = 0.001

    def __call__(self, U, s, V, kept_rank):
        steps = s[..., 1:] - s[..., :-1]
        return ops.sum(ops.relu(steps)) + ops.sum(ops.relu(-s))


@keras.saving.register_keras_serializable(package="keras_dprp")
class Hoyer(Penalty):
    """‖s‖₁ / ‖s‖₂ over all s: scale-free, its pull falls on the small ones.

    References:
        [Learning low-rank deep neural networks via singular vector orthogonality
        regularization and singular value sparsification](
        https://arxiv.org/abs/2004.09031)
    """

    default_weight = 0.005

    def __call__(self, U, s, V, kept_rank):
        norm = ops.sqrt(ops.sum(ops.square(s), axis=-1) + _EPSILON)
        return ops.sum(ops.sum(ops.abs(s), axis=-1) / norm)


@keras.saving.register_keras_serializable(package="keras_dprp")
class L1(Penalty):
    """Σ |s| over the minor singular values."""

    default_weight = 0.001

    def __call__(self, U, s, V, kept_rank):
        return ops.sum(_minor(s, kept_rank))


@keras.saving.register_keras_serializable(package="keras_dprp")
class L2(Penalty):
    """Σ s² over the minor singular values."""

    default_weight = 0.001

    def __call__(self, U, s, V, kept_rank):
        return ops.sum(ops.square(_minor(s, kept_rank)))


@keras.saving.register_keras_serializable(package="keras_dprp")
class Funnel(Penalty):
    """Σ |s| / (|s| + a max s) over the minor singular values, a = 0.1.

    Args:
        weight: Float >= 0.
        a: Float > 0. Where the funnel turns from steep to flat, as a share of the
            largest singular value.

    References:
        [A differentiable rank regularizer](https://arxiv.org/abs/2112.03690)
    """

    default_weight = 0.001

    def __init__(self, weight=None, a=0.1):
        super().__init__(weight)
        self.a = _finite(a, "a", zero=False)

    def __call__(self, U, s, V, kept_rank):
        largest = ops.max(ops.abs(s), axis=-1, keepdims=True)
        minor = _minor(s, kept_rank)
        return ops.sum(minor / (minor + self.a * largest + _EPSILON))

    def get_config(self):
        return {**super().get_config(), "a": self.a}


STRUCTURE = {"orthogonality": Orthogonality, "ordering": Ordering}
COMPRESSION = {"hoyer": Hoyer, "l1": L1, "l2": L2, "funnel": Funnel}
# Both terms as the paper has them: `factorize(model, **penalties.PAPER)`.
PAPER = {"structure": ("orthogonality", "ordering"), "compression": "hoyer"}


def get(identifier, known, argument):
    """A list of penalty objects from None, a name, an object, or a list of them."""
    if identifier is None:
        return []
    if isinstance(identifier, (list, tuple)):
        return [x for each in identifier for x in get(each, known, argument)]
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Penalty):
        return [identifier]
    if isinstance(identifier, str) and identifier.lower() in known:
        return [known[identifier.lower()]()]
    raise ValueError(
        f"`{argument}` must be None, one of {sorted(known)}, a penalty object, or a "
        f"list of them. Received: {argument}={identifier!r}"
    )


def _finite(value, name, zero=True):
    """The value as a float, checked."""
    arguments.number(value, name)
    if not 0 <= value < float("inf") or (value == 0 and not zero):
        raise ValueError(
            f"`{name}` of a penalty must be a finite number {'>=' if zero else '>'} 0. "
            f"Received: {name}={value}"
        )
    return float(value)


def _gram_error(factor):
    gram = ops.matmul(ops.swapaxes(factor, -1, -2), factor)
    return ops.sum(ops.square(gram - ops.eye(factor.shape[-1], dtype=factor.dtype)))


def _minor(s, kept_rank):
    """|s| of the minor singular values, zeros in place of the others."""
    descending = -ops.sort(-ops.abs(s), axis=-1)
    position = ops.arange(s.shape[-1], dtype=s.dtype)
    return ops.where(position >= kept_rank, descending, ops.zeros_like(descending))

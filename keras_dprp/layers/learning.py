"""How a layer's kernel learns: by its factors, or by itself as a dense kernel.

- By its factors: U, s and V follow their own gradients, as any weights do.
- Dense: one of U and V is the kernel matrix, or its transpose, and learns. s is all
  ones and the other one the identity, and they stay so. Training is that of the stock
  layer.
"""

import numpy as np
from keras import ops

# Some optimizers compute weights out of their slots, also those that do not learn.
ROUNDING = 1e-4


def dense_factors(U, s, V):
    """What the factors stand for while the kernel learns by itself.

    The values of s and of the basis that is the identity say nothing then: some
    optimizers move, or decay, also what has no gradient.
    """
    s = ops.ones_like(s)
    if is_in_U(U, V):
        return U, s, _identity_like(V)
    return _identity_like(U), s, V


def dense_matrix(U, s, V):
    """The kernel matrix, while it is one of the factors and learns by itself."""
    if is_in_U(U, V):
        return U + _nothing(s, V)
    return ops.swapaxes(V + _nothing(s, U), -1, -2)


def is_in_U(U, V):
    """Whether U has room for the kernel matrix; else its transpose is in V."""
    return U.shape[-2] >= V.shape[-2]


def is_dense(U, s, V):
    """Whether these are what factors are while the kernel learns by itself."""
    other = V if is_in_U(U, V) else U
    return (
        other.shape[-2] == other.shape[-1]
        and np.allclose(s, 1, rtol=0, atol=ROUNDING)
        and np.allclose(other, np.eye(other.shape[-1]), rtol=0, atol=ROUNDING)
    )


def _identity_like(factor):
    return ops.broadcast_to(ops.eye(factor.shape[-1]), factor.shape)


def _nothing(*factors):
    """Zero, with gradients of zero: Keras warns of variables that have none."""
    return 0.0 * sum(ops.sum(factor) for factor in factors)

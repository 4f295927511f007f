"""How a layer's kernel learns: by its factors, or by itself as a dense kernel.

- By its factors: U, s and V follow their own gradients, as any weights do.
- Dense: one of U and V is the kernel matrix, or its transpose, and learns. s is all
  ones and the other one the identity, and they stay so. Training is that of the stock
  layer.

The kernel is the product of the three either way: values say what it is, also those
that were assigned past the layer or that an optimizer has moved.
"""

import numpy as np
from keras import ops

# Some optimizers compute weights out of their slots, also those that do not learn.
ROUNDING = 1e-4


def learning_factors(U, s, V, dense):
    """The factors, with the gradients of the way in which they learn."""
    if not dense:
        return U, s, V
    if is_in_U(U, V):
        return U + _nothing(s, V), ops.stop_gradient(s), ops.stop_gradient(V)
    return ops.stop_gradient(U), ops.stop_gradient(s), V + _nothing(s, U)


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


def _nothing(*factors):
    """Zero, with gradients of zero: Keras warns of variables that have none."""
    return 0.0 * sum(ops.sum(factor) for factor in factors)

"""How a layer's kernel learns: by itself, or by its factors.

- "factors": U, s and V follow their own gradients, as any weights do.
- "kernel": one of the factors is the kernel and learns, the others are ones and do not.
  Training is that of the stock layer.
"""

from keras import ops


def learning_factors(U, s, V, learning):
    """The factors, with the gradients of the way in which they learn."""
    if learning == "factors":
        return U, s, V
    if is_in_U(U, V):
        return U, _held(s), _held(V)
    return _held(U), _held(s), V


def is_in_U(U, V):
    """Whether U has room for the kernel matrix; else its transpose is in V."""
    return U.shape[-2] >= V.shape[-2]


def _held(factor):
    """The factor, with gradients of zero: Keras warns of variables that have none."""
    fixed = ops.stop_gradient(factor)
    return fixed + 0.0 * (factor - fixed)

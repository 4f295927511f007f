"""What a layer begins with: the rank asked for, and variables of that rank."""

import functools

import numpy as np
from keras import ops

from keras_dprp.layers.state import FACTORS
from keras_dprp.svd import BalancedDecomposition, decompose_kernel, root_of


def check_rank(rank):
    """Return `rank` if it is None, an int >= 1 or a float in (0, 1]."""
    if rank is None:
        return rank
    if isinstance(rank, bool) or not isinstance(rank, (int, float, np.integer)):
        raise TypeError(
            "`rank` must be None (dense), an int, or a float in (0, 1]. "
            f"Received: rank={rank!r} (of type {type(rank).__name__})"
        )
    if isinstance(rank, float) and not 0 < rank <= 1:
        raise ValueError(
            f"A float `rank` is a share of the full rank, in (0, 1]. "
            f"Received: rank={rank}"
        )
    if rank < 1 and not isinstance(rank, float):
        raise ValueError(f"`rank` must be at least 1. Received: rank={rank}")
    return rank if isinstance(rank, float) else int(rank)


def resolve_rank(rank, full_rank, layer_name):
    """The rank as an int between 1 and the full rank; None stays None."""
    if isinstance(rank, float):
        return max(1, round(rank * full_rank))
    if rank is not None and rank > full_rank:
        raise ValueError(
            f"`rank` of layer '{layer_name}' must be at most its full rank "
            f"{full_rank}. Received: rank={rank}"
        )
    return rank


def initial_state(matrix, rank, kernel_initializer, balanced):
    """Shapes and initializers of a layer's variables, by name.

    Args:
        matrix: The layer's `KernelMatrix`.
        rank: None for a dense kernel, else an int.
        kernel_initializer: A `keras.initializers.Initializer`; the factors are the
            SVD of what it draws, once for all three of them.
        balanced: Bool. Whether U and V share the singular values.
    """
    shapes = matrix.state_shapes(rank)
    if rank is None:
        initializers = {"kernel": kernel_initializer}
    else:
        draw = _Draw(matrix, kernel_initializer, balanced)
        initializers = {name: functools.partial(draw, name) for name in FACTORS}
    return {n: (shape, initializers.get(n, "zeros")) for n, shape in shapes.items()}


class _Draw:
    """Initializes factors: those of one kernel, drawn and decomposed on the host."""

    def __init__(self, matrix, kernel_initializer, balanced):
        self.matrix, self.kernel_initializer = matrix, kernel_initializer
        self.balanced = balanced
        self._factors: dict = {}

    def __call__(self, name, shape, dtype=None):
        factors = self._factors or self._draw()
        return ops.cast(factors[name][..., : shape[-1]], dtype or "float32")

    def _draw(self):
        kernel = self.kernel_initializer(self.matrix.kernel_shape, dtype="float32")
        matrix = self.matrix.to_matrix(kernel)
        try:
            matrix = np.asarray(ops.convert_to_numpy(matrix))
        except Exception:
            # Keras traces a model, and each backend has an error of its own for a
            # symbolic tensor. Each factor is from a draw of its own then, of the same
            # kernel: initializers have a fixed seed.
            U, s, Vt = ops.svd(matrix, full_matrices=False)
            root = root_of(s, ops) if self.balanced else ops.ones_like(s)
            U, V = (x * root[..., None, :] for x in (U, ops.swapaxes(Vt, -1, -2)))
            return {"U": U, "s": s / root**2, "V": V}
        decomposition = decompose_kernel(matrix)
        if self.balanced:
            decomposition = BalancedDecomposition(decomposition)
        self._factors = {name: getattr(decomposition, name) for name in FACTORS}
        return self._factors

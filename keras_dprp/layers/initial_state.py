"""The variables a layer begins with: a dense kernel, or the factors of one."""

import numpy as np
from keras import ops

from keras_dprp.layers.state import FACTORS
from keras_dprp.svd import decompose_kernel


def initial_state(matrix, rank, kernel_initializer):
    """Shapes and initializers of a layer's variables, by name.

    Args:
        matrix: The layer's `KernelMatrix`.
        rank: None for a dense kernel, else an int.
        kernel_initializer: A `keras.initializers.Initializer`; the factors are the
            SVD of what it draws, once for all three of them.
    """
    if rank is None:
        empty = {n: (shape, "zeros") for n, shape in matrix.factor_shapes(0).items()}
        return {"kernel": (matrix.kernel_shape, kernel_initializer), **empty}
    draw = _Draw(matrix, kernel_initializer)
    factors = {
        name: (shape, draw.initializer(name))
        for name, shape in matrix.factor_shapes(rank).items()
    }
    return {"kernel": ((*matrix.kernel_shape[:-1], 0), "zeros"), **factors}


class _Draw:
    """The factors of one initial kernel, drawn and decomposed on the host."""

    def __init__(self, matrix, kernel_initializer):
        self.matrix = matrix
        self.kernel_initializer = kernel_initializer
        self._factors = self._decompose(self._draw())

    def initializer(self, name):
        def initialize(shape, dtype=None):
            factors = self._factors
            if factors is None:
                drawn = self._draw()
                factors = self._factors = self._decompose(drawn)
            if factors is None:
                # Each factor from a draw of its own: initializers have a fixed seed.
                factors = _symbolic_factors(drawn)
            return ops.cast(factors[name][..., : shape[-1]], dtype or "float32")

        return initialize

    def _draw(self):
        kernel = self.kernel_initializer(self.matrix.kernel_shape, dtype="float32")
        return self.matrix.to_matrix(kernel)

    def _decompose(self, drawn):
        """Arrays by name; None while Keras traces a model, where draws are symbolic."""
        try:
            drawn = np.asarray(ops.convert_to_numpy(drawn))
        except Exception:
            # Each backend has an error of its own for a symbolic tensor.
            return None
        decomposition = decompose_kernel(drawn)
        return {name: getattr(decomposition, name) for name in FACTORS}


def _symbolic_factors(matrix):
    U, s, Vt = ops.svd(matrix, full_matrices=False)
    return dict(zip(FACTORS, (U, s, ops.swapaxes(Vt, -1, -2)), strict=True))

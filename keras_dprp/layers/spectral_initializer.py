"""Initial factors: the SVD of what the kernel initializer draws."""

from keras import ops

from keras_dprp.decomposition import factors_of

_NAMES = ("U", "s", "V")


class SpectralInitializer:
    """Initialises U, s and V so that their product is the initial kernel.

    The kernel is drawn and decomposed once for all three of them, on the host.

    Args:
        kernel_initializer: A `keras.initializers.Initializer`.
        kernel_shape: Shape of the kernel.
        to_matrix: Function from kernel to kernel matrix.
    """

    def __init__(self, kernel_initializer, kernel_shape, to_matrix):
        self.kernel_initializer = kernel_initializer
        self.kernel_shape = kernel_shape
        self.to_matrix = to_matrix
        self._factors = self._decompose(self._draw())

    def factor(self, name):
        """The initializer of one variable, "U", "s" or "V"."""

        def initializer(shape, dtype=None):
            factors = self._factors
            if factors is None:
                matrix = self._draw()
                factors = self._factors = self._decompose(matrix)
            if factors is None:
                # Each factor from a draw of its own: initializers have a fixed seed.
                factors = _symbolic_factors(matrix)
            value = factors[name][..., : shape[-1]]
            return ops.cast(value, dtype or "float32")

        return initializer

    def _draw(self):
        return self.to_matrix(
            self.kernel_initializer(self.kernel_shape, dtype="float32")
        )

    def _decompose(self, matrix):
        """Arrays by name; None while Keras traces a model, where draws are symbolic."""
        try:
            matrix = ops.convert_to_numpy(matrix)
        except Exception:
            # Each backend has an error of its own for a symbolic tensor.
            return None
        return dict(zip(_NAMES, factors_of(matrix), strict=True))


def _symbolic_factors(matrix):
    U, s, Vt = ops.svd(matrix, full_matrices=False)
    return dict(zip(_NAMES, (U, s, ops.swapaxes(Vt, -1, -2)), strict=True))

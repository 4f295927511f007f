"""Initial factors: the SVD of what the kernel initializer draws."""

from keras import ops

from keras_dprp.decomposition import factors_of


class SpectralInitializer:
    """Initialises U, s and V so that their product is the initial kernel.

    The kernel is drawn and decomposed once, for all three of them.

    Args:
        kernel_initializer: A `keras.initializers.Initializer`.
        kernel_shape: Shape of the kernel.
        to_matrix: Function from kernel to kernel matrix.
    """

    def __init__(self, kernel_initializer, kernel_shape, to_matrix):
        self.kernel_initializer = kernel_initializer
        self.kernel_shape = kernel_shape
        self.to_matrix = to_matrix
        self._factors = self._draw()

    def factor(self, name):
        """The initializer of one variable, "U", "s" or "V"."""

        def initializer(shape, dtype=None):
            if self._factors is None:
                self._factors = self._draw()
            if self._factors is None:
                return ops.zeros(shape, dtype)
            value = self._factors[name][..., : shape[-1]]
            return ops.convert_to_tensor(value.astype("float32"), dtype=dtype)

        return initializer

    def _draw(self):
        kernel = self.kernel_initializer(self.kernel_shape, dtype="float32")
        matrix = self.to_matrix(kernel)
        try:
            matrix = ops.convert_to_numpy(matrix)
        except Exception:
            # While Keras traces a model without Input, the draw is symbolic, for
            # which each backend has an error of its own. Keras then asks for a
            # stand-in of which it reads the shape alone, and once more in earnest.
            return None
        return dict(zip(("U", "s", "V"), factors_of(matrix), strict=True))

"""What a kind of factorised layer says of its kernel."""

import keras


class Kind(keras.layers.Layer):
    """Which stock layer it stands in for, how its kernel is read and applied.

    Attributes:
        stock_class: The stock layer.
        stock_arguments: Names of its constructor's arguments.
        modes: The ways to read the kernel; empty where there is one way.
        mode: The one that a layer has, or "auto"; "" where there is one way.
    """

    stock_class: type[keras.layers.Layer]
    stock_arguments: tuple[str, ...]
    modes: tuple[str, ...] = ()
    mode = ""

    @classmethod
    def matrices(cls, layer, input_shape, mode):
        """A `KernelMatrix` for each way in which a mode has a kernel read.

        Args:
            layer: A layer of this kind, or a stock one that it can stand in for.
            input_shape: Tuple of ints and None.
            mode: One of `MODES`, or "auto" for all of them.
        """
        raise NotImplementedError

    @classmethod
    def reason_left(cls, layer):
        """Why no layer of this kind can stand in for a stock one; None if one can."""
        return None

    def spec_for(self, input_shape):
        """The `InputSpec` for inputs of a shape, with axes that must be known."""
        raise NotImplementedError

    def kernel_matrix(self, input_shape):
        """The `KernelMatrix` for inputs of a shape; raises where there is none."""
        (matrix,) = self.matrices(self, input_shape, self.mode)
        return matrix

    def initializer_for(self, input_shape):
        """What draws the kernel for inputs of a shape."""
        return self.kernel_initializer

    def bias_shape(self, input_shape):
        """The shape of the bias; None where there is none."""
        return (self.filters,) if self.use_bias else None

    def broadcast_bias(self):
        """The bias in a shape that can be added to the outputs."""
        return self.bias

    def apply_kernel(self, inputs, kernel):
        """Outputs, before bias and activation, with one kernel."""
        raise NotImplementedError

    def apply_pair(self, inputs, first, second):
        """Outputs, before bias and activation, with the two factors."""
        raise NotImplementedError

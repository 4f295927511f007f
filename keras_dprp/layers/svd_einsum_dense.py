"""An einsum layer whose kernel can be U diag(s) Vᵀ."""

import keras
from keras import ops

from keras_dprp.copies import shared_arguments
from keras_dprp.layers.einsum_matrix import EinsumMatrix
from keras_dprp.layers.equation import Equation
from keras_dprp.layers.svd_layer import SVDLayer


@keras.saving.register_keras_serializable(package="keras_dprp")
class SVDEinsumDense(SVDLayer):
    """Drop-in for `keras.layers.EinsumDense` whose kernel can be U diag(s) Vᵀ.

    Its pair are two einsum layers: of "abc,cde->abde" they are "abc,cr->abr" and
    "abr,rde->abde". Without a `rank` it computes and learns as the stock layer, until
    a `RankPruningCallback` factorises it and its rank falls in training.

    Args:
        equation: As in `keras.layers.EinsumDense`. Each axis of the kernel is in
            either the inputs or the outputs, and each of the inputs in either the
            kernel or the outputs.
        output_shape, activation, bias_axes, kernel_initializer, bias_initializer,
        kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: As in
            `keras.layers.EinsumDense`. The kernel regularizer acts on the product. A
            kernel constraint is refused.
        rank, structure, compression: As in `SVDConv2D`.

    Raises:
        ValueError: For a bad argument of the stock layer, another equation, an unknown
            penalty, a rank outside its range, or a kernel constraint.

    Example:
    >>> layer = keras_dprp.SVDEinsumDense("abc,cde->abde", (None, 4, 16), rank=8)
    >>> layer(numpy.zeros((1, 10, 64))).shape
    (1, 10, 4, 16)
    """

    stock_class = keras.layers.EinsumDense
    # The stock layer takes the last one among the keyword arguments.
    stock_arguments = (
        *shared_arguments(keras.layers.EinsumDense),
        "activity_regularizer",
    )

    def __init__(
        self,
        equation,
        output_shape,
        activation=None,
        bias_axes=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        rank=None,
        structure=None,
        compression=None,
        **kwargs,
    ):
        activity_regularizer = kwargs.pop("activity_regularizer", None)
        super().__init__(locals(), rank, structure, compression, **kwargs)

    @classmethod
    def matrices(cls, layer, input_shape, mode):
        return [EinsumMatrix.of(layer, input_shape)]

    @classmethod
    def reason_left(cls, layer):
        if Equation.of(layer.equation).is_product:
            return None
        return f"'{layer.equation}' is no product of its inputs with a matrix"

    def spec_for(self, input_shape):
        # Raises where the equation is none, or the inputs do not fit it.
        self.compute_output_shape(input_shape)
        if reason := self.reason_left(self):
            raise ValueError(
                f"Layer '{self.name}' needs an equation in which each axis of the "
                "kernel is in either the inputs or the outputs, and each of the inputs "
                f"in either the kernel or the outputs. Received: {reason}"
            )
        equation = Equation.of(self.equation)
        axes = equation.inputs.strip(".")
        start = -len(axes) if equation.inputs.startswith(".") else 0
        sizes = equation.sizes(equation.inputs, input_shape)
        known = {start + axes.index(axis): sizes[axis] for axis in equation.rows}
        return keras.InputSpec(ndim=len(input_shape), axes=known)

    def initializer_for(self, input_shape):
        # As the stock layer does it: how much of a kernel is input depends on axes.
        drawn = self.kernel_initializer
        if not isinstance(drawn, keras.initializers.VarianceScaling):
            return drawn
        if drawn.input_axes is not None and drawn.output_axes is not None:
            return drawn
        equation = Equation.of(self.equation)
        axes = {
            name: [equation.kernel.index(axis) for axis in side]
            for name, side in (
                ("input_axes", equation.rows),
                ("output_axes", equation.columns),
            )
        }
        config = {**drawn.get_config(), "seed": drawn.seed, **axes}
        return type(drawn).from_config(config)

    def bias_shape(self, input_shape):
        if self.bias_axes is None:
            return None
        outputs = Equation.of(self.equation).outputs
        shape = self.compute_output_shape(input_shape)
        # An ellipsis on the left is before all axes of the bias; one on the right is
        # of size 1 in it, as all outputs are that it does not name.
        pad = str.rjust if outputs.startswith(".") else str.ljust
        axes = pad(outputs.strip("."), len(shape), ".")
        begin = min(map(axes.index, self.bias_axes))
        return tuple(
            size if axis in self.bias_axes else 1
            for axis, size in zip(axes[begin:], shape[begin:], strict=True)
        )

    def apply_kernel(self, inputs, kernel):
        return ops.einsum(self.equation, inputs, kernel)

    def apply_pair(self, inputs, first, second):
        kernels = self.matrix.pair_kernels(first, second)
        for equation, kernel in zip(self.matrix.equation.pair(), kernels, strict=True):
            inputs = ops.einsum(str(equation), inputs, kernel)
        return inputs

"""The base of factorised transposed convolutions."""

from keras import ops

from keras_dprp.layers.conv_transpose_matrix import ConvTransposeMatrix
from keras_dprp.layers.svd_conv import SVDConv


class SVDConvTranspose(SVDConv):
    """A factorised transposed convolution, with the arguments of a stock one."""

    matrix_class = ConvTransposeMatrix

    def convolve(self, inputs, kernel, step):
        return ops.conv_transpose(
            inputs,
            kernel,
            strides=step["strides"],
            padding=self.padding,
            output_padding=step["output_padding"],
            data_format=self.data_format,
            dilation_rate=step["dilation_rate"],
        )

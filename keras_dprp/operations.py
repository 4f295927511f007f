"""What a device computes for a layer: convolutions and matrix products, by size.

A factorised layer is one operation while dense, and two as a pair. What they cost, in
MACs, in parameters, or in milliseconds on a device, follows from their sizes alone.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One convolution, or one product with a dense layer's kernel, for one sample.

    Attributes:
        inputs: Tuple: size of the input without channels. Of a dense layer one number,
            how many vectors there are.
        outputs: The same of the output.
        channels, filters: Ints: channels of the input and of the output.
        kernel: Size of the kernel, `()` of a dense layer.
        strides, dilation_rate, padding, groups: As in `keras.layers.Conv2D`.
    """

    inputs: tuple
    outputs: tuple
    channels: int
    filters: int
    kernel: tuple = ()
    strides: tuple = ()
    dilation_rate: tuple = ()
    padding: str = "valid"
    groups: int = 1

    @property
    def parameters(self):
        """Numbers in the kernel."""
        return math.prod(self.kernel) * self.channels // self.groups * self.filters

    @property
    def is_transposed(self):
        """Whether it is a transposed convolution: only those make an image larger."""
        return any(o > i for i, o in zip(self.inputs, self.outputs, strict=True))

    @property
    def macs(self):
        """Multiply-accumulates: each number is used once at every position."""
        positions = self.inputs if self.is_transposed else self.outputs
        return math.prod(positions) * self.parameters

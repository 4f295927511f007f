"""How tfmot is told to round a layer."""

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

_quantizers = tfmot.quantization.keras.quantizers


class Rounding(tfmot.quantization.keras.QuantizeConfig):
    """Rounds a layer's kernel, if a quantizer is given for it, and its output.

    tfmot's own scheme is not used: it leaves a BatchNormalization that follows no
    convolution in float, and with it what it follows, and rounds depthwise kernels as
    a whole, where a file may have a scale for each channel.

    Args:
        kernel: Name of the layer's attribute; None if it has no kernel.
        quantizer: A `Quantizer` for it.
        output: A `Quantizer` for the layer's output; None if it is not rounded.
    """

    def __init__(self, kernel=None, quantizer=None, output=None):
        self.kernel = kernel
        self.quantizer = quantizer
        self.output = output

    def get_weights_and_quantizers(self, layer):
        if self.kernel is None:
            return []
        return [(getattr(layer, self.kernel), self.quantizer)]

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        if quantize_weights:
            setattr(layer, self.kernel, quantize_weights[0])

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [] if self.output is None else [self.output]

    def get_config(self):
        raise NotImplementedError("A model that is being trained is not saved.")


class DepthwiseQuantizer(tfmot.quantization.keras.quantizers.LastValueQuantizer):
    """Rounds a depthwise kernel by channel."""

    def __init__(self):
        super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)

    def build(self, tensor_shape, name, layer):
        *_, inputs, multiplier = tensor_shape
        return super().build((inputs * multiplier,), name, layer)

    def __call__(self, inputs, training, weights, **kwargs):
        height, width, channels, multiplier = inputs.shape
        # The shape in the file, without which the converter loses the scales.
        kernel = tf.reshape(inputs, (1, height, width, channels * multiplier))
        rounded = super().__call__(kernel, training, weights, **kwargs)
        return tf.reshape(rounded, inputs.shape)


class RoundedLayer(tfmot.quantization.keras.QuantizeWrapperV2):
    """tfmot's wrapper, which would train the kernel of a layer that is not to be."""

    @property
    def trainable_weights(self):
        return super().trainable_weights if self.layer.trainable else []


def kernel_rounding(kind):
    """Name of the kernel of a kind of layer, and its quantizer; twice None without."""
    if kind == "DepthwiseConv2D":
        return "depthwise_kernel", DepthwiseQuantizer()
    if kind in ("Conv2D", "Dense"):
        by_channel = kind == "Conv2D"
        return "kernel", _quantizers.LastValueQuantizer(8, by_channel, True, True)
    return None, None


def output_rounding(is_input=False):
    """A quantizer whose range follows what it sees in training.

    Args:
        is_input: Whether for the model's input, whose range only grows.
    """
    if is_input:
        return _quantizers.AllValuesQuantizer(8, False, False, False)
    return _quantizers.MovingAverageQuantizer(8, False, False, False)


class KeepZeros(tf_keras.constraints.Constraint):
    """Keeps the zeros of a kernel.

    Args:
        kernel: Array with the zeros.
    """

    def __init__(self, kernel):
        self.mask = tf.constant(kernel != 0, "float32")

    def __call__(self, w):
        return w * self.mask

"""How tfmot is told to round a layer."""

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras


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


class _Quantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """What all quantizers here have in common: they are told to observe together.

    Then those of activations note what comes and round nothing, and kernels are
    rounded anew. Statistics and dropout stay those of inference, so `training` cannot
    tell them to.
    """

    observing = False


class _OutputQuantizer(_Quantizer):
    def __call__(self, inputs, training, weights, **kwargs):
        if not self.observing:
            return super().__call__(inputs, training, weights, **kwargs)
        low, high = weights["min_var"], weights["max_var"]
        low.assign(tf.minimum(low, tf.reduce_min(inputs)))
        high.assign(tf.maximum(high, tf.reduce_max(inputs)))
        return inputs


class GrowingQuantizer(
    _OutputQuantizer, tfmot.quantization.keras.quantizers.AllValuesQuantizer
):
    """Rounds to a range of all that it has seen in training."""


class MovingQuantizer(
    _OutputQuantizer, tfmot.quantization.keras.quantizers.MovingAverageQuantizer
):
    """Rounds to a range that follows what it sees in training."""


class KernelQuantizer(
    _Quantizer, tfmot.quantization.keras.quantizers.LastValueQuantizer
):
    """Rounds to the range that a kernel has."""

    def __call__(self, inputs, training, weights, **kwargs):
        anew = training or self.observing
        return super().__call__(inputs, anew, weights, **kwargs)


class DepthwiseQuantizer(KernelQuantizer):
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
        return "kernel", KernelQuantizer(8, by_channel, True, True)
    return None, None


def output_rounding(is_input=False):
    """A quantizer whose range follows what it sees in training.

    Args:
        is_input: Whether for the model's input, whose range only grows.
    """
    kind = GrowingQuantizer if is_input else MovingQuantizer
    return kind(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)


class KeepZeros(tf_keras.constraints.Constraint):
    """Keeps the zeros of a kernel.

    Args:
        kernel: Array with the zeros.
    """

    def __init__(self, kernel):
        self.mask = tf.constant(kernel != 0, "float32")

    def __call__(self, w):
        return w * self.mask


def set_ranges(model, x, batch_size):
    """Give every quantizer the range of what it rounds for all of some data.

    tfmot starts every range of activations at -6 to 6 and moves it by a thousandth a
    step, which a short training never makes good.
    """
    for variable in model.weights:
        if variable.name.endswith(("_min:0", "_max:0")):
            variable.assign(tf.zeros_like(variable))

    @tf.function(reduce_retracing=True)
    def observe(batch):
        model(batch, training=False)

    # The function is traced at its first call, and keeps what it finds then.
    _Quantizer.observing = True
    try:
        for start in range(0, len(x), batch_size):
            observe(tf.constant(x[start : start + batch_size]))
    finally:
        _Quantizer.observing = False

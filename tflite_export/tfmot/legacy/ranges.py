"""The ranges that activations are rounded in, before the training."""

import contextlib
from unittest import mock

import tensorflow as tf
import tensorflow_model_optimization as tfmot

_quantizers = tfmot.quantization.keras.quantizers


def set_ranges(model, x, batch_size):
    """Give every quantizer the range of what it rounds for all of some data.

    tfmot starts every range of activations at -6 to 6 and moves it by a thousandth a
    step, which a short training never makes good.

    Args:
        model: A model of tf_keras with tfmot's wrappers.
        x: Array of inputs, samples first.
        batch_size: Samples in a step.
    """
    for variable in model.weights:
        if variable.name.endswith(("_min:0", "_max:0")):
            variable.assign(tf.zeros_like(variable))

    @tf.function(reduce_retracing=True)
    def observe(batch):
        model(batch, training=False)

    # The function is traced, and so finds what observes, at its first call.
    with _observing():
        for start in range(0, len(x), batch_size):
            observe(tf.constant(x[start : start + batch_size]))


@contextlib.contextmanager
def _observing():
    """Quantizers of activations note what comes and round nothing; kernels are rounded.

    Statistics and dropout stay those of inference, so `training` cannot tell them to.
    """
    round_kernel = _quantizers.LastValueQuantizer.__call__

    def observe(self, inputs, training, weights, **kwargs):
        low, high = weights["min_var"], weights["max_var"]
        low.assign(tf.minimum(low, tf.reduce_min(inputs)))
        high.assign(tf.maximum(high, tf.reduce_max(inputs)))
        return inputs

    def round_anew(self, inputs, training, weights, **kwargs):
        return round_kernel(self, inputs, True, weights, **kwargs)

    with (
        mock.patch.object(_quantizers.AllValuesQuantizer, "__call__", observe),
        mock.patch.object(_quantizers.MovingAverageQuantizer, "__call__", observe),
        mock.patch.object(_quantizers.LastValueQuantizer, "__call__", round_anew),
    ):
        yield

"""Gradients, for which Keras has no interface of its own."""

import keras
import numpy as np
from keras import ops


def outputs_and_gradients(layer, inputs, cotangent):
    """Outputs, and gradients of sum(outputs * cotangent).

    Returns:
        Outputs, the gradient with respect to the inputs, and a dict of gradients with
        respect to the trainable variables by their names; all NumPy arrays.
    """
    names = [variable.name for variable in layer.trainable_variables]
    if keras.backend.backend() == "tensorflow":
        outputs, gradients = _with_tensorflow(layer, inputs, cotangent)
    elif keras.backend.backend() == "torch":
        outputs, gradients = _with_torch(layer, inputs, cotangent)
    else:
        outputs, gradients = _with_jax(layer, inputs, cotangent)
    of_inputs, *of_variables = [np.asarray(gradient) for gradient in gradients]
    return np.asarray(outputs), of_inputs, dict(zip(names, of_variables, strict=True))


def _with_tensorflow(layer, inputs, cotangent):
    import tensorflow as tf

    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        total = ops.sum(outputs * cotangent)
    variables = [variable.value for variable in layer.trainable_variables]
    return outputs, tape.gradient(total, [inputs, *variables])


def _with_torch(layer, inputs, cotangent):
    import torch

    inputs = torch.tensor(inputs, requires_grad=True)
    outputs = layer(inputs)
    total = ops.sum(outputs * ops.convert_to_tensor(cotangent))
    variables = [variable.value for variable in layer.trainable_variables]
    gradients = torch.autograd.grad(total, [inputs, *variables])
    return outputs.detach(), gradients


def _with_jax(layer, inputs, cotangent):
    import jax

    fixed = [variable.value for variable in layer.non_trainable_variables]

    def total(inputs, variables):
        outputs, _ = layer.stateless_call(variables, fixed, inputs)
        return ops.sum(outputs * cotangent), outputs

    variables = [variable.value for variable in layer.trainable_variables]
    gradient = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    (of_inputs, of_variables), outputs = gradient(inputs, variables)
    return outputs, [of_inputs, *of_variables]

"""A `keras.Variable` that takes a value of another shape."""

import keras
import numpy as np
from keras import ops


def set_value(variable, value):
    """Give a variable a new value, of its own or of another shape.

    The `keras.Variable` stays the same object, so that the order of variables, their
    tracking and saving need nothing.

    Args:
        variable: A `keras.Variable`.
        value: An array.
    """
    value = ops.convert_to_tensor(np.asarray(value), dtype=variable._dtype)
    if tuple(value.shape) == tuple(variable.shape):
        variable.assign(value)
        return
    old = variable._value
    if keras.backend.backend() == "torch":
        _put(old, value)
    else:
        # As the last lines of `keras.Variable.__init__`.
        variable._initialize(value)
    variable._shape = variable._validate_shape(value.shape)
    variable._ndim = len(variable._shape)
    if keras.backend.backend() == "tensorflow":
        _release(old)


def _release(old):
    """Take a replaced TensorFlow variable's value, and its memory, from old graphs.

    A function that was traced before goes on to hold the variable. A user's own one
    would train it in silence; without a value of the traced shape it fails instead.
    """
    import tensorflow as tf

    with tf.init_scope():
        # A variable of a distribution strategy has one for every replica.
        for variable in getattr(old, "values", [old]):
            tf.raw_ops.AssignVariableOp(
                resource=variable.handle,
                value=tf.zeros((0,), variable.dtype),
                validate_shape=False,
            )


def _put(parameter, value):
    """Give a PyTorch parameter a value of another shape.

    It stays the same object, for every module and optimizer that holds it. PyTorch
    remembers the shape of the gradients it awaits as long as a loss is held, and
    forgets it at a change of type.
    """
    import torch

    parameter.grad = None
    parameter.data = value.new_empty(0, dtype=torch.complex64)
    parameter.data = value

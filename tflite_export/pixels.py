"""Inputs that are pixels, which an int8 file takes as the uint8 they are."""

import dataclasses

import numpy as np


def takes_pixels(inputs, samples, io_dtype):
    """Whether all inputs of a file shall be uint8, and their arrays hold pixels."""
    return all(
        (tensor.dtype == "uint8" or (tensor.dtype, io_dtype) == ("float32", "uint8"))
        and array.size > 1
        and array.min() >= 0
        and array.max() <= 255
        and np.array_equal(array, np.round(array))
        for tensor, array in zip(inputs, samples, strict=True)
    )


def as_floats(inputs, samples):
    """Inputs and arrays as floats that calibrate to steps of one from 0 to 255."""
    floats = [array.astype("float32") for array in samples]
    for array in floats:
        # Two pixels change no other range, and this one has to be met exactly.
        array.flat[0], array.flat[-1] = 0, 255
    return [dataclasses.replace(each, dtype="float32") for each in inputs], floats


def pixel_function(model):
    """A model as a function of pixels that are floats already, from list to list.

    The converter leaves a cast of uint8, and with it the scaling of pixels, in float.
    None if anything but a layer that scales takes an input.
    """
    import keras

    from keras_dprp.graph import walk

    scales = (keras.layers.Rescaling, keras.layers.Normalization)
    inputs = [keras.Input(batch_shape=x.shape, dtype="float32") for x in model.inputs]
    known = {id(tensor) for tensor in inputs}
    consumers = []

    def visit(stand_in, *args, **kwargs):
        if known & {id(tensor) for tensor in keras.tree.flatten([args, kwargs])}:
            consumers.append(stand_in.operation)
        return stand_in(*args, **kwargs)

    _, outputs = walk(model, visit, inputs)
    if not all(isinstance(consumer, scales) for consumer in consumers):
        return None
    return keras.Function(inputs, keras.tree.flatten(outputs))

"""Steps in, a model of tf_keras out."""

import numpy as np
import tf_keras

from tflite_export.tfmot.steps import INPUT


def replay(steps, weights, shape):
    """Build the model of tf_keras that steps describe, with lists of arrays as weights.

    Its layers are named by `layer_names`, as tf_keras takes fewer names than Keras 3.
    """
    tensors = {INPUT: tf_keras.Input(shape)}
    names = layer_names(steps)
    layers: dict[str, tf_keras.layers.Layer] = {}
    for position, step in enumerate(steps):
        if step.name not in layers:
            layers[step.name] = make_layer(step, names[step.name])
        inputs = [tensors[source] for source in step.inputs]
        layer = layers[step.name]
        tensors[position] = layer(inputs if len(inputs) > 1 else inputs[0])
    for name, arrays in weights.items():
        layers[name].set_weights(arrays)
    return tf_keras.Model(tensors[INPUT], tensors[len(steps) - 1])


def layer_names(steps):
    """A dict from step names to names of layers."""
    names = dict.fromkeys(step.name for step in steps)
    return {name: f"layer{number}" for number, name in enumerate(names)}


def make_layer(step, name, **arguments):
    """The layer of a step, not built, with further arguments for its constructor."""
    arguments = {**step.arguments, **arguments}
    if step.kind == "LeakyReLU":
        arguments["alpha"] = arguments.pop("negative_slope")
    layer = getattr(tf_keras.layers, step.kind)(**arguments, name=name)
    layer.trainable = step.trainable
    return layer


def trained_weights(model, steps, weights):
    """Weights that a model of `replay` has now, in the form it was given them."""
    names = layer_names(steps)
    return {name: model.get_layer(names[name]).get_weights() for name in weights}


def outputs_of(model, x):
    """An array of a model's outputs, for inference."""
    return np.asarray(model(np.asarray(x), training=False))

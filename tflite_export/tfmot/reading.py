"""A Keras 3 model in, its steps out."""

import keras
import numpy as np

from keras_dprp.graph import input_like, is_graph, walk
from tflite_export.tfmot.steps import ACTIVATIONS, INPUT, KINDS, Step

# Sums and products of tensors, written as `x + y`, are not layers.
_OPERATIONS = ("Add", "Multiply")


def read(model):
    """Read the graph of a model, nested models opened.

    Args:
        model: A functional or a built Sequential model of one input and one output.

    Returns:
        A list of `Step`, the last of which gives the output, and a dict of the layers
        that have weights, by step name.

    Raises:
        ValueError: If tf_keras has no like of a layer, or not of how it is set.
    """
    reader = _Reader()
    (output,) = reader.read(model, [INPUT], frozen=False)
    if reader.unknown:
        raise ValueError(
            "`model` must have only layers that are known to be alike in tf_keras: "
            f"{', '.join(KINDS)} and Normalization, channels last (ZeroPadding2D also "
            f"first), and the activations {', '.join(ACTIVATIONS)}. "
            f"Received: {'; '.join(dict.fromkeys(reader.unknown))}"
        )
    return reader.steps[: output + 1], reader.layers


class _Reader:
    def __init__(self):
        self.steps: list[Step] = []
        self.layers: dict[str, keras.Layer] = {}
        self.unknown: list[str] = []
        self.names: dict[keras.Operation, str] = {}

    def read(self, model, sources, frozen, prefix=""):
        """Add the steps of a model; returns the positions of its outputs.

        Args:
            model: As for `read`, or a model nested in one.
            sources: Positions of its inputs.
            frozen: Whether it is called with `training=False`.
            prefix: Of the names of its layers.
        """
        inputs = [input_like(tensor) for tensor in model.inputs]
        places = dict(zip(inputs, sources, strict=True))

        def visit(stand_in, *args, **kwargs):
            layer = stand_in.operation
            outputs = stand_in(*args, **kwargs)
            tensors = keras.tree.flatten([args, kwargs])
            taken = [places[x] for x in tensors if isinstance(x, keras.KerasTensor)]
            off = frozen or kwargs.get("training") is False
            if is_graph(layer):
                given = self.read(layer, taken, off, f"{prefix}{layer.name}/")
            else:
                given = [self._add(layer, taken, outputs, off, prefix)]
            # One that gives several outputs is not known.
            for x in keras.tree.flatten(outputs):
                places[x] = given[0] if len(given) == 1 else given.pop(0)
            return outputs

        _, outputs = walk(model, visit, inputs)
        return [places[x] for x in keras.tree.flatten(outputs)]

    def _add(self, layer, sources, outputs, frozen, prefix):
        """Add the step, or two, of one call; returns the position of its output."""
        name = self._name(layer, prefix)
        try:
            kind, arguments = _translate(layer, len(sources))
            activation = _activation(layer)
        except ValueError as problem:
            self.unknown.append(f"'{prefix}{layer.name}' ({problem})")
            return INPUT
        shape = tuple(outputs.shape[1:])
        if frozen and "rate" in arguments:
            arguments["rate"] = 0.0
        # tf_keras has no other way for statistics that stay, under tfmot's wrappers.
        stays = frozen and kind == "BatchNormalization"
        trainable = getattr(layer, "trainable", False) and not stays
        if getattr(layer, "weights", []) and kind != "Rescaling":
            self.layers[name] = layer
        steps = [(name, kind, arguments)]
        if kind == "Activation":
            steps = [(name, *activation)] if activation else []
        elif activation:
            steps.append((f"{name}/activation", *activation))
        for name, kind, arguments in steps:
            sources = tuple(sources)
            self.steps.append(Step(name, kind, arguments, sources, shape, trainable))
            sources = [len(self.steps) - 1]
        return sources[0]

    def _name(self, layer, prefix):
        """The layer's path, the same for every call of it and for none other's."""
        if layer not in self.names:
            taken = set(self.names.values())
            name = prefix + layer.name
            while name in taken:
                name += "_"
            self.names[layer] = name
        return self.names[layer]


def _translate(layer, inputs):
    """The kind of a layer's step, and its arguments; a ValueError says what is odd."""
    kind = type(layer).__name__
    if not isinstance(layer, keras.Layer):
        if kind in _OPERATIONS and inputs == 2:
            return kind, {}
        raise ValueError(f"{kind}, an operation and no layer")
    stock = type(layer) is getattr(keras.layers, kind, None)
    if stock and kind == "Normalization":
        return "Rescaling", _scale_and_offset(layer)
    if not stock or kind not in KINDS:
        raise ValueError(f"of type {kind}")
    config = layer.get_config()
    if config.get("data_format") == "channels_first" and kind != "ZeroPadding2D":
        raise ValueError(f"{kind}, channels first")
    if config.get("renorm"):
        raise ValueError(f"{kind} with renorm")
    if getattr(layer, "quantization_mode", None) or getattr(
        layer, "lora_enabled", False
    ):
        raise ValueError(f"{kind}, quantized or with LoRA")
    if kind == "Rescaling":
        # Whatever they were given as.
        return kind, {
            key: np.asarray(getattr(layer, key)).tolist() for key in KINDS[kind]
        }
    return kind, {key: config[key] for key in KINDS[kind]}


def _scale_and_offset(layer):
    """Arguments for a Rescaling that does what a Normalization does."""
    mean, variance = (
        keras.ops.convert_to_numpy(values) for values in (layer.mean, layer.variance)
    )
    if layer.invert or mean.size != np.shape(mean)[-1]:
        raise ValueError("Normalization, inverted or of another axis than the last")
    mean, variance = np.ravel(mean), np.ravel(variance)
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    return {"scale": scale.tolist(), "offset": (-mean * scale).tolist()}


def _activation(layer):
    """Kind and arguments of the step for a layer's activation; None if it has none."""
    activation = getattr(layer, "activation", None)
    if not isinstance(layer, keras.Layer) or activation in (
        None,
        keras.activations.linear,
    ):
        return None
    name = getattr(activation, "__name__", type(activation).__name__)
    if name not in ACTIVATIONS or activation is not getattr(
        keras.activations, name, None
    ):
        raise ValueError(f"{type(layer).__name__} with activation {name}")
    kind, arguments = ACTIVATIONS[name]
    return kind, dict(arguments)

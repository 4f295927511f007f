"""Which layers a model calls, how often, and on inputs of which shape."""

from dataclasses import dataclass

import keras

# Sizes a model leaves open (its batch aside) count as an ImageNet image's.
UNKNOWN_SIZE = 224
# What makes a model more than its graph.
_BEHAVIOUR = ("call", "train_step", "test_step", "predict_step", "compute_loss")


@dataclass(frozen=True)
class Call:
    """One call of a layer: shapes are tuples, a list of them for several inputs."""

    layer: keras.Layer
    input_shape: tuple
    output_shape: tuple


class Probe(keras.Operation):
    """Stands for a layer in a copy of the graph and yields its outputs' shapes."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, *args, **kwargs):
        raise NotImplementedError("A probe has no outputs, only their shapes.")

    def compute_output_spec(self, *args, **kwargs):
        return self.layer.compute_output_spec(*args, **kwargs)


def check_is_model(model):
    """Raise a TypeError unless `model` is a Keras model."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a Keras model. "
            f"Received: {model!r} (of type {type(model).__name__})"
        )


def is_graph(model):
    """Whether the layers and their order are known (functional, built Sequential)."""
    if overrides(model, "call"):
        return False
    if isinstance(model, keras.Sequential):
        return model.built and bool(getattr(model, "inputs", None))
    return isinstance(model, keras.Function)


def overrides(model, *methods):
    """Whether a class of the user's own defines one of Keras's methods anew.

    Args:
        model: Any object.
        methods: Names; by default of all that would change what a model computes.
    """
    own = [c for c in type(model).__mro__ if not c.__module__.startswith("keras.")]
    return any(name in vars(c) for c in own for name in methods or _BEHAVIOUR)


def graph_layers(model):
    """Every layer that a model calls, each once, nested models opened.

    Layers inside other layers (wrappers, subclassed models) are not among them.

    Args:
        model: A functional or a built Sequential model.
    """
    layers: dict[int, keras.Layer] = {}
    for layer in model.layers:
        inner = graph_layers(layer) if is_graph(layer) else [layer]
        layers.update({id(each): each for each in inner})
    return list(layers.values())


def layer_calls(model):
    """Every call of every layer in one forward pass, nested models opened.

    Args:
        model: A functional or a built Sequential model.

    Returns:
        A list of `Call` in the order of the forward pass.
    """
    calls: list[Call] = []
    try:
        _trace(model, _inputs(model), calls, UNKNOWN_SIZE)
    except ValueError:
        # Branches of a fixed size may not go together with one that was filled in.
        calls.clear()
        _trace(model, _inputs(model), calls, None)
    return calls


def first_argument(args, kwargs):
    """The inputs of a call, passed by position or by name."""
    return args[0] if args else kwargs["inputs"]


def _trace(model, inputs, calls, open_size):
    # What a model is called with may be nested in another way than its own inputs.
    inputs = [_input_like(tensor, open_size) for tensor in keras.tree.flatten(inputs)]
    inputs = keras.tree.pack_sequence_as(_inputs(model), inputs)

    def call(probe, *args, **kwargs):
        layer = probe.layer
        outputs = probe(*args, **kwargs)
        if is_graph(layer):
            _trace(layer, first_argument(args, kwargs), calls, open_size)
        elif isinstance(layer, keras.Layer):
            calls.append(Call(layer, _shape([args, kwargs]), _shape(outputs)))
        return outputs

    # A Sequential model is the same graph, but takes no `call_function`.
    outputs = model.outputs if isinstance(model, keras.Sequential) else model.output
    graph = keras.Model(_inputs(model), outputs, name=model.name)
    keras.models.clone_model(
        graph, input_tensors=inputs, clone_function=Probe, call_function=call
    )


def _inputs(model):
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _input_like(tensor, open_size):
    shape = _filled(tensor.shape, open_size)
    return keras.Input(batch_shape=shape, dtype=tensor.dtype)


def _shape(tensors):
    shapes = [
        _filled(t.shape, UNKNOWN_SIZE)
        for t in keras.tree.flatten(tensors)
        if hasattr(t, "shape")
    ]
    return shapes[0] if len(shapes) == 1 else shapes


def _filled(shape, open_size):
    batch, *sizes = shape
    return (batch, *(open_size if size is None else size for size in sizes))

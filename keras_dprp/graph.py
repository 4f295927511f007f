"""The graph of a model: flatten it, walk through it. The only walk there is."""

import inspect
from dataclasses import dataclass

import keras

from keras_dprp.live.models import flatten_layers as flatten_layers

# Sizes a model leaves open (its batch aside) count as an ImageNet image's.
UNKNOWN_SIZE = 224
# What makes a model more than its graph.
_BEHAVIOUR = ("call", "train_step", "test_step", "predict_step", "compute_loss")


@dataclass(frozen=True)
class Call:
    """One call of a layer: shapes are tuples, a list of them for several inputs.

    Its sources are the layers whose outputs are its inputs, as far as they are layers
    of the same model.
    """

    layer: keras.Layer
    input_shape: tuple
    output_shape: tuple
    sources: tuple = ()


class StandIn(keras.Operation):
    """Does what another operation does, and leaves no trace in that one's graph."""

    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def call(self, *args, **kwargs):
        return self.operation(*args, **kwargs)

    def compute_output_spec(self, *args, **kwargs):
        return self.operation.compute_output_spec(*args, **kwargs)


def check_is_model(model):
    """Raise a TypeError unless `model` is a Keras model."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a Keras model. "
            f"Received: {model!r} (of type {type(model).__name__})"
        )


def check_is_built(model):
    """Raise a ValueError unless a Keras model is built."""
    if not model.built:
        raise ValueError(
            "`model` must be built: give it a keras.Input, or call it on a batch of "
            f"data first. Received: unbuilt model '{model.name}'"
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

    By default one of all that would change what a model computes.
    """
    own = [c for c in type(model).__mro__ if not c.__module__.startswith("keras.")]
    return any(name in vars(c) for c in own for name in methods or _BEHAVIOUR)


def graph_layers(model):
    """Every layer that a functional or built model calls, each once.

    Nested models are opened; layers inside other layers (wrappers, subclassed models)
    are not among them.
    """
    layers: dict[keras.Layer, None] = {}
    for layer in model.layers:
        opened = graph_layers(layer) if is_graph(layer) else [layer]
        layers.update(dict.fromkeys(opened))
    return list(layers)


def inputs_of(model):
    """The inputs of a model, nested as it takes them."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def outputs_of(model):
    """The outputs of a model, nested as it gives them."""
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def first_argument(args, kwargs):
    """The inputs of a call, passed by position or by name."""
    return args[0] if args else kwargs["inputs"]


def tensors_in(nested):
    """The symbolic tensors in nested arguments or outputs, in order."""
    return [x for x in keras.tree.flatten(nested) if isinstance(x, keras.KerasTensor)]


def input_like(tensor, name=None):
    """A fresh input of the shape and dtype of a tensor, by default of its name.

    Keras warns where a dict of inputs has other keys than they have names.
    """
    name = name or tensor.name
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)


def walk(model, visit, inputs=None):
    """Go through a model's graph call by call; nested models count as one call.

    Args:
        model: A functional or a built Sequential model.
        visit: Function of a `StandIn` and the arguments of its call. It returns the
            outputs, as a rule by calling the stand-in on them.
        inputs: A flat list of `keras.KerasTensor`. Defaults to fresh ones like the
            model's.

    Returns:
        The inputs, flat, and the outputs, nested as the model gives them.
    """
    if inputs is None:
        inputs = [input_like(tensor) for tensor in model.inputs]
    # A Sequential model is the same graph, but Keras takes no `call_function` for it.
    graph = keras.Model(inputs_of(model), outputs_of(model), name=model.name)
    copy = keras.models.clone_model(
        graph,
        input_tensors=keras.tree.pack_sequence_as(inputs_of(model), inputs),
        clone_function=StandIn,
        call_function=visit,
    )
    return inputs, outputs_of(copy)


def layer_calls(model):
    """A `Call` for every call of every layer in one forward pass, in order.

    Nested models are opened.
    """
    try:
        return _calls(model, model.inputs, UNKNOWN_SIZE)
    except ValueError:
        # Branches of a fixed size may not go together with one that was filled in.
        return _calls(model, model.inputs, None)


def _calls(model, tensors, open_size):
    calls: list[Call] = []
    makers: dict[keras.KerasTensor, keras.Layer] = {}

    def visit(stand_in, *args, **kwargs):
        layer = stand_in.operation
        outputs = stand_in(*args, **kwargs)
        if is_graph(layer):
            inner = tensors_in(first_argument(args, kwargs))
            calls.extend(_calls(layer, inner, open_size))
        elif isinstance(layer, keras.Layer):
            taken = [makers[x] for x in tensors_in([args, kwargs]) if x in makers]
            shapes = _shape([args, kwargs]), _shape(outputs)
            calls.append(Call(layer, *shapes, tuple(taken)))
            makers.update(dict.fromkeys(tensors_in(outputs), layer))
        return outputs

    names = [tensor.name for tensor in model.inputs]
    inputs = [
        keras.Input(batch_shape=_filled(x.shape, open_size), dtype=x.dtype, name=name)
        for name, x in zip(names, tensors, strict=True)
    ]
    walk(model, visit, inputs)
    return calls


def has_plain_constructor(model):
    """Whether the class can be constructed as Keras constructs its own."""
    if isinstance(model, keras.Sequential):
        return type(model).__init__ is keras.Sequential.__init__
    # Keras's own rule for the class of a cloned model.
    arguments = inspect.getfullargspec(type(model).__init__)
    takes_graph = arguments.args[1:] == ["inputs", "outputs", "name"]
    return takes_graph or bool(arguments.varargs and arguments.varkw)


def _shape(tensors):
    flat = [x for x in keras.tree.flatten(tensors) if hasattr(x, "shape")]
    shapes = [_filled(x.shape, UNKNOWN_SIZE) for x in flat]
    return shapes[0] if len(shapes) == 1 else shapes


def _filled(shape, open_size):
    batch, *sizes = shape
    return (batch, *(open_size if size is None else size for size in sizes))

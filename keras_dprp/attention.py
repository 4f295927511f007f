"""Attention layers as what they are made of: projections, and what is between them.

The projections hold all that an attention layer has learned, and are products with a
matrix. Outside of the layer they can be factorised as any other.
"""

import math

import keras
from keras import ops

from keras_dprp import kernels
from keras_dprp.copies import copy_all_but_kernel, copy_variable, free_name, twin_config
from keras_dprp.graph import flatten_layers, is_graph, overrides, walk
from keras_dprp.kernels import ATTENTION, TWINS
from keras_dprp.layers.equation import Equation

_INPUTS = ("query", "value", "key")


def projections(layer):
    """The projections of a built attention layer by name: query, key, value, output."""
    inner = [
        x for x in flatten_layers(layer) if isinstance(x, keras.layers.EinsumDense)
    ]
    return {x.name.removeprefix("attention_"): x for x in inner}


def plain_attention(model):
    """The attention layers of a graph that do nothing but attend.

    Their inputs are sequences of vectors, and no call of them has a mask or asks for
    the scores. Those in nested models are among them.

    Args:
        model: A functional or a built Sequential model.
    """
    every = flatten_layers(model)
    if not any(type(x) in ATTENTION for x in every) or any(map(_makes_masks, every)):
        return set()
    calls: list = []

    def visit(stand_in, *args, **kwargs):
        operation = stand_in.operation
        if is_graph(operation):
            walk(operation, visit)
        elif type(operation) in ATTENTION:
            calls.append((operation, args, kwargs))
        return stand_in(*args, **kwargs)

    walk(model, visit)
    others = {layer for layer, *call in calls if not _is_plain(layer, *call)}
    return {layer for layer, *_ in calls} - others


def _is_plain(layer, args, kwargs):
    config, parts = layer.get_config(), projections(layer)
    built = input_shapes(layer)
    given = dict(zip(_INPUTS, args, strict=False)) | kwargs
    # What is said to be off is as if it were not said.
    given = {n: x for n, x in given.items() if not (x is None or x is False)}
    more = given.keys() - {*_INPUTS, "training"}
    known = set() if config["dropout"] else {"use_causal_mask"}
    shapes = {name: given[name].shape for name in _INPUTS if name in given}
    return (
        len(args) <= len(_INPUTS)
        and more <= known
        and set(parts) == {*_INPUTS, "output"}
        and config.get("sliding_window") is None
        # Keras gives what comes out of attention the shape of the queries.
        and len({parts[n].partial_output_shape[-1] for n in ("query", "value")}) == 1
        and all(len(shape) == 3 for shape in shapes.values())
        and all(built[name][1] in (None, s[1]) for name, s in shapes.items())
    )


def input_shapes(layer):
    """The shapes of inputs that the projections were built for, by name."""
    parts = projections(layer)
    shapes = {n: part.get_build_config()["input_shape"] for n, part in parts.items()}
    if "output" in shapes:
        # As many steps come out of the attention as its queries have.
        steps, heads = shapes["query"][1:-1], shapes["output"][-2:]
        shapes["output"] = (None, *steps, *heads)
    return shapes


def reason_left(layer, mode, plain):
    """Why `factorize` cannot replace a built layer in a graph; None if it can.

    Args:
        layer: Any layer with a kernel, attention among them.
        mode: That of `factorize`.
        plain: What `plain_attention` found.
    """
    if type(layer) not in ATTENTION:
        return kernels.reason_left(layer, mode)
    if layer not in plain:
        return "its attention has a mask or the like"
    reasons = [kernels.reason_left(part, mode) for part in projections(layer).values()]
    return None if None in reasons else reasons[0]


def _makes_masks(layer):
    return (
        isinstance(layer, keras.layers.Masking)
        or getattr(layer, "mask_zero", False)
        or overrides(layer, "compute_mask")
    )


class Attention:
    """Attends as a layer does, and has its projections as layers of their own.

    Args:
        layer: One of those that `plain_attention` finds.
        taken: Set of the names of all layers.

    Attributes:
        parts: Dict from "query", "key", "value" and "output" to layers; what is in it
            when it is called is what it uses.
    """

    def __init__(self, layer, taken):
        config, shapes = layer.get_config(), input_shapes(layer)
        self.parts = {
            name: _outside(part, free_name(f"{layer.name}_{name}", taken), shapes[name])
            for name, part in projections(layer).items()
        }
        self._dropout = None
        if config["dropout"]:
            self._softmax = keras.layers.Softmax(
                name=free_name(f"{layer.name}_softmax", taken), dtype=layer.dtype_policy
            )
            self._dropout = keras.layers.Dropout(
                config["dropout"],
                seed=config["seed"],
                name=free_name(f"{layer.name}_dropout", taken),
                dtype=layer.dtype_policy,
            )

    def __call__(
        self, query, value, key=None, training=None, use_causal_mask=False, **off
    ):
        # In `off` is what `_is_plain` found to be None or False.
        query = self.parts["query"](query)
        key = self.parts["key"](value if key is None else key)
        value = self.parts["value"](value)
        if times := query.shape[2] // key.shape[2] - 1:
            key, value = (ops.repeat(x, times + 1, axis=2) for x in (key, value))
        scale = 1 / math.sqrt(query.shape[3])
        # As the layer does it.
        if self._dropout is None:
            heads = ops.dot_product_attention(
                query, key, value, scale=scale, is_causal=use_causal_mask
            )
        else:
            scores = ops.einsum("aecd,abcd->acbe", key, ops.multiply(query, scale))
            shares = self._dropout(self._softmax(scores), training=training)
            heads = ops.einsum("acbe,aecd->abcd", shares, value)
        return self.parts["output"](heads)


def _outside(part, name, shape):
    """A layer built for inputs of a shape as one of the projections was."""
    equation = Equation.of(part.equation)
    known = equation.sizes(equation.inputs, shape)
    # What the projection leaves open is known here, and is needed to know what comes
    # out of it.
    sizes = zip(equation.outputs[1:], part.partial_output_shape, strict=True)
    output_shape = tuple(known.get(axis, size) for axis, size in sizes)
    config = twin_config(part, TWINS[keras.layers.EinsumDense].stock_arguments)
    layer = keras.layers.EinsumDense(
        **config | {"name": name, "output_shape": output_shape}
    )
    layer.build(shape)
    copy_variable(part.kernel, layer.kernel)
    copy_all_but_kernel(part, layer)
    return layer

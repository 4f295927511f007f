"""A factorised model in, stock Keras layers with the same outputs out."""

import numpy as np
from keras import ops

from keras_dprp.copies import copy_activation_state, twin_config
from keras_dprp.costs import pair_is_cheaper
from keras_dprp.graph import check_is_model, flatten_layers, graph_layers
from keras_dprp.layers import SVDConv2D, SVDLayer
from keras_dprp.layers.distillation import Distillation
from keras_dprp.rebuild import can_rebuild, rebuild


def fold(model):
    """Replace factorised layers by stock ones: a pair or a single layer each.

    Each layer takes the form that needs fewer MACs: two convolutions (or dense
    layers), or one with the merged kernel. Bias and activation are in the last one,
    which keeps the layer's name; the first is named after it with "_first". No custom
    object is left, so the folded model loads without this package.

    Args:
        model: A functional or Sequential model; nested ones included. Layers that
            are not factorised are copied.

    Returns:
        A new model, not compiled.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If the model is not built, is subclassed, or has a factorised
            layer inside another layer.

    Example:
    >>> plain = keras_dprp.fold(model)
    >>> plain.save("model.keras")
    """
    check_is_model(model)
    if not can_rebuild(model):
        raise ValueError(
            "`model` must be a built functional or Sequential model: the layers "
            "inside a subclassed one cannot be replaced from outside. "
            f"Received: '{model.name}' (of type {type(model).__name__}, "
            f"built={model.built})"
        )
    layers = [each for each in flatten_layers(model) if isinstance(each, SVDLayer)]
    _check_in_graph(model, layers)
    taken = {layer.name for layer in flatten_layers(model)}
    copy, places = rebuild(model, lambda layer: _stock_layers(layer, taken))
    for layer in layers:
        set_stock_weights(layer, places[layer])
    return copy


def _check_in_graph(model, layers):
    in_graph = set(graph_layers(model))
    hidden = [layer.name for layer in layers if layer not in in_graph]
    if hidden:
        raise ValueError(
            "Factorised layers inside another layer cannot be replaced from outside. "
            f"Received: model '{model.name}' with {hidden} inside another layer"
        )


def _stock_layers(layer, taken):
    if isinstance(layer, Distillation):
        return []
    if not isinstance(layer, SVDLayer):
        return None
    if layer.is_dense or not pair_is_cheaper(layer, layer.rank):
        return [layer.stock_layer()]
    return _pair(layer, _first_name(layer.name, taken))


def _pair(layer, first_name):
    """Two stock layers, not yet built, bias and activation in the second."""
    last = twin_config(layer, layer.stock_arguments)
    first = {
        "name": first_name,
        "use_bias": False,
        "dtype": layer.dtype_policy,
        "trainable": layer.trainable,
    }
    if isinstance(layer, SVDConv2D):
        sizes = layer.matrix.kernel_sizes()
        for half, size, steps in zip(
            (first, last), sizes, layer.matrix.pair_arguments(), strict=True
        ):
            half |= {"kernel_size": size, **steps}
        first |= {"filters": layer.groups * layer.rank, "groups": layer.groups}
    else:
        first["units"] = layer.rank
    # Neither is meant for one half of the product.
    del last["kernel_regularizer"], last["kernel_initializer"]
    return [layer.stock_class(**first), layer.stock_class(**last)]


def _first_name(name, taken):
    candidate = f"{name}_first"
    while candidate in taken:
        candidate += "_"
    taken.add(candidate)
    return candidate


def set_stock_weights(layer, stock):
    """Give stock layers, one or a pair, the weights of a factorised one."""
    *first, last = stock
    if first:
        kernels = _balanced_kernels(layer)
        first[0].kernel.assign(kernels[0])
        last.kernel.assign(kernels[1])
    else:
        last.kernel.assign(ops.convert_to_numpy(layer.kernel))
    if layer.bias is not None:
        last.bias.assign(ops.convert_to_numpy(layer.bias))
    copy_activation_state(layer, last)


def _balanced_kernels(layer):
    """Kernels of a pair in which each singular value weighs the same on either side.

    Both kernels, and the activation between them, then keep a like range, which
    integer quantization needs.
    """
    U, s, V = (ops.convert_to_numpy(factor) for factor in layer.factors())
    (U, U_norm), (V, V_norm) = _unit_columns(U), _unit_columns(V)
    s = s[..., None, :] * U_norm * V_norm
    root = np.sqrt(np.abs(s))
    kernels = layer.matrix.pair_kernels(U * np.sign(s) * root, V * root)
    return [ops.convert_to_numpy(kernel) for kernel in kernels]


def _unit_columns(basis):
    """The columns scaled to unit norm, and their norms, which training may change."""
    norm = np.linalg.norm(basis, axis=-2, keepdims=True)
    return basis / np.maximum(norm, np.finfo("float32").tiny), norm

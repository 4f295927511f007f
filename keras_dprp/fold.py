"""A factorised model in, stock Keras layers with the same outputs out."""

import numpy as np
from keras import ops

from keras_dprp.copies import (
    copy_all_but_kernel,
    copy_variable,
    free_name,
    twin_config,
)
from keras_dprp.costs import pair_is_cheaper
from keras_dprp.graph import flatten_layers, graph_layers
from keras_dprp.layers import SVDLayer
from keras_dprp.layers.distillation import Distillation
from keras_dprp.rebuild import check_can_rebuild, rebuild


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
    check_can_rebuild(model)
    layers = [each for each in flatten_layers(model) if isinstance(each, SVDLayer)]
    in_graph = set(graph_layers(model))
    hidden = [layer.name for layer in layers if layer not in in_graph]
    if hidden:
        raise ValueError(
            "Factorised layers inside another layer cannot be replaced from outside. "
            f"Received: model '{model.name}' with {hidden} inside another layer"
        )
    taken = {layer.name for layer in flatten_layers(model)}
    copy, places = rebuild(model, lambda layer: _stock_layers(layer, taken))
    for layer in layers:
        set_stock_weights(layer, places[layer])
    return copy


def _stock_layers(layer, taken):
    if isinstance(layer, Distillation):
        return []
    if not isinstance(layer, SVDLayer):
        return None
    if layer.is_dense or not pair_is_cheaper(layer, layer.rank):
        return [layer.stock_layer()]
    return _pair(layer, free_name(f"{layer.name}_first", taken))


def _pair(layer, first_name):
    """Two stock layers, not yet built, bias and activation in the second."""
    last = twin_config(layer, layer.stock_arguments)
    # Neither is meant for one half of the product.
    del last["kernel_regularizer"], last["kernel_initializer"]
    first = {key: last[key] for key in ("dtype", "trainable")}
    of_first, of_last = layer.matrix.pair_arguments(layer.rank)
    return [
        layer.stock_class(**first, name=first_name, **of_first),
        layer.stock_class(**last | of_last),
    ]


def set_stock_weights(layer, stock):
    """Give stock layers, one or a pair, the weights of a factorised one."""
    kernels = [layer.kernel] if len(stock) == 1 else _balanced_kernels(layer)
    for each, kernel in zip(stock, kernels, strict=True):
        copy_variable(kernel, each.kernel)
    copy_all_but_kernel(layer, stock[-1])


def _balanced_kernels(layer):
    """Kernels of a pair in which each singular value weighs the same on either side.

    Both kernels, and the activation between them, then keep a like range, which
    integer quantization needs.
    """
    U, s, V = (ops.convert_to_numpy(factor) for factor in layer.factors())
    (U, U_norm), (V, V_norm) = _unit_columns(U), _unit_columns(V)
    s = s[..., None, :] * U_norm * V_norm
    root = np.sqrt(np.abs(s))
    return layer.matrix.pair_kernels(U * np.sign(s) * root, V * root)


def _unit_columns(basis):
    """The columns scaled to unit norm, and their norms, which training may change."""
    norm = np.linalg.norm(basis, axis=-2, keepdims=True)
    return basis / np.maximum(norm, np.finfo("float32").tiny), norm

"""A factorised model in, stock Keras layers with the same outputs out."""

import keras
import numpy as np
from keras import ops

from keras_dprp.cloning import rebuild
from keras_dprp.graph import is_graph
from keras_dprp.layers import SVDConv2D, SVDLayer
from keras_dprp.resize import flatten_layers


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
        ValueError: If the model is not built, or is subclassed.

    Example:

    >>> plain = keras_dprp.fold(model)
    >>> plain.save("model.keras")
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a Keras model. "
            f"Received: {model!r} (of type {type(model).__name__})"
        )
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built functional or Sequential model. "
            f"Received: '{model.name}' (of type {type(model).__name__}, "
            f"built={model.built})"
        )
    taken = {layer.name for layer in flatten_layers(model)}
    copy, places = rebuild(model, lambda layer: _stock_layers(layer, taken))
    for layer in flatten_layers(model):
        if isinstance(layer, SVDLayer):
            _set_weights(layer, places[id(layer)])
    return copy


def _stock_layers(layer, taken):
    if not isinstance(layer, SVDLayer):
        return None
    if not layer.pair_is_cheaper():
        return [layer.stock_layer()]
    return _pair(layer, _first_name(layer.name, taken))


def _pair(layer, first_name):
    """Two stock layers, not yet built, bias and activation in the second."""
    last = layer.stock_config()
    first = {
        "name": first_name,
        "use_bias": False,
        "dtype": layer.dtype_policy,
        "trainable": layer.trainable,
    }
    if isinstance(layer, SVDConv2D):
        first_arguments, last_arguments = layer.pair_arguments()
        last |= last_arguments
        first |= first_arguments
        first |= {"filters": layer.groups * layer.rank, "groups": layer.groups}
    else:
        first["units"] = layer.rank
    # A regularizer of the product cannot act on one half of it.
    last["kernel_regularizer"] = None
    return [layer.stock_class(**first), layer.stock_class(**last)]


def _first_name(name, taken):
    candidate = f"{name}_first"
    while candidate in taken:
        candidate += "_"
    taken.add(candidate)
    return candidate


def _set_weights(layer, stock):
    bias = [] if layer.bias is None else [ops.convert_to_numpy(layer.bias)]
    if len(stock) == 1:
        stock[0].set_weights([ops.convert_to_numpy(layer.kernel), *bias])
        return
    U, s, V = (ops.convert_to_numpy(factor) for factor in layer.factors())
    # Half of each singular value on either side: both kernels, and the activation
    # between them, keep a like range, which integer quantization needs.
    root = np.sqrt(np.abs(s))[..., None, :]
    first, last = layer.pair_kernels(U * np.sign(s)[..., None, :] * root, V * root)
    stock[0].set_weights([ops.convert_to_numpy(first)])
    stock[1].set_weights([ops.convert_to_numpy(last), *bias])

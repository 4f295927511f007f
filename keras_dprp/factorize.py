"""A Keras model in, the same model with factorised layers out."""

import re

import keras
import numpy as np
from keras import ops

from keras_dprp import penalties, resize
from keras_dprp.cloning import (
    can_rebuild,
    copy_activation_state,
    rebuild,
    twin_config,
)
from keras_dprp.graph import check_is_model, graph_layers
from keras_dprp.layers import SVDConv2D, SVDDense, SVDLayer, matrices
from keras_dprp.layers.mode import choose_mode
from keras_dprp.layers.rank_argument import check_rank

_TWINS: dict[type, type[SVDLayer]] = {
    keras.layers.Conv2D: SVDConv2D,
    keras.layers.Dense: SVDDense,
}
WITH_KERNEL = (
    SVDLayer,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
    keras.layers.EinsumDense,
)


def factorize(
    model,
    filters=None,
    rank=None,
    mode="spatial",
    structure=penalties.DEFAULT_STRUCTURE,
    compression=penalties.DEFAULT_COMPRESSION,
):
    """Replace convolutions and dense layers by factorised ones of the same weights.

    At full rank the returned model has the outputs of the given one, which is left
    as it was. Layers that cannot be factorised stay as they are; `summary` lists
    them with the reason.

    Args:
        model: A built functional or Sequential `keras.Model`; nested models, shared
            layers, several inputs and outputs included.
        filters: Which layers: None (all), a regex or a list of them to search layer
            names with, or a callable from a layer to a bool.
        rank: None (full), an int (at most the full rank of each layer is taken), or
            a float in (0, 1], a share of each layer's full rank.
        mode: "spatial" (k x 1, then 1 x k), "channel" (k x k, then 1 x 1), or "auto"
            (for each layer the one that holds 90 % of s² at fewer MACs).
        structure: None, a name ("orthogonality", "ordering"), a penalty object, or a
            list of them.
        compression: None, a name ("hoyer", "l1", "l2", "funnel"), a penalty object,
            or a list of them.

    Returns:
        A new model, not compiled.

    Raises:
        TypeError: If `model` is no Keras model, or `filters` or `rank` has a wrong
            type.
        ValueError: If the model is not built or subclassed, no layer of it can be
            factorised, or an argument has an unknown value.

    Example:
    >>> model = keras_dprp.factorize(keras.applications.MobileNet(weights=None))

    References:
        [Convolutional Neural Network Compression via Dynamic Parameter Rank
        Pruning](https://arxiv.org/abs/2401.08014)
    """
    _check_model(model)
    _check_mode(mode)
    rank = check_rank(rank)
    chosen = _matcher(filters)
    arguments = {
        "structure": penalties.get(structure, penalties.STRUCTURE, "structure"),
        "compression": penalties.get(compression, penalties.COMPRESSION, "compression"),
    }
    replaced = _layers_to_replace(model, chosen, mode)

    def replace(layer):
        if id(layer) not in replaced:
            return None
        return [_twin(layer, rank, mode, arguments)]

    copy, places = rebuild(model, replace)
    for layer in replaced.values():
        _copy_rest(layer, places[id(layer)][-1])
    resize.adopt(copy)
    return copy


def _layers_to_replace(model, chosen, mode):
    layers, reasons = {}, []
    in_graph = {id(layer) for layer in graph_layers(model)}
    for layer in resize.flatten_layers(model):
        if not isinstance(layer, WITH_KERNEL):
            continue
        if id(layer) not in in_graph:
            reason = "it is inside another layer, or not used"
        else:
            reason = reason_left(layer, mode)
            if reason is None and chosen(layer):
                layers[id(layer)] = layer
        reasons.append(f"{layer.name}: {reason or 'not chosen by `filters`'}")
    if not layers:
        raise ValueError(
            "No layer of the model can be factorised. Received: model "
            f"'{model.name}' with {'; '.join(reasons) or 'no kernel in any layer'}"
        )
    return layers


def reason_left(layer, mode="spatial"):
    """Why `factorize` cannot replace a built layer; None if it can."""
    if isinstance(layer, SVDLayer):
        return "it is factorised already"
    if type(layer) not in _TWINS:
        return f"a {type(layer).__name__} has no factorised form"
    if layer.kernel_constraint is not None:
        return "a kernel constraint cannot act on a product"
    if getattr(layer, "lora_enabled", False) or getattr(
        layer, "quantization_mode", None
    ):
        return "it is quantized or has LoRA enabled"
    if not np.isfinite(ops.convert_to_numpy(layer.kernel)).all():
        return "its kernel is not finite"
    if not _cheaper_modes(layer, mode):
        return "even rank 1 costs no less than dense"
    return None


def _cheaper_modes(layer, mode):
    """The modes, of those asked for, in which a pair of rank 1 saves MACs."""
    probe, shape = _twin_of(layer), _input_shape(layer)
    dense = probe.dense_macs(shape)
    if isinstance(layer, keras.layers.Dense):
        return [mode] if probe.pair_macs(shape, 1) < dense else []
    modes = matrices.MODES if mode == "auto" else (mode,)
    return [each for each in modes if probe.pair_macs(shape, 1, each) < dense]


def _twin_of(layer, **arguments):
    """The factorised layer of a stock layer's arguments, not yet built."""
    twin_class = _TWINS[type(layer)]
    return twin_class(**twin_config(layer, twin_class.stock_arguments), **arguments)


def _twin(layer, rank, mode, arguments):
    """The factorised layer of a stock layer, which its build will fill with weights."""
    shape = tuple(layer.kernel.shape)
    if isinstance(layer, keras.layers.Conv2D):
        arguments = {**arguments, "mode": _mode_of(layer, mode)}
        shape = matrices.matrix_shape(shape, arguments["mode"], layer.groups)
    if isinstance(rank, int):
        rank = min(rank, *shape)
    twin = _twin_of(layer, rank=rank, **arguments)
    twin.kernel_initializer = lambda shape, dtype: ops.cast(layer.kernel, dtype)
    return twin


def _copy_rest(layer, twin):
    twin.kernel_initializer = layer.kernel_initializer
    if twin.bias is not None:
        twin.bias.assign(ops.convert_to_numpy(layer.bias))
    copy_activation_state(layer, twin)


def _input_shape(layer):
    return layer.get_build_config()["input_shape"]


def _mode_of(layer, mode):
    if mode != "auto":
        return mode
    kernel = ops.cast(layer.kernel, "float32")
    spectra = {
        each: np.linalg.svd(
            ops.convert_to_numpy(matrices.to_matrix(kernel, each, layer.groups)),
            compute_uv=False,
        )
        for each in _cheaper_modes(layer, mode)
    }
    return choose_mode(_twin_of(layer), _input_shape(layer), spectra)


def _check_model(model):
    check_is_model(model)
    if can_rebuild(model):
        return
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            "`model` must be built, so that its weights exist. Give it a keras.Input, "
            "or call it on a batch of data first. "
            f"Received: unbuilt model '{model.name}'"
        )
    raise ValueError(
        "`model` must be a functional or Sequential model: the layers inside a "
        "subclassed one cannot be replaced from outside, nor can a constructor of its "
        "own be called. Write it with the functional API, or use keras_dprp.SVDConv2D "
        "and keras_dprp.SVDDense in its constructor. "
        f"Received: '{model.name}' (of type {type(model).__name__})"
    )


def _check_mode(mode):
    if mode not in (*matrices.MODES, "auto"):
        raise ValueError(
            f"`mode` must be 'spatial', 'channel' or 'auto'. Received: mode={mode!r}"
        )


def _matcher(filters):
    """A function from a layer to whether it is chosen."""
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return filters
    patterns = [filters] if isinstance(filters, str) else filters
    if not isinstance(patterns, (list, tuple)) or not all(
        isinstance(pattern, str) for pattern in patterns
    ):
        raise TypeError(
            "`filters` must be None, a regex, a list of them, or a callable on a "
            f"layer. Received: filters={filters!r}"
        )
    compiled = [_compile(pattern) for pattern in patterns]
    return lambda layer: any(pattern.search(layer.name) for pattern in compiled)


def _compile(pattern):
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"`filters` must be valid regular expressions ({error}). "
            f"Received: filters={pattern!r}"
        ) from error

"""A Keras model in, the same model with layers that can be factorised out."""

import re

import numpy as np
from keras import ops

from keras_dprp import attention, penalties, teachers
from keras_dprp.augmentation import augmentation_of
from keras_dprp.copies import copy_all_but_kernel, free_name, twin_config
from keras_dprp.graph import flatten_layers, graph_layers
from keras_dprp.kernels import (
    ATTENTION,
    RECURRENT,
    TWINS,
    WITH_KERNEL,
    cheaper_matrices,
    input_shape_of,
    output_layers,
    reason_left,
)
from keras_dprp.layers.initial_state import check_rank
from keras_dprp.layers.kernel_matrix import cheapest, check_mode
from keras_dprp.live import models
from keras_dprp.rebuild import check_can_rebuild, rebuild
from keras_dprp.separable import HALVES, split

_INSTEAD = (
    "Write it with the functional API, or use keras_dprp.SVDConv2D, "
    "keras_dprp.SVDDense and their like in its constructor. "
)


def factorize(
    model,
    filters=None,
    rank=None,
    mode="spatial",
    structure=None,
    compression=None,
    teacher=None,
):
    """Replace convolutions and dense layers by ones whose kernels can be factorised.

    The returned model has the weights and outputs of the given one, which is left as
    it was. Without a `rank` its layers stay dense, and learn as the stock ones, until
    a `RankPruningCallback`, or `prune`, factorises them. Layers that cannot be
    factorised stay as they are; `summary` lists them with the reason. A separable
    convolution becomes its two halves, attention its projections and what is between.

    Args:
        model: A built functional or Sequential `keras.Model`; nested models, shared
            layers, several inputs and outputs included.
        filters: Which layers: None (all but those that give the model's outputs), a
            regex or a list of them to search layer names with, or a callable from a
            layer to a bool.
        rank: None (dense), an int (at most the full rank of each layer is taken), or
            a float in (0, 1], a share of each layer's full rank.
        mode: How 2D convolutions are cut in two: "spatial" (k x 1, then 1 x k),
            "channel" (k x k, then 1 x 1), or "auto" (for each layer the one that holds
            90 % of s² at fewer MACs). For transposed ones the order is the other way.
        structure: None, a name ("orthogonality", "ordering"), a penalty object, or a
            list of them.
        compression: None, a name ("hoyer", "l1", "l2", "funnel"), a penalty object,
            or a list of them.
        teacher: None; "self": from the callback's `start` on the network learns also
            from what it was then; a trained model of the same outputs; or a `Teacher`.
            It sees the inputs as they are behind the model's own augmentation.

    Returns:
        A new model, not compiled.

    Raises:
        TypeError: If `model` is no Keras model, or an argument has a wrong type.
        ValueError: If the model is not built or subclassed, no layer of it can be
            factorised, or an argument has an unknown value.

    Example:
    >>> model = keras_dprp.factorize(model, teacher="self")

    References:
        [Convolutional Neural Network Compression via Dynamic Parameter Rank
        Pruning](https://arxiv.org/abs/2401.08014)
    """
    check_can_rebuild(model, instead=_INSTEAD)
    check_mode(mode)
    rank = check_rank(rank)
    teacher = teachers.get(teacher)
    arguments = {
        "structure": penalties.get(structure, penalties.STRUCTURE, "structure"),
        "compression": penalties.get(compression, penalties.COMPRESSION, "compression"),
    }
    replaced = _layers_to_replace(model, filters, mode)
    augmentation = augmentation_of(model) if teacher else []
    observer = teachers.observer(teacher, model, augmentation) if teacher else None

    taken = {layer.name for layer in flatten_layers(model)}
    stock_layers = {}

    def twin_of(stock):
        twin = _twin(stock, rank, mode, arguments)
        stock_layers[twin] = stock
        return twin

    def replace(layer):
        if layer not in replaced:
            return None
        if type(layer) in ATTENTION:
            opened = attention.Attention(layer, taken)
            for name, part in opened.parts.items():
                if reason_left(part, mode) is None:
                    opened.parts[name] = twin_of(part)
            return [opened]
        if type(layer) in HALVES:
            name = free_name(f"{layer.name}_depthwise", taken)
            depthwise, pointwise = split(layer, name)
            return [depthwise, twin_of(pointwise)]
        return [twin_of(layer)]

    copy, _ = rebuild(model, replace, observer=observer, observed=augmentation)
    for twin, stock in stock_layers.items():
        twin.kernel_initializer = stock.kernel_initializer
        copy_all_but_kernel(stock, twin)
    models.adopt(copy)
    return copy


def _layers_to_replace(model, filters, mode):
    chosen = _matcher(filters)
    spared = set() if filters is not None else set(output_layers(model))
    layers, reasons = [], []
    in_graph = set(graph_layers(model))
    plain = attention.plain_attention(model)
    for layer in flatten_layers(model):
        if not isinstance(layer, (*WITH_KERNEL, *RECURRENT, *ATTENTION)):
            continue
        if layer not in in_graph:
            reason = "it is inside another layer, or not used"
        elif layer in spared:
            reason = "it gives the outputs; choose it by `filters`"
        else:
            reason = attention.reason_left(layer, mode, plain)
            if reason is None and chosen(layer):
                layers.append(layer)
        reasons.append(f"{layer.name}: {reason or 'not chosen by `filters`'}")
    if not layers:
        raise ValueError(
            "No layer of the model can be factorised. Received: model "
            f"'{model.name}' with {'; '.join(reasons) or 'no kernel in any layer'}"
        )
    return layers


def _twin(layer, rank, mode, arguments):
    """The factorised layer of a stock layer, which its build will fill with weights."""
    # A copy: JAX takes the memory of what it trains, and both models may be.
    kernel = np.array(ops.convert_to_numpy(layer.kernel))
    shape = input_shape_of(layer)
    matrix = cheapest(cheaper_matrices(layer, mode), shape, kernel.astype("float32"))
    twin_class = TWINS[type(layer)]
    if twin_class.modes:
        arguments = {**arguments, "mode": matrix.mode}
    if isinstance(rank, int):
        rank = min(rank, matrix.full_rank)
    config = twin_config(layer, twin_class.stock_arguments)
    twin = twin_class(**config, **arguments, rank=rank)
    twin.kernel_initializer = lambda shape, dtype: ops.convert_to_tensor(kernel, dtype)
    return twin


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
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"`filters` must be valid regular expressions ({error}). "
                f"Received: filters={pattern!r}"
            ) from error
    return lambda layer: any(re.search(pattern, layer.name) for pattern in patterns)

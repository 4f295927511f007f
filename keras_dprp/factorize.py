"""A Keras model in, the same model with layers that can be factorised out."""

import re

import keras
import numpy as np
from keras import ops

from keras_dprp import penalties, teachers
from keras_dprp.augmentation import augmentation_of
from keras_dprp.copies import copy_all_but_kernel, twin_config
from keras_dprp.graph import flatten_layers, graph_layers
from keras_dprp.kernels import (
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

_INSTEAD = (
    "Write it with the functional API, or use keras_dprp.SVDConv2D and "
    "keras_dprp.SVDDense in its constructor. "
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
    factorised stay as they are; `summary` lists them with the reason.

    Args:
        model: A built functional or Sequential `keras.Model`; nested models, shared
            layers, several inputs and outputs included.
        filters: Which layers: None (all but those that give the model's outputs), a
            regex or a list of them to search layer names with, or a callable from a
            layer to a bool.
        rank: None (dense), an int (at most the full rank of each layer is taken), or
            a float in (0, 1], a share of each layer's full rank.
        mode: "spatial" (k x 1, then 1 x k), "channel" (k x k, then 1 x 1), or "auto"
            (for each layer the one that holds 90 % of s² at fewer MACs).
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

    def replace(layer):
        return [_twin(layer, rank, mode, arguments)] if layer in replaced else None

    copy, places = rebuild(model, replace, observer=observer, observed=augmentation)
    for layer in replaced:
        [twin] = places[layer]
        twin.kernel_initializer = layer.kernel_initializer
        copy_all_but_kernel(layer, twin)
    models.adopt(copy)
    return copy


def _layers_to_replace(model, filters, mode):
    chosen = _matcher(filters)
    spared = set() if filters is not None else set(output_layers(model))
    layers, reasons = [], []
    in_graph = set(graph_layers(model))
    for layer in flatten_layers(model):
        if not isinstance(layer, WITH_KERNEL):
            continue
        if layer not in in_graph:
            reason = "it is inside another layer, or not used"
        elif layer in spared:
            reason = "it gives the outputs; choose it by `filters`"
        else:
            reason = reason_left(layer, mode)
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
    if isinstance(layer, keras.layers.Conv2D):
        arguments = {**arguments, "mode": matrix.mode}
    if isinstance(rank, int):
        rank = min(rank, matrix.full_rank)
    twin_class = TWINS[type(layer)]
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

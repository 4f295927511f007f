"""A table of what a factorised network is and what it becomes."""

import collections
import io
import math
from dataclasses import dataclass

import rich.box
import rich.console
import rich.table

from keras_dprp.attention import plain_attention, projections, reason_left
from keras_dprp.costs import NetworkCost, form_at, lasting_variables, rank_now
from keras_dprp.graph import (
    check_is_built,
    check_is_model,
    flatten_layers,
    graph_layers,
    is_graph,
)
from keras_dprp.kernels import ATTENTION, RECURRENT, WITH_KERNEL

_WIDTH = 120


@dataclass(frozen=True)
class LayerRow:
    """One layer with a kernel.

    Args:
        name: The layer's name.
        kernel: Shape of its kernel.
        mode: "spatial", "channel", or "" where there is no choice.
        rank, full_rank: Ints, None if the layer is not factorised.
        parameters, dense_parameters: Of the kernel (and bias) now and dense.
        macs, dense_macs: For one sample, now and dense.
        form: What `fold` makes of it, or why it is not factorised.
    """

    name: str
    kernel: tuple
    mode: str
    rank: int | None
    full_rank: int | None
    parameters: int
    dense_parameters: int
    macs: int
    dense_macs: int
    form: str


@dataclass(frozen=True)
class Summary:
    """What `summary` printed: `str()` of it is the table.

    Args:
        rows: A list of `LayerRow`.
        parameters, dense_parameters: Of the whole network as `fold` builds it.
        macs, dense_macs: MACs of the whole network for one sample.
    """

    rows: list[LayerRow]
    parameters: int
    dense_parameters: int
    macs: int
    dense_macs: int

    @property
    def parameters_kept(self):
        """Share of the dense network's parameters."""
        return self.parameters / self.dense_parameters if self.dense_parameters else 1.0

    @property
    def macs_kept(self):
        """Share of the dense network's MACs."""
        return self.macs / self.dense_macs if self.dense_macs else 1.0

    def __str__(self):
        buffer = io.StringIO()
        rich.console.Console(file=buffer, width=_WIDTH).print(_table(self))
        return buffer.getvalue()


def summary(model):
    """Print layers, ranks, parameters and MACs, now and dense, and return them.

    Parameters are those of the network as `fold` builds it, frozen ones and statistics
    included. MACs are for one sample; a size the model leaves open counts as 224.

    Args:
        model: A built `keras.Model`, factorised or not.

    Returns:
        A `Summary`; its `str()` is the printed table.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If the model is not built.

    Example:
    >>> report = keras_dprp.summary(model)
    >>> report.macs_kept
    0.31
    """
    check_is_model(model)
    check_is_built(model)
    cost = NetworkCost(model)
    report = Summary(
        _rows(model, cost),
        cost.now("parameters"),
        cost.dense("parameters"),
        cost.now("macs"),
        cost.dense("macs"),
    )
    rich.console.Console(width=_WIDTH).print(_table(report))
    return report


def _rows(model, cost):
    in_graph = set(graph_layers(model)) if is_graph(model) else set()
    plain = plain_attention(model) if in_graph else set()
    # What is inside of these counts as theirs.
    whole = [x for x in in_graph if isinstance(x, ATTENTION)]
    inside = {each for layer in whole for each in flatten_layers(layer)}
    layers = [
        layer
        for layer in flatten_layers(model)
        if layer.built
        and layer not in inside
        and (isinstance(layer, (*WITH_KERNEL, *RECURRENT)) or layer in whole)
    ]
    taken = collections.Counter(layer.name for layer in layers)
    modes = {x.mode for x in cost.layers if x.mode}
    # The one that `factorize` was called with, as far as its layers tell.
    mode = modes.pop() if len(modes) == 1 else "auto"
    rows = []
    for layer in layers:
        # Layers of nested models may share a name; a path belongs to one of them.
        name = layer.name if taken[layer.name] == 1 else layer.path
        if layer in cost.layers:
            form = form_at(layer, rank_now(layer))
        elif layer in in_graph:
            form = reason_left(layer, mode, plain) or "not chosen"
        else:
            form = "inside another layer, MACs not counted"
        rows.append(_row(name, layer, cost, form))
    return rows


def _row(name, layer, cost, form):
    holders = [layer]
    if isinstance(layer, (*RECURRENT, *ATTENTION)):
        holders = flatten_layers(layer)
    lasting = [v for holder in holders for v in lasting_variables(holder)]
    parameters = sum(math.prod(v.shape) for v in lasting)
    macs = cost.other_macs.get(layer, 0)
    shape, mode = _kernel_shape(layer), getattr(layer, "mode", "")
    if layer not in cost.layers:
        costs = parameters, parameters, macs, macs
        return LayerRow(name, shape, mode, None, None, *costs, form)
    own = cost.layers[layer]
    costs = (
        own.now("parameters") + parameters,
        own.dense("parameters") + parameters,
        own.now("macs"),
        own.dense("macs"),
    )
    return LayerRow(name, shape, mode, layer.rank, layer.full_rank, *costs, form)


def _kernel_shape(layer):
    if isinstance(layer, ATTENTION):
        layer = projections(layer)["query"]
    elif isinstance(layer, RECURRENT):
        layer = layer.cell
    kernel = layer.kernel if hasattr(layer, "kernel") else layer.depthwise_kernel
    return tuple(kernel.shape)


def _table(report):
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_footer=True)
    table.add_column("layer", "total")
    table.add_column("kernel")
    table.add_column("mode")
    table.add_column("rank", justify="right")
    parameters = _share(report.parameters, report.dense_parameters)
    table.add_column("parameters", parameters, justify="right")
    table.add_column("MACs", _share(report.macs, report.dense_macs), justify="right")
    table.add_column("after fold")
    for row in report.rows:
        table.add_row(
            row.name,
            "x".join(map(str, row.kernel)),
            row.mode,
            "" if row.rank is None else f"{row.rank} / {row.full_rank}",
            _share(row.parameters, row.dense_parameters),
            _share(row.macs, row.dense_macs),
            row.form,
        )
    return table


def _share(now, dense):
    text = f"{count_text(now)} / {count_text(dense)}"
    return f"{text} ({now / dense:.0%})" if dense else text


def count_text(number):
    """Three digits are what a table needs; the report's fields are exact."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= 10 * size or number >= size > 1e3:
            return f"{number / size:.3g}{unit}"
    return f"{number:,}"

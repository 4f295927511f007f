"""What an event would give a network, layer by layer, and as text."""

import io
from dataclasses import dataclass

import rich.box
import rich.console
import rich.table

from keras_dprp.costs import LATENCY, amount_text, form_at
from keras_dprp.file_sizes import BYTES
from keras_dprp.summary import count_text

_WIDTH = 80
_HEADINGS = {"parameters": "parameters", "macs": "MACs", BYTES: BYTES, LATENCY: "ms"}


@dataclass(frozen=True)
class PlannedLayer:
    """What becomes of one layer.

    Attributes:
        path: Its path.
        rank, full_rank: Ints; a dense layer has its full rank.
        form: What `fold` makes of it: "dense", "pair", or "single" for a product.
        amounts: Dict from a metric to a tuple: what the kernel costs then, and dense.
    """

    path: str
    rank: int
    full_rank: int
    form: str
    amounts: dict


@dataclass(frozen=True)
class Plan:
    """What an event gives a network; `print` shows it as a table.

    Attributes:
        ranks: Dict from layer path to rank; None for a layer that stays dense.
        layers: List of a `PlannedLayer` for each of them.
        metric: What the size is about.
        parameters, macs: Ints: what the network costs then.
        parameters_kept, macs_kept: Floats: shares of the dense network's.
        bytes, bytes_kept: Int and float: of the .tflite file, about.
        quantization: Of this file.
        latency, latency_kept: Floats: milliseconds, and their share; None without a
            profile.
        latency_source: Where they come from, as text.
    """

    ranks: dict
    layers: list
    metric: str
    parameters: int
    macs: int
    bytes: int
    parameters_kept: float
    macs_kept: float
    bytes_kept: float
    quantization: str | None = None
    latency: float | None = None
    latency_kept: float | None = None
    latency_source: str | None = None

    def __str__(self):
        buffer = io.StringIO()
        rich.console.Console(file=buffer, width=_WIDTH).print(self._table())
        file = f"{self.quantization or 'float32'} file"
        lines = [
            f"{self.parameters_kept:.1%} of the parameters ({self.parameters:,}) and "
            f"{self.macs_kept:.1%} of the MACs ({self.macs:,}) are kept",
            f"{self.bytes_kept:.1%} of the bytes of the {file} (about {self.bytes:,})",
        ]
        if self.latency is not None:
            text = amount_text(LATENCY, self.latency)
            lines.append(
                f"{self.latency_kept:.1%} of the latency ({text}) {self.latency_source}"
            )
        return "\n".join([buffer.getvalue().rstrip(), *lines])

    def _table(self):
        metrics = list(dict.fromkeys(["parameters", "macs", self.metric]))
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        table.add_column("layer", overflow="fold")
        table.add_column("rank", justify="right", no_wrap=True)
        table.add_column("form", no_wrap=True)
        for metric in metrics:
            table.add_column(_HEADINGS[metric], justify="right", no_wrap=True)
        for layer in self.layers:
            amounts = (_amount_text(*layer.amounts[metric]) for metric in metrics)
            rank = f"{layer.rank} / {layer.full_rank}"
            table.add_row(layer.path, rank, layer.form, *amounts)
        return table


def make_plan(cost, ranks, metric):
    """The `Plan` of ranks for a network.

    Args:
        cost: Its `NetworkCost`, with the bytes of files.
        ranks: Dict from layer to rank.
        metric: What the size is about.
    """
    return Plan(
        {layer.path: rank for layer, rank in ranks.items()},
        [
            _planned(cost.layers[layer], rank, cost.other)
            for layer, rank in ranks.items()
        ],
        metric,
        **{each: cost.at(each, ranks) for each in cost.other},
        **cost.kept_shares(ranks),
        quantization=cost.files.quantization,
        latency_source=cost.latency_source,
    )


def _planned(cost, rank, metrics):
    layer = cost.layer
    return PlannedLayer(
        layer.path,
        rank or layer.full_rank,
        layer.full_rank,
        form_at(layer, rank),
        {metric: (cost.at(metric, rank), cost.dense(metric)) for metric in metrics},
    )


def _amount_text(now, dense):
    text = count_text(now) if isinstance(now, int) else f"{now:.3g}"
    return f"{text} {now / dense:4.0%}"

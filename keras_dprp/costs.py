"""What a network costs at given ranks: parameters, MACs, bytes of a file, and time."""

import collections
import math
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_dprp.file_sizes import BYTES
from keras_dprp.graph import flatten_layers, is_graph, layer_calls
from keras_dprp.layers import SVDLayer
from keras_dprp.stock_operations import stock_operations

LATENCY = "latency"
METRICS = ("macs", "parameters", BYTES, LATENCY)


@dataclass
class LayerCost:
    """Cost of one factorised layer as a function of its rank.

    MACs and time are summed over every call of the layer; parameters and bytes count
    once. A layer whose pair would need as many MACs as the dense one counts as dense,
    as `fold` builds it.

    Attributes:
        layer: The layer.
        profile: A `Profile` or a `Processor`, or None.
        files: A `FileSize`, or None.
        input_shapes: A list of the shape at every call.
    """

    layer: SVDLayer
    profile: Any = None
    files: Any = None
    input_shapes: list = field(default_factory=list)

    def at(self, metric, rank):
        """Cost at `rank` (None: dense) of the form that `fold` chooses."""
        if metric == BYTES:
            calls = len(self.input_shapes)
            return self.files.factorised(self.layer, self.operations(rank), calls)
        shapes = self.input_shapes[:1] if metric == "parameters" else self.input_shapes
        return sum(
            self._of(metric, operation)
            for shape in shapes
            for operation in self.operations(rank, shape)
        )

    def operations(self, rank, input_shape=None):
        """Those of a call, by default the first: one if dense, two of a pair."""
        if rank is not None and not pair_is_cheaper(self.layer, rank):
            rank = None
        return self.layer.matrix.operations(input_shape or self.input_shapes[0], rank)

    def _of(self, metric, operation):
        if metric == LATENCY:
            return self.profile.milliseconds(operation)
        return operation.parameters if metric == "parameters" else operation.macs

    def dense(self, metric):
        """Cost of the dense kernel."""
        return self.at(metric, None)

    def now(self, metric):
        """Cost in the state it has now."""
        return self.at(metric, rank_now(self.layer))


class NetworkCost:
    """What a whole built model costs, factorised layers by their rank.

    Parameters are all numbers that `fold` would keep, frozen ones and statistics
    included. MACs are those of convolutions and dense layers, of all that are called
    by the model or a model in it. Inside other layers, and in a subclassed model, only
    factorised layers are known, each counted once at the input it was built with. Time
    is known with a profile, or by the name of a processor, of all of these layers.
    Bytes are an estimate of a trained network's .tflite file.

    Args:
        model: A built model.
        profile: A `Profile` or a `Processor`, or None.
        files: A `FileSize`, or None.

    Attributes:
        layers: Dict from a factorised layer to its `LayerCost`.
        other_macs: Counter of the MACs of all calls of another layer.
        other: Dict from every metric that is known to the cost of all that is not
            factorised.
        files: The `FileSize`.
        latency_source: Where times come from, as text; None without any.
    """

    def __init__(self, model, profile=None, files=None):
        every_layer = flatten_layers(model)
        self.layers = {
            layer: LayerCost(layer, profile, files)
            for layer in every_layer
            if isinstance(layer, SVDLayer) and layer.built
        }
        self.other_macs: collections.Counter = collections.Counter()
        others = []
        calls = layer_calls(model) if is_graph(model) else []
        for call in calls:
            if call.layer in self.layers:
                self.layers[call.layer].input_shapes.append(call.input_shape)
                continue
            operations = stock_operations(call)
            others.append((call, operations))
            if operations:
                self.other_macs[call.layer] += sum(each.macs for each in operations)
        for cost in self.layers.values():
            cost.input_shapes = cost.input_shapes or [cost.layer.built_input_shape]
        lasting = _lasting_by_layer(every_layer)
        sizes = [math.prod(v.shape) for own in lasting.values() for v in own]
        self.other = {"parameters": sum(sizes), "macs": sum(self.other_macs.values())}
        self.files = files
        if files is not None:
            stock = {x: own for x, own in lasting.items() if x not in self.layers}
            self.other[BYTES] = files.rest(stock, calls, _functions(model))
        if profile is not None:
            dense = sum(cost.dense(LATENCY) for cost in self.layers.values())
            self.other[LATENCY] = profile.rest(dense, others)
        self.latency_source = None if profile is None else profile.source

    def dense(self, metric):
        """Cost of the network with every kernel dense."""
        return self.other[metric] + sum(c.dense(metric) for c in self.layers.values())

    def at(self, metric, ranks):
        """Cost at other ranks than now, given as a dict from layer to rank."""
        ranks = {layer: rank_now(layer) for layer in self.layers} | ranks
        costs = (cost.at(metric, ranks[layer]) for layer, cost in self.layers.items())
        total = self.other[metric] + sum(costs)
        if metric != BYTES:
            return total
        operations = {x: cost.operations(ranks[x]) for x, cost in self.layers.items()}
        return total - self.files.shared(operations)

    def now(self, metric):
        """Cost at the ranks the layers have now."""
        return self.at(metric, {})

    def kept_shares(self, ranks=None):
        """Shares kept of the dense network, now or at other ranks, named as in logs."""
        kept = {metric: self.at(metric, ranks or {}) for metric in self.other}
        return {f"{metric}_kept": n / self.dense(metric) for metric, n in kept.items()}


def amount_text(metric, amount):
    """An amount of a metric as text, with its unit."""
    if metric == LATENCY:
        return f"{amount:.4g} ms"
    return f"{amount:,.0f} {'MACs' if metric == 'macs' else metric}"


def shares_text(kept, latency_source=None):
    """Shares as `kept_shares` gives them, as text."""
    text = f"{kept['parameters_kept']:.1%} of the parameters and "
    text += f"{kept['macs_kept']:.1%} of the MACs kept"
    if "latency_kept" in kept:
        text += f", {kept['latency_kept']:.1%} of the latency {latency_source}"
    if "bytes_kept" in kept:
        text += f", {kept['bytes_kept']:.1%} of the bytes of the file"
    return text


def rank_now(layer):
    """The rank of a layer; None while it is dense."""
    return None if layer.is_dense else layer.rank


def pair_is_cheaper(layer, rank):
    """Whether two layers of `rank` need fewer MACs than the dense one."""
    return layer.matrix.pair_share(layer.built_input_shape, rank) < 1


def form_at(layer, rank):
    """What `fold` makes of a factorised layer of a rank (None: dense), as text."""
    if rank is None:
        return "dense"
    return "pair" if pair_is_cheaper(layer, rank) else "single"


def lasting_variables(layer):
    """The variables of a layer itself that `fold` keeps, the kernel's state aside."""
    if isinstance(layer, SVDLayer):
        return [] if layer.bias is None else [layer.bias]
    if hasattr(layer, "state_variables"):
        return []  # What a teacher remembers.
    inside = {id(v) for each in flatten_layers(layer) for v in each.variables}
    own = [v for v in layer.variables if id(v) not in inside]
    return [v for v in own if keras.backend.is_float_dtype(v.dtype)]


def _functions(model):
    """The operations of a graph that are no layers, as `x + y`; of nested ones, too."""
    found = []
    for operation in getattr(model, "operations", getattr(model, "layers", [])):
        if is_graph(operation):
            found += _functions(operation)
        elif not isinstance(operation, keras.Layer):
            found.append(operation)
    return found


def _lasting_by_layer(layers):
    """What `fold` keeps by layer; a layer, or a variable, in several places is once."""
    seen: set[int] = set()
    found: dict[keras.Layer, list] = {}
    for layer in layers:
        own = [v for v in lasting_variables(layer) if id(v) not in seen]
        seen.update(map(id, own))
        found[layer] = [*found.get(layer, []), *own]
    return found

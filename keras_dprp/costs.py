"""What a network costs at given ranks: parameters, multiply-accumulates, and time."""

import collections
import math
import re
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_dprp.graph import flatten_layers, is_graph, layer_calls
from keras_dprp.kernels import WITH_KERNEL
from keras_dprp.layers import SVDLayer

METRICS = ("macs", "parameters")
LATENCY = "latency"
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@dataclass
class LayerCost:
    """Cost of one factorised layer as a function of its rank.

    MACs and time are summed over every call of the layer; parameters count once. A
    layer whose pair would need as many MACs as the dense one counts as dense, as `fold`
    builds it.

    Attributes:
        layer: The layer.
        profile: A `Profile`, or None.
        input_shapes: A list of the shape at every call.
    """

    layer: SVDLayer
    profile: Any = None
    input_shapes: list = field(default_factory=list)

    def at(self, metric, rank):
        """Cost at `rank` (None: dense) of the form that `fold` chooses."""
        if rank is not None and not pair_is_cheaper(self.layer, rank):
            rank = None
        shapes = self.input_shapes[:1] if metric == "parameters" else self.input_shapes
        return sum(
            self._of(metric, operation)
            for shape in shapes
            for operation in self.layer.matrix.operations(shape, rank)
        )

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
    is known with a profile: all that is not factorised takes what is left of the dense
    network's.

    Args:
        model: A built model.
        profile: A `Profile`, or None.

    Attributes:
        layers: Dict from a factorised layer to its `LayerCost`.
        other_macs: Counter of the MACs of all calls of another layer.
        other: Dict from every metric that is known to the cost of all that is not
            factorised.
    """

    def __init__(self, model, profile=None):
        every_layer = flatten_layers(model)
        self.layers = {
            layer: LayerCost(layer, profile)
            for layer in every_layer
            if isinstance(layer, SVDLayer) and layer.built
        }
        self.other_macs: collections.Counter = collections.Counter()
        for call in layer_calls(model) if is_graph(model) else ():
            if call.layer in self.layers:
                self.layers[call.layer].input_shapes.append(call.input_shape)
            elif macs := _stock_macs(call):
                self.other_macs[call.layer] += macs
        for cost in self.layers.values():
            cost.input_shapes = cost.input_shapes or [cost.layer.built_input_shape]
        # A layer in several places counts once.
        lasting = {id(v): v for each in every_layer for v in lasting_variables(each)}
        self.other = {
            "parameters": sum(math.prod(v.shape) for v in lasting.values()),
            "macs": sum(self.other_macs.values()),
        }
        if profile is not None:
            dense = sum(cost.dense(LATENCY) for cost in self.layers.values())
            self.other[LATENCY] = max(profile.dense - dense, 0.0)

    def dense(self, metric):
        """Cost of the network with every kernel dense."""
        return self.other[metric] + sum(c.dense(metric) for c in self.layers.values())

    def at(self, metric, ranks):
        """Cost at other ranks than now, given as a dict from layer to rank."""
        return self.other[metric] + sum(
            cost.at(metric, ranks.get(layer, rank_now(layer)))
            for layer, cost in self.layers.items()
        )

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


def shares_text(kept):
    """Shares as `kept_shares` gives them, as text."""
    text = f"{kept['parameters_kept']:.1%} of the parameters and "
    text += f"{kept['macs_kept']:.1%} of the MACs kept"
    if "latency_kept" in kept:
        text += f", {kept['latency_kept']:.1%} of the latency by the profile"
    return text


def rank_now(layer):
    """The rank of a layer; None while it is dense."""
    return None if layer.is_dense else layer.rank


def pair_is_cheaper(layer, rank):
    """Whether two layers of `rank` need fewer MACs than the dense one."""
    return layer.matrix.pair_share(layer.built_input_shape, rank) < 1


def lasting_variables(layer):
    """The variables of a layer itself that `fold` keeps, the kernel's state aside."""
    if isinstance(layer, SVDLayer):
        return [] if layer.bias is None else [layer.bias]
    if hasattr(layer, "state_variables"):
        return []  # What a teacher remembers.
    inside = {id(v) for each in flatten_layers(layer) for v in each.variables}
    own = [v for v in layer.variables if id(v) not in inside]
    return [v for v in own if keras.backend.is_float_dtype(v.dtype)]


def _stock_macs(call):
    """MACs of one call of a stock convolution or dense layer; 0 for other layers."""
    layer, inputs, outputs = call.layer, call.input_shape, call.output_shape
    if not isinstance(layer, WITH_KERNEL):
        return 0
    if isinstance(layer, keras.layers.Dense):
        return math.prod(outputs[1:]) * inputs[-1]
    if isinstance(layer, keras.layers.EinsumDense):
        _, kernel, result = re.split(",|->", layer.equation)
        sizes = zip(kernel, layer.kernel.shape, strict=True)
        summed = [size for axis, size in sizes if axis not in result]
        return math.prod([*outputs[1:], *summed])
    kernels = (
        [layer.depthwise_kernel, layer.pointwise_kernel]
        if hasattr(layer, "pointwise_kernel")
        else [layer.kernel]
    )
    # Each number in a kernel is used once at every position.
    shape = inputs if isinstance(layer, _TRANSPOSED) else outputs
    channels = shape[1 if layer.data_format == "channels_first" else -1]
    positions = math.prod(shape[1:]) // channels
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)

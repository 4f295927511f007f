"""What a network costs at given ranks: parameters and multiply-accumulates."""

import math
import re
from dataclasses import dataclass, field

import keras

from keras_dprp.graph import flatten_layers, is_graph, layer_calls
from keras_dprp.layers import SVDLayer

METRICS = ("macs", "parameters")
UNITS = {"macs": "MACs", "parameters": "parameters"}


@dataclass
class LayerCost:
    """Cost of one factorised layer as a function of its rank.

    MACs are summed over every call of the layer; parameters count once. A layer whose
    pair would need as many MACs as the dense one counts as dense, as `fold` builds it.
    """

    layer: SVDLayer
    input_shapes: list = field(default_factory=list)

    def dense(self, metric):
        """Cost of the dense kernel."""
        if metric == "parameters":
            return self.layer.matrix.dense_parameters()
        return sum(self.layer.matrix.dense_macs(shape) for shape in self.input_shapes)

    def at(self, metric, rank):
        """Cost at `rank` (None: dense) of the form that `fold` chooses."""
        if rank is None or not pair_is_cheaper(self.layer, rank):
            return self.dense(metric)
        if metric == "parameters":
            return self.layer.matrix.pair_parameters(rank)
        return sum(self.layer.matrix.pair_macs(x, rank) for x in self.input_shapes)

    def now(self, metric):
        """Cost in the state it has now."""
        return self.at(metric, rank_now(self.layer))


class NetworkCost:
    """Parameters and MACs of a whole network, factorised layers by their rank.

    Parameters are all numbers that `fold` would keep, frozen ones and statistics
    included. MACs are those of convolutions and dense layers, of all that are called
    by the model or a model in it. Inside other layers, and in a subclassed model, only
    factorised layers are known, each counted once at the input it was built with.

    Args:
        model: A built model.

    Attributes:
        layers: Dict from a factorised layer to its `LayerCost`.
        other_macs: Dict from another layer to the MACs of its calls.
    """

    def __init__(self, model):
        self.layers = {
            layer: LayerCost(layer)
            for layer in flatten_layers(model)
            if isinstance(layer, SVDLayer) and layer.built
        }
        self.other_macs: dict[keras.Layer, int] = {}
        for call in layer_calls(model) if is_graph(model) else ():
            if call.layer in self.layers:
                self.layers[call.layer].input_shapes.append(call.input_shape)
            elif stock_macs(call):
                earlier = self.other_macs.get(call.layer, 0)
                self.other_macs[call.layer] = earlier + stock_macs(call)
        for cost in self.layers.values():
            cost.input_shapes = cost.input_shapes or [cost.layer.built_input_shape]
        self.other = {
            "parameters": self._other_parameters(model),
            "macs": sum(self.other_macs.values()),
        }

    def _other_parameters(self, model):
        # A layer in several places counts once.
        variables = {
            id(variable): variable
            for layer in flatten_layers(model)
            for variable in lasting_variables(layer)
        }
        return sum(math.prod(variable.shape) for variable in variables.values())

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

    def fixed(self, metric, layers):
        """Cost now of all but these factorised layers, which have ranks to choose."""
        return self.now(metric) - sum(self.layers[x].now(metric) for x in layers)

    def kept(self, metric):
        """Share of the dense network's cost that is kept now."""
        dense = self.dense(metric)
        return self.now(metric) / dense if dense else 1.0

    def kept_shares(self):
        """The shares kept of every metric, by the names that logs have for them."""
        return {f"{metric}_kept": self.kept(metric) for metric in METRICS}


def rank_now(layer):
    """The rank of a layer; None while it is dense."""
    return None if layer.is_dense else layer.rank


def pair_is_cheaper(layer, rank):
    """Whether two layers of `rank` need fewer MACs than the dense one."""
    return layer.matrix.pair_share(layer.built_input_shape, rank) < 1


def lasting_variables(layer):
    """The variables of a layer itself that `fold` keeps, the kernel's state aside."""
    own = [v for v in layer.variables if not _inside(v, layer)]
    if isinstance(layer, SVDLayer):
        return [] if layer.bias is None else [layer.bias]
    if hasattr(layer, "variables_of_any_shape"):
        return []  # What a teacher remembers.
    return [v for v in own if keras.backend.is_float_dtype(v.dtype)]


def _inside(variable, layer):
    """Whether a layer within this one has the variable."""
    return any(v is variable for each in flatten_layers(layer) for v in each.variables)


def stock_macs(call):
    """MACs of one call of a stock convolution or dense layer; 0 for other layers."""
    layer, shape, outputs = call.layer, call.input_shape, call.output_shape
    if isinstance(layer, keras.layers.Dense):
        return math.prod(outputs[1:]) * shape[-1]
    if isinstance(layer, keras.layers.EinsumDense):
        return math.prod(outputs[1:]) * _contracted(layer)
    if isinstance(layer, _SEPARABLE):
        axis = _channel_axis(layer)
        spatial = math.prod(outputs[1:]) // outputs[axis]
        depthwise = math.prod(layer.depthwise_kernel.shape)
        return spatial * (depthwise + math.prod(layer.pointwise_kernel.shape))
    if isinstance(layer, _TRANSPOSED):
        axis = _channel_axis(layer)
        spatial = math.prod(shape[1:]) // shape[axis]
        return spatial * math.prod(layer.kernel.shape)
    if isinstance(layer, _CONVOLUTIONS):
        axis = _channel_axis(layer)
        spatial = math.prod(outputs[1:]) // outputs[axis]
        return spatial * math.prod(layer.kernel.shape)
    return 0


_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def _contracted(layer):
    """How many products of an EinsumDense are summed up to one output."""
    _, kernel, outputs = re.split(",|->", layer.equation)
    sizes = dict(zip(kernel, layer.kernel.shape, strict=True))
    return math.prod(size for axis, size in sizes.items() if axis not in outputs)


def _channel_axis(layer):
    return 1 if layer.data_format == "channels_first" else -1

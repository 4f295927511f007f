"""What a network costs at given ranks: parameters and multiply-accumulates."""

import math
import re
from dataclasses import dataclass, field

import keras

from keras_dprp.graph import is_graph, layer_calls
from keras_dprp.layers import SVDLayer
from keras_dprp.resize import flatten_layers

METRICS = ("parameters", "macs")


@dataclass
class LayerCost:
    """Cost of one factorised layer as a function of its rank.

    MACs are summed over every call of the layer; parameters count once, and only
    trainable ones. A layer whose pair would need as many MACs as the dense one counts
    as dense, as `fold` builds it.
    """

    layer: SVDLayer
    input_shapes: list = field(default_factory=list)

    def dense(self, metric):
        """Cost of the dense kernel."""
        if metric == "parameters":
            return self.layer.dense_parameters() if self.layer.trainable else 0
        return sum(self.layer.dense_macs(shape) for shape in self.input_shapes)

    def at(self, metric, rank):
        """Cost at `rank` of the form that `fold` chooses."""
        if not self.layer.pair_is_cheaper(rank):
            return self.dense(metric)
        if metric == "parameters":
            return self.layer.pair_parameters(rank) if self.layer.trainable else 0
        return sum(self.layer.pair_macs(shape, rank) for shape in self.input_shapes)


class NetworkCost:
    """Parameters and MACs of a whole network, factorised layers by their rank.

    MACs are those of convolutions and dense layers, of all that are called by the
    model or a model in it. Inside other layers, and in a subclassed model, only
    factorised layers are known, each counted once at the input it was built with.

    Args:
        model: A built model that holds factorised layers.
    """

    def __init__(self, model):
        self.layers = {
            id(layer): LayerCost(layer)
            for layer in flatten_layers(model)
            if isinstance(layer, SVDLayer) and layer.built
        }
        self.other = {"parameters": self._other_parameters(model), "macs": 0}
        for call in layer_calls(model) if is_graph(model) else ():
            if id(call.layer) in self.layers:
                self.layers[id(call.layer)].input_shapes.append(call.input_shape)
            else:
                self.other["macs"] += stock_macs(call)
        for cost in self.layers.values():
            cost.input_shapes = cost.input_shapes or [cost.layer.built_input_shape]

    def _other_parameters(self, model):
        factors = {
            id(variable)
            for cost in self.layers.values()
            for variable in (cost.layer.U, cost.layer.s, cost.layer.V)
        }
        others = [v for v in model.trainable_variables if id(v) not in factors]
        return sum(math.prod(variable.shape) for variable in others)

    def dense(self, metric):
        """Cost of the network with every kernel dense."""
        return self.other[metric] + sum(c.dense(metric) for c in self.layers.values())

    def at(self, metric, ranks):
        """Cost at other ranks than now, given as a dict from `id(layer)` to rank."""
        return self.other[metric] + sum(
            cost.at(metric, ranks.get(key, cost.layer.rank))
            for key, cost in self.layers.items()
        )

    def now(self, metric):
        """Cost at the ranks the layers have now."""
        return self.at(metric, {})

    def kept(self, metric):
        """Share of the dense network's cost that is kept now."""
        dense = self.dense(metric)
        return self.now(metric) / dense if dense else 1.0


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

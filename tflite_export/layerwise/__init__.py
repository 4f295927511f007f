"""A file's tensors against the outputs of Keras's layers, one by one."""

from tflite_export.layerwise.compare import compare_layers
from tflite_export.layerwise.layers_report import LayerCheck, LayersReport
from tflite_export.layerwise.plots import plot_layers

__all__ = ["LayerCheck", "LayersReport", "compare_layers", "plot_layers"]

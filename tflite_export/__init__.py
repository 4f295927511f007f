"""From a Keras model of any backend to a checked, timed .tflite file.

Importing this package is cheap: Keras, TensorFlow and LiteRT are imported by the
functions that need them.
"""

from tflite_export.exporter import export
from tflite_export.layerwise import (
    LayerCheck,
    LayersReport,
    compare_layers,
    plot_layers,
)
from tflite_export.predict import predict
from tflite_export.report import ExportReport

__all__ = [
    "ExportReport",
    "LayerCheck",
    "LayersReport",
    "compare_layers",
    "export",
    "plot_layers",
    "predict",
]

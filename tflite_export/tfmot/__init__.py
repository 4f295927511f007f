"""TensorFlow Model Optimization for classifiers of Keras 3, whatever their backend.

tensorflow-model-optimization (tfmot) trains models of tf_keras, Keras 2 under a new
name. So a model is taken there layer by layer, in a process of its own, trained, and
brought back; outputs are compared on both ways. Importing this package is cheap.
"""

from tflite_export.tfmot.cluster import cluster
from tflite_export.tfmot.compressed import CompressedSize, compressed_size
from tflite_export.tfmot.prune import prune
from tflite_export.tfmot.quantize_aware import quantize_aware
from tflite_export.tfmot.round_trip import round_trip

__all__ = [
    "CompressedSize",
    "cluster",
    "compressed_size",
    "prune",
    "quantize_aware",
    "round_trip",
]

"""What can be asked for: each task is a function of a job and its model.

It returns a model whose weights go back, or None, and what else it has to answer.
"""

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

# Where tfmot's own guides import it from: it is no part of the public interface yet.
from tensorflow_model_optimization.python.core.clustering.keras.experimental import (
    cluster as experimental,
)

from tflite_export.tfmot.legacy.fit import fit


def nothing(job, model):
    """Leave the model as it is."""
    return model, None


def prune(job, model, sparsity, layers):
    """Train while the share of zeros in the kernels of some layers rises.

    Args:
        job: A `Job`.
        model: What `replay` made of it.
        sparsity: Share of zeros at the end.
        layers: Names of the layers, in the model.
    """
    sparse = tfmot.sparsity.keras
    # A quarter of the steps is left to recover. An update sorts every kernel, so there
    # are about a hundred; the last of them, which counts, must fall on the last step.
    every = max(job.training_steps * 3 // 4 // 100, 1)
    updates = max(job.training_steps * 3 // 4 // every, 1)
    schedule = sparse.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=sparsity,
        begin_step=0,
        end_step=every * updates,
        frequency=every,
    )

    def wrap(layer):
        if layer.name not in layers:
            return layer
        return sparse.prune_low_magnitude(layer, pruning_schedule=schedule)

    wrapped = tf_keras.models.clone_model(model, clone_function=wrap)
    fit(job, wrapped, [sparse.UpdatePruningStep()])
    return sparse.strip_pruning(wrapped), None


def cluster(job, model, clusters, layers):
    """Train while the weights of the kernels of some layers share few values.

    Args:
        job: A `Job`.
        model: What `replay` made of it.
        clusters: Number of values for each kernel.
        layers: Names of the layers, in the model.
    """
    clustering = tfmot.clustering.keras

    def wrap(layer):
        if layer.name not in layers or _has_few_values(layer, clusters):
            return layer
        return experimental.cluster_weights(
            layer,
            number_of_clusters=clusters,
            cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
            # It takes a value for zero, which only pruned kernels make use of.
            preserve_sparsity=bool((layer.kernel.numpy() == 0).any()),
        )

    wrapped = tf_keras.models.clone_model(model, clone_function=wrap)
    fit(job, wrapped)
    return clustering.strip_clustering(wrapped), None


def _has_few_values(layer, clusters):
    """Whether a kernel cannot have more values than asked for, and needs no wrapper."""
    kernel = layer.kernel.numpy()
    if np.count_nonzero(kernel) >= clusters:
        return False
    # Zeros that were trained would be as many values again.
    layer.trainable = kernel.size <= clusters
    return True


def quantize(job, model, path, io_dtype, labels, input_range):
    """Train as if the model were int8; write and check its file."""
    from tflite_export.description import describe
    from tflite_export.tfmot.legacy.convert import check_int8, int8_file
    from tflite_export.tfmot.legacy.quantizers import set_ranges
    from tflite_export.tfmot.legacy.rounding import rounded

    model = rounded(job.steps, job.weights, job.input["shape"])
    set_ranges(model, job.x, job.batch_size)
    fit(job, model)
    content = describe(int8_file(job, model, io_dtype), labels, input_range)
    return None, check_int8(job, model, content, path).to_dict()

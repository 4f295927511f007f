"""From a model that was trained to be rounded to its int8 file."""

import tempfile

import tensorflow as tf

from tflite_export.build import check
from tflite_export.causes import translated
from tflite_export.convert import run_converter
from tflite_export.graph import ModelInput
from tflite_export.quiet import quiet
from tflite_export.samples import Samples
from tflite_export.settings import Settings
from tflite_export.tfmot.legacy.replay import outputs_of
from tflite_export.verify import MAX_SAMPLES


def int8_file(job, model, io_dtype):
    """Convert a trained model with tfmot's wrappers; returns the file's bytes."""

    def configure(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.as_dtype(io_dtype)
        converter.inference_output_type = tf.as_dtype(io_dtype)

    with quiet(), tempfile.TemporaryDirectory() as folder, translated("int8"):
        _save(job, model, folder)
        return run_converter(folder, configure)


def check_int8(job, model, content, path):
    """Write a file and compare it with its model; returns an `ExportReport`."""
    x = job.x[:MAX_SAMPLES]
    samples = Samples(
        [ModelInput(**job.input)], [x], {job.output: outputs_of(model, x)}
    )
    settings = Settings("int8", class_scores=(job.output,))
    return check(content, path, samples, settings)


def _save(job, model, folder):
    """Write a SavedModel with a batch of 1 and the names that a file has elsewhere."""
    tensor = tf.TensorSpec(
        (1, *job.input["shape"]), job.input["dtype"], name=job.input["name"]
    )
    holder = tf.Module()
    holder.model = model

    @tf.function(input_signature=[tensor])
    def serve(x):
        return {job.output: model(x, training=False)}

    tf.saved_model.save(holder, folder, signatures=serve)

"""A Keras model on the TensorFlow backend in, the bytes of a .tflite file out."""

import functools
import tempfile

from tflite_export.causes import translated
from tflite_export.graph import call_flat
from tflite_export.interpreter import count_operations
from tflite_export.pixels import as_floats, pixel_function, takes_pixels


def convert(model, samples, settings):
    """Convert a model, by way of a SavedModel, to a file with a batch of 1.

    `model.export(format="litert")` would let through operations that LiteRT lacks,
    and converting from concrete functions gives NaN with Keras 3.

    Args:
        model: A float32 model of stock layers, on the TensorFlow backend.
        samples: A `Samples`; all of them calibrate.
        settings: A `Settings`.

    Returns:
        The file's bytes, and the size of the same model as a float32 file; None if
        it is one.

    Raises:
        ValueError: If LiteRT lacks an operation, or cannot quantize one.
        RuntimeError: If the converter fails otherwise.
    """
    call, input_dtype = functools.partial(call_flat, model), settings.io_dtype
    inputs, arrays = samples.inputs, samples.arrays
    quantization = settings.quantization
    if quantization == "int8" and takes_pixels(inputs, arrays, input_dtype):
        function = pixel_function(model)
        if function is not None:
            call, input_dtype = function, "uint8"
            inputs, arrays = as_floats(inputs, arrays)
    with tempfile.TemporaryDirectory() as folder:
        with translated(quantization, model):
            _save(model, call, inputs, list(samples.outputs), folder)
            plain = run_converter(folder)
        if quantization is None:
            return plain, None
        if quantization == "int8":
            _refuse_loops(count_operations(plain))
        with translated(quantization, model):
            if quantization == "dynamic":
                return _quantize_dynamic(plain), len(plain)
            setup = functools.partial(
                _configure,
                settings=settings,
                data=_calibration_data(inputs, arrays),
                input_dtype=input_dtype,
            )
            return run_converter(folder, setup), len(plain)


def _save(model, call, inputs, output_names, folder):
    import keras
    import tensorflow as tf

    def serve(*tensors):
        return dict(zip(output_names, call(list(tensors)), strict=True))

    signature = [
        tf.TensorSpec((1, *tensor.shape), tensor.dtype, name=tensor.name)
        for tensor in inputs
    ]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=signature)
    archive.write_out(folder, verbose=False)


def run_converter(folder, configure=None):
    """Convert a SavedModel to the bytes of a file; `configure` gets the converter."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if configure is not None:
        configure(converter)
    return converter.convert()


def _refuse_loops(operations):
    # Calibrating a loop ends the whole process with a segmentation fault.
    if "WHILE" in operations:
        raise ValueError(
            "int8 cannot quantize a loop (operation WHILE), as recurrent layers have. "
            "Use quantization='dynamic', which can. (Built with `unroll=True` they "
            "have no loop, but files several times as large.)"
        )


def _configure(converter, settings, data, input_dtype):
    """Set up a `tf.lite.TFLiteConverter` for "float16" or "int8"."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if settings.quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
        return
    converter.representative_dataset = data
    # Without this, more than what LiteRT has only in float would stay float.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.as_dtype(input_dtype)
    converter.inference_output_type = tf.as_dtype(settings.io_dtype)


def _calibration_data(inputs, arrays):
    """Return a function that yields a dict of arrays, batch 1, for each sample."""
    names = [tensor.name for tensor in inputs]

    def samples_of_one():
        for index in range(len(arrays[0])):
            rows = [array[index : index + 1] for array in arrays]
            yield dict(zip(names, rows, strict=True))

    return samples_of_one


def _quantize_dynamic(content):
    """Give a float32 file int8 weights; activations are quantized as it runs.

    TensorFlow's converter leaves kernels of under 1024 elements in float, which
    is what most factors are.
    """
    from ai_edge_quantizer import quantizer, recipe

    job = quantizer.Quantizer(bytearray(content), recipe.dynamic_wi8_afp32())
    result = job.quantize(enable_progress_report=False)
    return bytes(result.quantized_model)

"""A Keras model on the TensorFlow backend in, the bytes of a .tflite file out."""

import functools
import re
import tempfile

from tflite_export import quantize
from tflite_export.graph import call_flat
from tflite_export.operations import count_operations
from tflite_export.pixels import as_floats, pixel_function, takes_pixels


def convert(model, inputs, output_names, samples, settings):
    """Convert a model, by way of a SavedModel, to a file with a batch of 1.

    `model.export(format="litert")` would let through operations that LiteRT lacks,
    and converting from concrete functions gives NaN with Keras 3.

    Args:
        model: A float32 model of stock layers, on the TensorFlow backend.
        inputs: A list of `ModelInput`, every size known.
        output_names: Names the outputs get, in the order Keras has.
        samples: One array for each input, to calibrate with.
        settings: A `quantize.Settings`.

    Raises:
        ValueError: If LiteRT lacks an operation, or cannot quantize one.
        RuntimeError: If the converter fails otherwise.
    """
    call, input_dtype = functools.partial(call_flat, model), settings.io_dtype
    if settings.quantization == "int8" and takes_pixels(inputs, samples, input_dtype):
        function = pixel_function(model)
        if function is not None:
            call, input_dtype = function, "uint8"
            inputs, samples = as_floats(inputs, samples)
    with tempfile.TemporaryDirectory() as folder:
        _save(model, call, inputs, output_names, folder)
        content = run_converter(folder)
        if settings.quantization in ("float16", "int8"):
            if settings.quantization == "int8":
                _refuse_loops(count_operations(content))
            data = quantize.calibration_data(inputs, samples)
            content = run_converter(
                folder,
                lambda converter: quantize.configure(
                    converter, settings, data, input_dtype
                ),
            )
    if settings.quantization == "dynamic":
        content = quantize.quantize_dynamic(content)
    return content


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
    """Convert a SavedModel.

    Args:
        folder: Where it is.
        configure: A function that is called with the `tf.lite.TFLiteConverter`.

    Returns:
        The file's bytes.

    Raises:
        RuntimeError: If the converter fails.
        ValueError: If LiteRT lacks an operation.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if configure is not None:
        configure(converter)
    try:
        return converter.convert()
    except ConverterError as error:
        raise _explain(error) from error


def _explain(error):
    text = str(error)
    # One line for each group: "TF Select ops: Erfinv, Lgamma" or "Custom ops: ...".
    lists = re.findall(r"^\s*(?:TF Select|Flex|Custom) ops: (.+)$", text, re.MULTILINE)
    names = sorted({name for line in lists for name in re.split(r",\s*", line.strip())})
    if names:
        places = re.findall(r'fused\["(\w+):", "([^"@]+)@', text)
        layers = sorted({place for name, place in places if name in names})
        return ValueError(
            f"LiteRT has no operation for TensorFlow's {', '.join(names)}. "
            + (f"Found at: {', '.join(layers)}. " if layers else "")
            + "Use layers that do without."
        )
    return RuntimeError(f"The converter failed: {text.splitlines()[0]}")


def _refuse_loops(operations):
    # Calibrating a loop ends the whole process with a segmentation fault.
    if "WHILE" in operations:
        raise ValueError(
            "int8 cannot quantize a loop (operation WHILE), as recurrent layers have. "
            "Build them with `unroll=True`, or use quantization='dynamic'."
        )

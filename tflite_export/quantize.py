"""The kinds of quantization, and what each asks of the converters."""

from dataclasses import dataclass

QUANTIZATIONS = (None, "float16", "dynamic", "int8")
IO_DTYPES = ("float32", "int8", "uint8")


@dataclass(frozen=True)
class Settings:
    """What is asked for.

    Attributes:
        quantization: One of `QUANTIZATIONS`.
        io_dtype: Of inputs and outputs, one of `IO_DTYPES`.
        labels: As in `description.describe`.
        input_range: As in `description.describe`.
    """

    quantization: str | None = None
    io_dtype: str = "float32"
    labels: list[str] | None = None
    input_range: list[float] | None = None


def check_settings(quantization, io_dtype, representative_data):
    """Return the `Settings`, or raise a ValueError."""
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"`quantization` must be one of {QUANTIZATIONS}. Received: {quantization!r}"
        )
    if io_dtype not in IO_DTYPES:
        raise ValueError(
            f"`io_dtype` must be one of {IO_DTYPES}. Received: {io_dtype!r}"
        )
    if io_dtype != "float32" and quantization != "int8":
        raise ValueError(
            f"`io_dtype='{io_dtype}'` needs quantization='int8'. "
            f"Received: quantization={quantization!r}"
        )
    if quantization == "int8" and representative_data is None:
        raise ValueError(
            "quantization='int8' needs `representative_data`: an array of a hundred "
            "or more typical inputs (a list or a dict of arrays for several inputs), "
            "samples first, prepared as for training. Received: None"
        )
    return Settings(quantization, io_dtype)


def configure(converter, settings, data, input_dtype):
    """Set up TensorFlow's converter for "float16" or "int8".

    Args:
        converter: A `tf.lite.TFLiteConverter`.
        settings: The `Settings`.
        data: A function that yields a dict of arrays for each sample.
        input_dtype: Of an "int8" file's float inputs, one of `IO_DTYPES`.
    """
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


def calibration_data(inputs, samples):
    """Return a function that yields a dict of arrays, batch 1, for each sample."""
    names = [tensor.name for tensor in inputs]

    def samples_of_one():
        for index in range(len(samples[0])):
            arrays = [array[index : index + 1] for array in samples]
            yield dict(zip(names, arrays, strict=True))

    return samples_of_one


def quantize_dynamic(content):
    """Give a float32 file int8 weights; activations are quantized as it runs.

    TensorFlow's converter leaves kernels of under 1024 elements in float, which
    is what most factors are.

    Args:
        content: The file's bytes.
    """
    from ai_edge_quantizer import quantizer, recipe

    job = quantizer.Quantizer(bytearray(content), recipe.dynamic_wi8_afp32())
    result = job.quantize(enable_progress_report=False)
    return bytes(result.quantized_model)

"""Files of single operations, out of which a profile of a device is made.

For every size that a layer of a network can have, dense or at some ranks, there is a
small .tflite file that does nothing else. The device times them (`profile.py`).
"""

import dataclasses
from pathlib import Path

from tflite_export.profile import COPIES, folder_of, write
from tflite_export.quiet import quiet
from tflite_export.settings import Settings
from tflite_export.staging import staged

# A rank in between counts as the next larger one: most kernels work in such steps.
STEP = 8
MOST_RANKS = 12
SHOWN = 10  # files, after which the progress is said
PROFILED = (None, "int8")


def write_files(model, path, quantization=None, verbose=True):
    """Write the files of a network's operations, and a profile without times.

    They are in a folder beside the profile, of its name. TensorFlow must be the
    backend.

    Args:
        model: A network of stock layers, or one that `factorize` made and nothing has
            cut yet.
        path: Of the profile, a .json file that is not there yet.
        quantization: None (float32) or "int8".
        verbose: Whether to show the progress.

    Raises:
        ValueError: If the profile or its folder is there, the quantization is another
            one, or the model has been cut or has no layer that can be.
    """
    from keras_dprp import fold
    from keras_dprp.profiles import FORMAT

    _check(path, quantization)
    model, operations = operations_of(model)
    folder = folder_of(path)
    with staged(path) as temporary:
        folder.mkdir()
        write_file(fold(model), folder / "network.tflite", quantization)
        entries = []
        for number, operation in enumerate(operations):
            file = folder / f"{number:03}.tflite"
            write_file(operation_model(operation), file, quantization)
            entries.append({**dataclasses.asdict(operation), **_untimed(file)})
            if verbose and (number + 1) % SHOWN == 0:
                print(f"{number + 1} of {len(operations)} files written", flush=True)
        content = {
            "format": FORMAT,
            "quantization": quantization,
            "device": None,
            "network": _untimed(folder / "network.tflite"),
            "operations": entries,
        }
        write(content, temporary)
    if verbose:
        print(
            f"Copy {path} and the folder {folder} to the device, and there run\n"
            f"    python -m tflite_export --profile {Path(path).name}"
        )


def operations_of(model):
    """A factorised model, and every operation of its layers, dense and at some ranks.

    Args:
        model: As for `write_files`.
    """
    from keras_dprp import factorize
    from keras_dprp.costs import NetworkCost

    cost = NetworkCost(model)
    if not cost.layers:
        model = factorize(model)
        cost = NetworkCost(model)
    cut = [layer.name for layer in cost.layers if not layer.is_dense]
    if cut:
        raise ValueError(
            "A profile must be of a dense network. "
            f"Received: model '{model.name}' with layers {cut}, which are cut"
        )
    operations: dict = {}
    for layer, own in cost.layers.items():
        for shape in own.input_shapes:
            for rank in [None, *_ranks(layer)]:
                operations |= dict.fromkeys(layer.matrix.operations(shape, rank))
    return model, list(operations)


def operation_model(operation):
    """A model that does an operation several times, on one input."""
    import keras

    if operation.kernel:
        shape = (*operation.inputs, operation.channels)
        layers = [_convolution(operation) for _ in range(COPIES)]
    else:
        vectors = [size for size in operation.inputs if size > 1]
        shape = (*vectors, operation.channels)
        layers = [keras.layers.Dense(operation.filters) for _ in range(COPIES)]
    inputs = keras.Input(shape)
    return keras.Model(inputs, [layer(inputs) for layer in layers])


def _convolution(operation):
    import keras

    name = f"Conv{len(operation.kernel)}D"
    arguments = {
        "strides": operation.strides,
        "padding": operation.padding,
        "data_format": "channels_last",
        "dilation_rate": operation.dilation_rate,
    }
    if operation.is_transposed:
        name += "Transpose"
    else:
        arguments["groups"] = operation.groups
    kind = getattr(keras.layers, name)
    return kind(operation.filters, operation.kernel, **arguments)


def _ranks(layer):
    """Ranks to time: a step apart, and the largest at which a pair is still cheaper."""
    from keras_dprp.ranks import lower_ranks

    pays = lower_ranks(layer, multiple_of=1, min_rank=1)
    if not pays:
        return []
    step = STEP * -(-len(pays) // (STEP * MOST_RANKS))
    return sorted({*range(step, pays[-1], step), pays[-1]})


def _check(path, quantization):
    if quantization not in PROFILED:
        raise ValueError(
            f"The `quantization` of a profile must be one of {PROFILED}. "
            f"Received: {quantization!r}"
        )
    folder = folder_of(path)
    for place in (Path(path), folder):
        if place.exists():
            raise ValueError(
                f"A new profile must not be there yet. Received: '{place}' exists"
            )


def _untimed(file):
    return {"file": file.name, "milliseconds": None}


def write_file(model, path, quantization):
    """Write a .tflite file of which only the time matters: nothing is compared.

    Args:
        model: A network of stock layers.
        path: Of the file, a `Path`.
        quantization: None (float32) or "int8"; then inputs and outputs are int8, too.
    """
    from tflite_export.convert import convert
    from tflite_export.graph import model_inputs
    from tflite_export.samples import Samples, resolve
    from tflite_export.verify import keras_outputs

    inputs, arrays = resolve(model_inputs(model), None)
    samples = Samples(inputs, arrays, keras_outputs(model, arrays))
    # No time goes into turning integers into floats and back.
    io_dtype = "int8" if quantization == "int8" else "float32"
    with quiet():
        content, _ = convert(model, samples, Settings(quantization, io_dtype))
    path.write_bytes(content)

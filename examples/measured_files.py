"""Networks in, checked .tflite files out, with what each costs and how good it is."""

import contextlib
import io
import re
import statistics

import numpy as np
from file_times import timings_of

import keras_dprp as dprp
import tflite_export

FORMS = {"float32": None, "int8": "int8"}
CALIBRATION = 300  # images, for int8
# A file's latency depends by some per cent on where its tensors happen to lie.
LOADS = 5
RUNS = 300  # of each file, each time it is loaded


def measure(networks, training, validation, test, folder):
    """Save classifiers, export each to float32 and int8, and measure the files.

    Args:
        networks: A dict from a name to a trained model whose output has one number a
            class; factorised or not.
        training: Tuple of images, float32 (n, ...), and labels, ints (n,); the images
            serve to calibrate int8.
        validation: Likewise, to choose a file by.
        test: Likewise, to say how good it is.
        folder: A `Path`; gets a .keras file of stock layers and two .tflite files of
            every network.

    Returns:
        A list of dicts, one for each file, all float32 files first: "network", "form",
        "file", "parameters", "macs", "bytes", "latency_ms" (milliseconds on one
        thread), "validation_accuracy" and "test_accuracy" (shares of the images).
    """
    plain = {name: dprp.fold(network) for name, network in networks.items()}
    for name, network in plain.items():
        network.save(folder / f"{file_stem(name)}.keras")
    rows = []
    for form, quantization in FORMS.items():
        for name, network in plain.items():
            path = folder / f"{file_stem(name)}-{form}.tflite"
            images = training[0][:CALIBRATION]
            report = tflite_export.export(
                network, path, quantization, images, verbose=False
            )
            rows.append(
                {
                    "network": name,
                    "form": form,
                    "file": path.name,
                    **costs(network),
                    "bytes": report.bytes,
                    "validation_accuracy": accuracy(path, *validation),
                    "test_accuracy": accuracy(path, *test),
                }
            )
    timings = timings_of([folder / row["file"] for row in rows], LOADS, RUNS)
    for row in rows:
        loads = timings[str(folder / row["file"])]
        row["latency_ms"] = statistics.median(each.median_ms for each in loads)
    return rows


def file_stem(name):
    """A network's name as that of a file."""
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def costs(network):
    """Parameters, and MACs for one sample."""
    with contextlib.redirect_stdout(io.StringIO()):  # of its table
        report = dprp.summary(network)
    return {"parameters": report.parameters, "macs": report.macs}


def accuracy(path, images, labels):
    """Share of the images whose class LiteRT finds with this file."""
    scores = tflite_export.predict(path, images)
    return float(np.mean(scores.argmax(axis=-1) == labels))

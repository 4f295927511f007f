"""What int8 costs a folded network, by how its pairs of kernels share the scales.

    python benchmarks/quantization/run.py MODEL.keras ... --data cifar10.npz

Each model is a folded CIFAR-10 network of `examples/cifar10.py`, trained with DPRP. Its
pairs of kernels are scaled anew, column by column, which leaves the float outputs as
they are. The int8 files are calibrated with some training images and run by LiteRT on
others; the network has seen both in its training, so what counts is the distance from
the float outputs, and no test image takes part in the choice. Writes `results.json`
beside this file.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from environment import describe  # noqa: E402

import tflite_export  # noqa: E402

SEED = 0
CALIBRATION = 200
EVALUATION = 2000


def columns(kernel, axis):
    """A kernel as a matrix with the axis that a pair shares last."""
    return np.moveaxis(kernel, axis, -1).reshape(-1, kernel.shape[axis])


def norm(kernel, axis):
    """Norm of each column."""
    return np.linalg.norm(columns(kernel, axis), axis=0)


def largest(kernel, axis):
    """Largest magnitude in each column."""
    return np.abs(columns(kernel, axis)).max(axis=0)


# Factors by which the first kernel's columns grow and the second's shrink, from the
# first kernel, the second one, and the largest activation between them.
BALANCES = {
    "sqrt(s) on both sides": lambda first, last, between: np.ones(first.shape[-1]),
    "U s | V": lambda first, last, between: norm(last, -2),
    "U | s V": lambda first, last, between: 1 / norm(first, -1),
    "equal largest weights": lambda first, last, between: np.sqrt(
        largest(last, -2) / largest(first, -1)
    ),
    "equal activations": lambda first, last, between: 1 / between,
    "activations like weights": lambda first, last, between: np.sqrt(
        largest(last, -2) / between
    ),
}


def pairs(model):
    """The first and the last layer of every pair."""
    names = {layer.name: layer for layer in model.layers}
    return [
        (layer, names[name.removesuffix("_first")])
        for name, layer in names.items()
        if name.endswith("_first")
    ]


def scale(model, balance, images):
    """Give every pair of a model the scales of one balance."""
    both = pairs(model)
    middle = keras.Model(model.inputs, [first.output for first, _ in both])
    between = middle.predict(images, verbose=0)
    for (first, last), activation in zip(both, between, strict=True):
        one, two = (keras.ops.convert_to_numpy(x.kernel) for x in (first, last))
        factors = BALANCES[balance](one, two, largest(activation, -1))
        first.kernel.assign(one * factors)
        last.kernel.assign(two / factors[:, None])


def measure(model, outputs, images, labels, calibration):
    """What the int8 file of a model is off on images; `outputs` are the float ones."""
    changed = np.abs(model.predict(images, verbose=0) - outputs).max()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        tflite_export.export(model, path, "int8", calibration, verbose=False)
        actual = tflite_export.predict(path, images)
    rms = np.sqrt(np.square(actual - outputs).mean()) / outputs.std()
    return {
        "accuracy": float((actual.argmax(-1) == labels).mean()),
        "agreement": float((actual.argmax(-1) == outputs.argmax(-1)).mean()),
        "error": float(rms),
        "float_outputs_changed_by": float(changed),
    }


def compare(path, images, labels):
    """A row for each balance of one network."""
    calibration, images = images[:CALIBRATION], images[CALIBRATION:]
    labels = labels[CALIBRATION:]
    model = keras.saving.load_model(path, compile=False)
    outputs = model.predict(images, verbose=0)
    weights = model.get_weights()
    rows = {}
    for balance in BALANCES:
        model.set_weights(weights)
        scale(model, balance, calibration)
        rows[balance] = measure(model, outputs, images, labels, calibration)
        print(f"{path.stem}, {balance}: {rows[balance]}", flush=True)
    accuracy = float((outputs.argmax(-1) == labels).mean())
    return {"model": path.stem, "float_accuracy": accuracy, "int8": rows}


def main():
    """Compare all balances on all models."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--data", required=True, type=Path, help="cifar10.npz")
    options = parser.parse_args()
    with np.load(options.data) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"].ravel()
    chosen = np.random.default_rng(SEED).permutation(len(images))
    chosen = chosen[: CALIBRATION + EVALUATION]
    images, labels = images[chosen].astype("float32"), labels[chosen]
    results = {
        "seed": SEED,
        "calibration_images": CALIBRATION,
        "images": EVALUATION,
        "networks": [compare(path, images, labels) for path in options.models],
        **describe(),
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

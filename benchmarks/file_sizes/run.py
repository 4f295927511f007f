"""Is the file that `export` writes within the budget of bytes that was asked for?

    python benchmarks/file_sizes/run.py

Networks get weights of random numbers, biases and the statistics of normalizations
too: what is zero or alike takes less in a file than what has been trained. Then they
are cut to shares of their bytes and exported. Takes a few minutes; writes
`results.json` beside this file.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Files are written on it.
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

import keras_dprp as dprp
import tflite_export

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "examples")]

import digits  # noqa: E402
import resnet  # noqa: E402
from environment import describe  # noqa: E402

SEED = 0
IMAGES = 64
FORMATS = {"float32": None, "int8": "int8"}
SHARES = (0.2, 0.4, 0.6, 0.8)


def cifar10(name):
    """A network of the CIFAR-10 example."""
    images = np.random.default_rng(SEED).integers(0, 256, (256, 32, 32, 3))
    return resnet.build(name, (32, 32, 3), 10, images.astype("float32"))


NETWORKS = {
    "the digits example": digits.build,
    "ResNet-20": lambda: cifar10("resnet20"),
    "ResNet-32": lambda: cifar10("resnet32"),
    "MobileNet, 64 x 64 pixels": lambda: keras.applications.MobileNet(
        (64, 64, 3), alpha=0.25, weights=None, classes=10
    ),
}


def build(name):
    """A network with numbers in it as if it were trained."""
    keras.utils.clear_session()  # Layers count on in their names.
    keras.utils.set_random_seed(SEED)
    model, rng = NETWORKS[name](), np.random.default_rng(SEED)
    for weight in model.weights:
        size = tuple(weight.shape)
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, size))
        elif weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(rng.normal(0, 0.1, size))
    return model


def colors(shape):
    """Images that differ, so that outputs do: noise around a color of each."""
    rng = np.random.default_rng(SEED)
    noise = rng.uniform(0, 64, (IMAGES, *shape))
    return (rng.uniform(0, 192, (IMAGES, 1, 1, shape[-1])) + noise).astype("float32")


def row_of(name, form, share, path):
    """What was asked for, foretold and written; None where the ranks cannot reach it.

    Args:
        name: Of the network.
        form: A key of `FORMATS`.
        share: Of the bytes of the dense network's file.
        path: Where to write the file.
    """
    model = dprp.factorize(build(name))
    size = {"metric": "bytes", "quantization": FORMATS[form]}
    try:
        plan = dprp.prune(model, target=share, **size)
    except ValueError:
        return None
    images = colors(model.input_shape[1:])
    tflite_export.export(model, path, FORMATS[form], images, verbose=False)
    return {
        "network": name,
        "format": form,
        "target": share,
        "dense_bytes": round(plan.bytes / plan.bytes_kept),
        "planned_bytes": plan.bytes,
        "bytes": path.stat().st_size,
    }


def main():
    """Cut and export all networks, and write the rows."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            for form in FORMATS:
                for share in SHARES:
                    row = row_of(name, form, share, Path(folder) / "model.tflite")
                    print(row, flush=True)
                    rows += [row] if row else []
    results = {"seed": SEED, **describe(), "rows": rows}
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

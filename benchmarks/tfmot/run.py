"""What quantization-aware training, pruning and clustering change in the files.

    python benchmarks/tfmot/run.py digits
    python benchmarks/tfmot/run.py NAME --model model.keras --data cifar10.npz

The first trains the digits example with DPRP for three seeds. Settings are the
defaults of `tflite_export.tfmot` unless options say otherwise, chosen on no test
image; accuracy is that of LiteRT on all of them. A network that was trained on images
moved and mirrored at random takes such copies (`--copies`): on plain images it forgets
in an epoch what it generalised. Writes `results/NAME.json` beside this file.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples")]

import digits  # noqa: E402
from augmentation import augmented  # noqa: E402
from environment import describe  # noqa: E402

import tflite_export  # noqa: E402
from tflite_export import tfmot  # noqa: E402

SEEDS = (0, 1, 2)
SPARSITY, CLUSTERS = 0.5, 16
CALIBRATION = 500  # images, for post-training int8


def variants(model, x, y, **settings):
    """Each way to make files of a model: its name, and a function that writes one."""

    def timed(train, *arguments, **more):
        start = time.perf_counter()
        result = train(*arguments, **settings, **more)
        print(f"{train.__name__}: {time.perf_counter() - start:.0f} s")
        return result

    def post_training(network, quantization):
        data = x[:CALIBRATION]
        return lambda path: tflite_export.export(
            network, path, quantization, data, verbose=False
        )

    def aware(network):
        return lambda path: timed(tfmot.quantize_aware, network, path, x, y)

    pruned = timed(tfmot.prune, model, x, y, sparsity=SPARSITY)
    networks = {
        "as trained": model,
        f"pruned to {SPARSITY:.0%}": pruned,
        f"clustered to {CLUSTERS}": timed(tfmot.cluster, model, x, y, CLUSTERS),
        "pruned, then clustered": timed(tfmot.cluster, pruned, x, y, CLUSTERS),
    }
    for name, network in networks.items():
        yield name, "float32", post_training(network, None)
        yield name, "int8", post_training(network, "int8")
        if "clustered" not in name:
            yield name, "int8, quantization-aware", aware(network)


def measure(model, training, test, **settings):
    """A row for each file: accuracy, bytes, and bytes when compressed."""
    rows = []
    for network, quantization, write in variants(model, *training, **settings):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            report = write(path)
            outputs = tflite_export.predict(path, test[0])
            size = tfmot.compressed_size(path)
        row = {
            "network": network,
            "quantization": quantization,
            "accuracy": float(np.mean(outputs.argmax(axis=-1) == test[1])),
            "bytes": size.bytes,
            "compressed": size.compressed,
            "latency_ms": report.latency_ms,
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def load(path):
    """Training and test images and labels of an .npz, as `examples/cifar10.py`."""
    with np.load(path) as arrays:
        parts = [
            (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")
        ]
    return [(x.astype("float32"), np.reshape(y, len(x))) for x, y in parts]


def sample(count, copies, images, labels):
    """Some of the images and labels, or copies of them if these are asked for."""
    # Some files are sorted by class.
    order = np.random.default_rng(0).permutation(len(labels))[:count]
    images, labels = images[order], labels[order]
    if copies:
        return augmented(images, copies, seed=0), np.tile(labels, copies)
    return images, labels


def given(**options):
    """Those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def main():
    """Measure one model, or the digits example for every seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="of the results")
    parser.add_argument("--model", help="a .keras file; else the digits example")
    parser.add_argument("--data", help="the .npz with its images")
    parser.add_argument("--images", type=int, help="to train on; else all")
    parser.add_argument("--copies", type=int, help="of each image, moved and mirrored")
    parser.add_argument("--epochs", type=int, help="of each training")
    parser.add_argument("--batch", type=int, help="images in a step")
    options = parser.parse_args()
    settings = given(epochs=options.epochs, batch_size=options.batch)
    if options.model:
        training, test = load(options.data)
        training = sample(options.images, options.copies, *training)
        model = keras.saving.load_model(options.model, compile=False)
        runs = [{"rows": measure(model, training, test, **settings)}]
    else:
        training, validation, test = digits.load_splits()
        runs = []
        for seed in SEEDS:
            model, _ = digits.train_with_dprp(training, validation, digits.EPOCHS, seed)
            rows = measure(model, training, test, **settings)
            runs.append({"seed": seed, "rows": rows})
    results = {
        **describe(),
        "images": len(training[1]),
        "test_images": len(test[1]),
        "model": options.model and Path(options.model).stem,
        "settings": {**settings, **given(copies=options.copies)},
        "runs": runs,
    }
    path = HERE / "results" / f"{options.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

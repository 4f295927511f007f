"""Handwritten digits, from images to timed .tflite files: dense, and with DPRP.

A small convolutional network learns scikit-learn's 1797 scans of 8 x 8 pixels. The
same network then learns them again; halfway its kernels are cut to low ranks, and from
there on it learns also from what it was. Both are exported, the small one also in int8;
every file is run by LiteRT on all test images and timed. What was chosen (network,
epochs, share of MACs to keep) was chosen on the validation images; the test images are
only reported.

    python examples/digits.py --seed 0 --out examples/out/digits
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_dprp as dprp
import tflite_export
from tflite_export.benchmark import benchmark

EPOCHS = 16
BATCH = 128
LEARNING_RATE = 2e-3
MACS_KEPT = 0.25
TIMED_RUNS = 1000
OUT = Path(__file__).parent / "out" / "digits"


def load_splits():
    """Images (n, 8, 8, 1) in [0, 1] and labels: training, validation, test.

    The split is the same for every seed, so that seeds can be compared. The training
    images come with copies of themselves, moved by one pixel in four directions.
    """
    digits = load_digits()
    x = (digits.images[..., None] / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        x, digits.target, test_size=450, stratify=digits.target, random_state=0
    )
    x, x_val, y, y_val = train_test_split(
        x, y, test_size=270, stratify=y, random_state=0
    )
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    copies = [framed[:, down : down + 8, right : right + 8] for down, right in moves]
    training = np.concatenate(copies), np.tile(y, len(moves))
    return training, (x_val, y_val), (x_test, y_test)


def build():
    """Six convolutions, three resolutions, and a classifier that gives logits."""
    x = inputs = keras.Input((8, 8, 1), name="image")
    for stage, filters in enumerate((32, 64, 128), start=1):
        if stage > 1:
            x = layers.MaxPooling2D()(x)
        for part in "ab":
            name = f"conv{stage}{part}"
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
            # An epoch has 43 steps: averages over the last 100 would lag far behind.
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="logits")(x), name="digits")


def train(model, training, validation, epochs, callbacks=()):
    """One `fit`, the same for both networks."""
    steps = epochs * -(-len(training[0]) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = model.fit(
        *training,
        validation_data=validation,
        batch_size=BATCH,
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
    ).history
    seconds = time.perf_counter() - start
    accuracy = history["val_accuracy"][-1]
    print(f"{epochs} epochs in {seconds:.0f} s, validation accuracy {accuracy:.2%}")


def print_table(rows):
    """Accuracy, size and speed of the files, and their ratios to the first."""
    table = Table(title="scikit-learn digits, every file run by LiteRT")
    table.add_column("network")
    for heading in ("test accuracy", "parameters", "MACs", "file bytes", "latency"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["network"],
            f"{row['accuracy']:.2%}",
            *(
                f"{row[key]:,} ({row[key] / rows[0][key]:.0%})"
                for key in ("parameters", "macs", "bytes")
            ),
            f"{1e3 * row['latency_ms']:.0f} µs "
            f"({row['latency_ms'] / rows[0]['latency_ms']:.0%})",
        )
    Console(width=110).print(table)


def export_and_compare(dense, model, training, test, out):
    """A row for each file: what it costs, and how well it does on the test images."""
    report = dprp.summary(model)
    small = {"parameters": report.parameters, "macs": report.macs}
    large = {"parameters": report.dense_parameters, "macs": report.dense_macs}
    rows, paths = [], []
    for network, exported, quantization, costs in (
        ("dense", dense, None, large),
        ("dense int8", dense, "int8", large),
        ("DPRP float32", model, None, small),
        ("DPRP int8", model, "int8", small),
    ):
        path = out / f"{network.lower().replace(' ', '-')}.tflite"
        result = tflite_export.export(exported, path, quantization, training[0][:300])
        logits = tflite_export.predict(path, test[0])
        accuracy = float(np.mean(logits.argmax(axis=-1) == test[1]))
        rows.append(
            {"network": network, "accuracy": accuracy, **costs, "bytes": result.bytes}
        )
        paths.append(path)
    # The files take turns, so that other load on the machine hits all alike.
    for row, timing in zip(rows, benchmark(paths, runs=TIMED_RUNS), strict=True):
        row["latency_ms"] = timing.median_ms
    return rows


def main():
    """Train twice, export four files, compare them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each training")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    training, validation, test = load_splits()

    print("Dense network")
    keras.utils.set_random_seed(options.seed)
    dense = build()
    train(dense, training, validation, options.epochs)

    print("\nThe same network with dynamic parameter rank pruning")
    keras.utils.set_random_seed(options.seed)
    model = dprp.factorize(build(), teacher="self")
    pruning = dprp.RankPruningCallback(target=MACS_KEPT)
    train(model, training, validation, options.epochs, [pruning])
    dprp.plot_ranks(pruning).savefig(options.out / "ranks.png", dpi=100)

    rows = export_and_compare(dense, model, training, test, options.out)
    print_table(rows)
    results = {
        "seed": options.seed,
        "epochs": options.epochs,
        "test_images": len(test[1]),
        "ranks": pruning.history[-1]["ranks"],
        "networks": rows,
    }
    (options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"Files, plot and results.json are in {options.out}")


if __name__ == "__main__":
    main()

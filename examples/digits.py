"""Handwritten digits, from images to timed .tflite files: dense, narrower, and DPRP.

scikit-learn's scans of 8 x 8 pixels, each put somewhere on 16 x 16 among pieces of
other scans. Three networks learn them for as many epochs: a dense one, a dense one of
half the width, and the first again, whose kernels are cut to low ranks halfway, and
which from there on learns also from what it was. All are exported to float32 and int8;
LiteRT runs every file on all test images, and times it. What was chosen (network,
epochs, share of MACs to keep) was chosen on the validation images; the test images are
only reported.

    python examples/digits.py --seed 0 --out examples/out/digits
"""

import argparse
import json
import os
import textwrap
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from comparison_text import sentences, table
from keras import layers
from measured_files import measure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_dprp as dprp

SIZE, SCAN, PIECE, PIECES = 16, 8, 5, 3  # pixels of a side; pieces around a digit
PLACES = 32  # of each scan to train on; of others, EVALUATED
EVALUATED = 10
WIDTH = 16  # filters of the first stage; the narrower network has half of them
EPOCHS = 8
BATCH = 128
LEARNING_RATE = 2e-3
# The float32 file then takes about as long as that of the narrower network.
MACS_KEPT = 0.2
OUT = Path(__file__).parent / "out" / "digits"


def load_splits(places=PLACES):
    """Images (n, 16, 16, 1) in [0, 1] and labels: training, validation, test.

    No scan is in two of them, not even a piece of one. They are the same for every
    seed, so that seeds can be compared.

    Args:
        places: Int: on how many images a scan is that one trains on.
    """
    digits = load_digits()
    scans = (digits.images / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        scans, digits.target, test_size=450, stratify=digits.target, random_state=0
    )
    x, x_val, y, y_val = train_test_split(
        x, y, test_size=270, stratify=y, random_state=0
    )
    return (
        place(x, y, places, seed=1),
        place(x_val, y_val, EVALUATED, seed=2),
        place(x_test, y_test, EVALUATED, seed=3),
    )


def place(scans, labels, places, seed):
    """Put each scan on several images, each time among pieces of other scans."""
    labels = np.tile(labels, places)
    count, rng = len(labels), np.random.default_rng(seed)
    others = rng.integers(len(scans), size=(count, PIECES))
    taken = rng.integers(SCAN - PIECE + 1, size=(count, PIECES, 2))
    put = rng.integers(SIZE - PIECE + 1, size=(count, PIECES, 2))
    corners = rng.integers(SIZE - SCAN + 1, size=(count, 2))
    images = np.zeros((count, SIZE, SIZE), "float32")
    for number, image in enumerate(images):
        for part in range(PIECES):
            piece = window(scans[others[number, part]], taken[number, part], PIECE)
            there = window(image, put[number, part], PIECE)
            np.maximum(there, piece, out=there)
        # The whole digit is in front.
        window(image, corners[number], SCAN)[:] = scans[number % len(scans)]
    return images[..., None], labels


def window(image, corner, size):
    """A square part of an image, which it shares its pixels with."""
    top, left = corner
    return image[top : top + size, left : left + size]


def build(width=WIDTH):
    """Six convolutions, three resolutions, and a classifier that gives logits."""
    x = inputs = keras.Input((SIZE, SIZE, 1), name="image")
    for stage in (1, 2, 3):
        if stage > 1:
            x = layers.MaxPooling2D()(x)
        for part in "ab":
            filters, name = width * 2 ** (stage - 1), f"conv{stage}{part}"
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
            # Averages over the last 100 steps would lag behind so short a training.
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="logits")(x), name="digits")


def train(model, training, validation, epochs, callbacks=(), falls=1):
    """One `fit`, the same for all networks.

    Args:
        model: A model of logits.
        training: Tuple of images and labels.
        validation: Likewise.
        epochs: Int.
        callbacks: A list of Keras's callbacks.
        falls: Int: how often the learning rate falls to zero.
    """
    steps = epochs * -(-len(training[0]) // BATCH)
    rate = keras.optimizers.schedules.CosineDecayRestarts(
        LEARNING_RATE, -(-steps // falls), t_mul=1.0
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    model.fit(
        *training,
        batch_size=BATCH,
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
    )
    seconds = time.perf_counter() - start
    accuracy = model.evaluate(*validation, batch_size=500, verbose=0)[1]
    print(f"{epochs} epochs in {seconds:.0f} s, validation accuracy {accuracy:.2%}")


def train_all(training, validation, epochs, seed):
    """The three networks by name, and the callback that has cut one of them."""
    networks = {}
    for name, width in (("dense", WIDTH), ("narrower", WIDTH // 2)):
        print(f"{name}, {width} filters at first", flush=True)
        keras.utils.set_random_seed(seed)
        networks[name] = build(width)
        train(networks[name], training, validation, epochs)
    networks["DPRP"], pruning = train_with_dprp(training, validation, epochs, seed)
    return networks, pruning


def train_with_dprp(training, validation, epochs, seed):
    """The network that is cut halfway, and the callback that has cut it."""
    print(f"DPRP, {WIDTH} filters at first", flush=True)
    keras.utils.set_random_seed(seed)
    model = dprp.factorize(build(), teacher="self")
    pruning = dprp.RankPruningCallback(target=MACS_KEPT)
    # Once for the dense network and once for what the cut has left of it.
    train(model, training, validation, epochs, [pruning], falls=2)
    return model, pruning


def main():
    """Train three networks, export six files, compare them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each training")
    parser.add_argument(
        "--places", type=int, default=PLACES, help="images of each scan to train on"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    options = parser.parse_args()
    if min(options.epochs, options.places) < 1:
        parser.error(
            "--epochs and --places must be 1 or more. "
            f"Received: {options.epochs}, {options.places}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    training, validation, test = load_splits(options.places)
    networks, pruning = train_all(training, validation, options.epochs, options.seed)
    dprp.plot_ranks(pruning).savefig(options.out / "ranks.png", dpi=100)
    rows = measure(networks, training, validation, test, options.out)
    said = textwrap.fill(sentences(rows, len(test[1])), 80)
    print(f"\n{table(rows)}\n\n{said}\n")
    results = {
        "seed": options.seed,
        "epochs": options.epochs,
        "test_images": len(test[1]),
        "ranks": pruning.history[-1]["ranks"],
        "files": rows,
    }
    (options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"Files, plot and results.json are in {options.out}")


if __name__ == "__main__":
    main()

"""Measures the test accuracy of committed networks, and compares it with their rows.

    python evaluate.py --data cifar10.npz
    python evaluate.py models/resnet20-dense-seed1.keras --data cifar10.npz

A network is folded and holds no optimizer; Keras alone reads it. The larger ones are
float16 .tflite files, which LiteRT runs. Exits with 1 if an accuracy is further from
the row's than `TOLERANCE`: a GPU rounds otherwise than a CPU.
"""

import argparse
import sys

import numpy as np
from networks import add_arguments, chosen, images_of

TOLERANCE = 0.001
SUFFIXES = (".keras", ".tflite")


def accuracy(path, images, labels):
    """Share of the images whose largest logit is that of their label."""
    if path.suffix == ".tflite":
        import tflite_export

        logits = tflite_export.predict(path, images)
    else:
        import keras

        network = keras.saving.load_model(path, compile=False)
        logits = network.predict(images, batch_size=500, verbose=0)
    return float(np.mean(logits.argmax(axis=-1) == labels))


def main():
    """Evaluate and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    options = parser.parse_args()
    agree = True
    for path, row in chosen(parser, options, SUFFIXES).items():
        _, test = images_of(row, options.data)
        measured = accuracy(path, *test)
        agree &= abs(measured - row["accuracy"]) <= TOLERANCE
        print(f"{path.stem}: {measured:.2%}, in the results {row['accuracy']:.2%}")
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()

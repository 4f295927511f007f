"""How long trainings take, dense and with DPRP, one after the other in one process.

    KERAS_BACKEND=jax python benchmarks/training_speed/run.py jax-cpu
    KERAS_BACKEND=jax python benchmarks/training_speed/run.py jax-gpu --images 50000

ResNet-20 of `examples/resnet.py` on noise, as what the images show costs no time.
Events and compilations are included. Writes `results/NAME.json` beside this file.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples")]

import cifar10  # noqa: E402
import resnet  # noqa: E402
from environment import describe  # noqa: E402
from epoch_times import EpochTimes  # noqa: E402

MACS_KEPT = 0.3
METHODS = ("dense", "dprp", "dprp, own teacher")


def timed_fit(method, images, labels, epochs):
    """Train once; a row of what it took."""
    keras.utils.set_random_seed(0)
    times = EpochTimes()
    callbacks: list[keras.callbacks.Callback] = [times]
    settings = cifar10.Settings(
        "",
        epochs=epochs,
        method="dense" if method == "dense" else "dprp",
        teacher="self" if method == "dprp, own teacher" else "none",
        pruning={} if method == "dense" else {"target": MACS_KEPT},
    )
    network = resnet.build("resnet20", images.shape[1:], 10, images[:1000])
    model, pruning = cifar10.with_augmentation(network, settings), None
    if method != "dense":
        model = cifar10.factorize(model, settings)
        pruning = cifar10.pruning_for(settings)
        callbacks.append(pruning)
    cifar10.compile_for(model, len(images), settings)
    start = time.perf_counter()
    model.fit(
        images,
        labels,
        batch_size=cifar10.BATCH,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
    )
    return {
        "method": method,
        "jit_compile": model.jit_compile,
        "seconds": round(time.perf_counter() - start, 2),
        "epoch_seconds": times.seconds,
        "event_epochs": [e["epoch"] for e in pruning.history[1:]] if pruning else [],
    }


def main():
    """Time both trainings and keep what they took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="of the results file, e.g. jax-cpu")
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.images, 32, 32, 3)).astype("uint8")
    labels = rng.integers(0, 10, options.images).astype("uint8")
    rows = [timed_fit(each, images, labels, options.epochs) for each in METHODS]
    dense, *others = (row["seconds"] for row in rows)
    results = {
        "model": "resnet20",
        "images": options.images,
        "epochs": options.epochs,
        "batch": cifar10.BATCH,
        "macs_kept": MACS_KEPT,
        "runs": rows,
        "ratios": [round(seconds / dense, 3) for seconds in others],
        **describe(),
    }
    (HERE / "results").mkdir(exist_ok=True)
    path = HERE / "results" / f"{options.name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    for method, ratio in zip(METHODS[1:], results["ratios"], strict=True):
        print(f"{options.name}: {method} took {ratio:.2f} times as long as dense")


if __name__ == "__main__":
    main()

"""The dense warm-up with Adam: writes `results.json` beside this file.

    KERAS_BACKEND=tensorflow python benchmarks/warm_up/run.py   # 20 minutes
    python benchmarks/warm_up/report.py

The network of `examples/digits.py` at several learning rates: dense, with DPRP, and
with DPRP whose kernels learn by their factors from the first step. Judged on the
validation images.
"""

import itertools
import json
import sys
from pathlib import Path

import keras

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BENCHMARKS = ROOT / "benchmarks"
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS / "paper"), str(ROOT / "examples")]

import digits  # noqa: E402
from environment import describe  # noqa: E402
from variants import PlainFactors  # noqa: E402

import keras_dprp as dprp  # noqa: E402

SEEDS = (0, 1, 2, 3)
LEARNING_RATES = (1e-3, 3e-3, 1e-2)
PRUNING = {"DPRP": dprp.RankPruningCallback, "DPRP, plain factors": PlainFactors}


def trained(name, seed):
    """The network after one `fit`."""
    keras.utils.set_random_seed(seed)
    model, callbacks = digits.build(), []
    if name in PRUNING:
        model = dprp.factorize(model)
        callbacks = [PRUNING[name](digits.MACS_KEPT, "macs", verbose=0)]
    training, validation, _ = digits.load_splits()
    digits.train(model, training, validation, digits.EPOCHS, callbacks)
    return model


def main():
    """Train all of them and keep how they do on the validation images."""
    _, validation, _ = digits.load_splits()
    runs = []
    for rate, seed, name in itertools.product(
        LEARNING_RATES, SEEDS, ("dense", *PRUNING)
    ):
        digits.LEARNING_RATE = rate
        model = trained(name, seed)
        loss, accuracy = model.evaluate(*validation, verbose=0)
        runs.append(
            {
                "network": name,
                "learning_rate": rate,
                "seed": seed,
                "validation_loss": loss,
                "validation_accuracy": accuracy,
            }
        )
        print(json.dumps(runs[-1]))
    results = {
        "epochs": digits.EPOCHS,
        "macs_kept": digits.MACS_KEPT,
        "validation_images": len(validation[1]),
        "runs": runs,
        **describe(),
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

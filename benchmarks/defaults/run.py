"""What `RankPruningCallback` does to small networks: told nothing, or a target.

Every network is trained dense, then factorised from the same seed. Rows, and what one
needs to know of the machine, are added to `results.json` beside this file.

    python benchmarks/defaults/run.py
    python benchmarks/defaults/run.py --networks residual unet autoencoder \
        --targets 0.3 0.2 --rank-losses log sum lost/kept
"""

import argparse
import itertools
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from networks import NETWORKS

import keras_dprp as dprp

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "paper")]

import variants  # noqa: E402
from environment import describe  # noqa: E402


def train(network, seed, pruning=None):
    """The history and the test score of one training.

    Args:
        network: A name in `NETWORKS`.
        seed: Int. The same one gives the same initial weights and batches.
        pruning: None to train dense, or a callback.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    task = NETWORKS[network]()
    model, callbacks = task.model, []
    if pruning is not None:
        model, callbacks = dprp.factorize(model), [pruning]
    task.compile(model)
    # Building a network draws random numbers; from here on all begin alike.
    keras.utils.set_random_seed(seed)
    history = model.fit(
        *task.training,
        batch_size=task.batch,
        epochs=task.epochs,
        callbacks=callbacks,
        verbose=0,
    ).history
    score = model.evaluate(*task.test, verbose=0, return_dict=True)["score"]
    return history, float(score)


def rows(network, seed, targets, rank_losses):
    """The dense training, then a row for each target and each way to share it out."""
    _, dense_score = train(network, seed)
    for target, rank_loss in itertools.product(targets, rank_losses):
        variants.apply({"rank_loss": rank_loss})
        start = time.perf_counter()
        callback = dprp.RankPruningCallback(target=target, verbose=0)
        history, score = train(network, seed, callback)
        yield {
            "network": network,
            "seed": seed,
            "target": target,
            "rank_loss": rank_loss,
            "parameters_kept": float(history["parameters_kept"][-1]),
            "macs_kept": float(history["macs_kept"][-1]),
            "score": score,
            "dense_score": dense_score,
            "seconds": round(time.perf_counter() - start, 1),
        }


def main():
    """Run all that was asked for, and keep every row as soon as it is there."""
    options = _arguments()
    results = {**describe(), "rows": []}
    if options.out.exists():
        results["rows"] = json.loads(options.out.read_text())["rows"]
    for network in options.networks:
        for seed in options.seeds:
            for row in rows(
                network, seed, options.targets or [None], options.rank_losses
            ):
                print(json.dumps(row), flush=True)
                results["rows"].append(row)
                options.out.write_text(json.dumps(results, indent=2) + "\n")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--networks", nargs="+", choices=[*NETWORKS], default=[*NETWORKS]
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--targets", nargs="+", type=float, help="shares of the MACs; else no argument"
    )
    parser.add_argument(
        "--rank-losses", nargs="+", choices=[*variants.RANK_LOSSES], default=["log"]
    )
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()

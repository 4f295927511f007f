"""When two convolutions train faster than one with the merged kernel.

    KERAS_BACKEND=jax python benchmarks/training_speed/pairs.py jax-gpu

For a GPU. Steps of a few equal layers, ReLU between them, with both ways to apply the
factors and with stock layers. Needs the JAX backend. Writes `results/pairs/NAME.json`.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import jax
import keras
from keras import layers, ops

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "benchmarks")]

from environment import describe  # noqa: E402

import keras_dprp as dprp  # noqa: E402

# Pixels a side and channels: some of ResNet-20 on CIFAR-10, then those of ResNet-18.
MAPS = ((32, 16), (8, 64), (32, 64), (16, 128), (8, 256), (4, 512))
MACS_SHARES = (0.125, 0.25, 0.5)
DEPTH = 3
# Steps in one program, as `steps_per_execution` makes them.
STEPS = 20
REPEATS = 5


class Merged(dprp.SVDConv2D):
    """Trains as one convolution."""

    def trains_as_pair(self):
        return False


class Pair(dprp.SVDConv2D):
    """Trains as two convolutions."""

    def trains_as_pair(self):
        return True


def chain(make, size, channels):
    """A few equal layers in a row."""
    parts = [layer for _ in range(DEPTH) for layer in (make(), layers.ReLU())]
    return keras.Sequential([keras.Input((size, size, channels)), *parts])


def factorised(kind, channels, rank):
    """A function that makes a layer."""
    return lambda: kind(
        channels, 3, padding="same", rank=rank, structure=None, compression=None
    )


def seconds_a_step(model, batch):
    """Median over programs of some steps of gradient descent each."""
    images = keras.random.normal((batch, *model.input_shape[1:]), seed=0)
    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(variables):
        outputs, _ = model.stateless_call(variables, fixed, images, training=True)
        return ops.mean(ops.square(outputs))

    def step(variables, _):
        gradients = jax.grad(loss)(variables)
        pairs = zip(variables, gradients, strict=True)
        return [variable - 1e-3 * gradient for variable, gradient in pairs], None

    program = jax.jit(lambda start: jax.lax.scan(step, start, length=STEPS)[0])
    variables = [variable.value for variable in model.trainable_variables]
    jax.block_until_ready(program(variables))
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(program(variables))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) / STEPS


def rows_of(size, channels, batch):
    """The dense layer, then both ways at every rank, with ratios to dense."""
    dense = seconds_a_step(
        chain(lambda: layers.Conv2D(channels, 3, padding="same"), size, channels),
        batch,
    )
    for share in MACS_SHARES:
        # At rank 1.5 C a pair of k x 1 and 1 x k needs as many MACs as k x k.
        rank = round(1.5 * channels * share)
        merged, pair = (
            seconds_a_step(
                chain(factorised(kind, channels, rank), size, channels), batch
            )
            for kind in (Merged, Pair)
        )
        yield {
            "size": size,
            "channels": channels,
            "rank": rank,
            "macs_share": share,
            "dense_ms": round(1e3 * dense, 4),
            "merged": round(merged / dense, 3),
            "pair": round(pair / dense, 3),
        }


def main():
    """Time every layer and keep what it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="of the results file, e.g. jax-gpu")
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    rows = []
    for size, channels in MAPS:
        for row in rows_of(size, channels, options.batch):
            print(row, flush=True)
            rows.append(row)
    path = HERE / "results" / "pairs" / f"{options.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {"batch": options.batch, "depth": DEPTH, "rows": rows, **describe()}
    path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

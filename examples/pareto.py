"""How small can it be? Accuracy against milliseconds and bytes, file by file.

One dense training, then several budgets, each cut from the trained network, which
teaches it for as many epochs again; beside them narrower dense networks that train as
long. Every network becomes a float32 and an int8 file, measured by LiteRT. The smallest
file that loses no more than `--max-drop` on the validation images is the answer.

    python examples/pareto.py --max-drop 0.01 --out examples/out/pareto

Out of the box it is about the network of `digits.py`. For your own network call
`compare` with your own `build`, `train` and data.
"""

import argparse
import json
import textwrap
from pathlib import Path

import digits
import keras
from choice import answer, choose
from comparison_text import DENSE, table
from measured_files import measure
from pareto_figure import draw

import keras_dprp as dprp

EPOCHS = 4  # of each of two trainings
SHARES = (0.15, 0.2, 0.3, 0.5)  # of the MACs
WIDTHS = (12, 10, 8)  # filters of the first stage
MAX_DROP = 0.01
OUT = Path(__file__).parent / "out" / "pareto"


def compare(build, train, splits, epochs, width, shares, narrower, folder):
    """Train a classifier in several sizes, and measure the files of each.

    Each of them trains for `2 * epochs`: the dense network goes on after it has been
    cut and has taught, the narrower ones do so in one `fit`.

    Args:
        build: A function from a width, an int, to a model that is not compiled.
        train: A function of a model, training data, validation data, epochs and a list
            of callbacks, that compiles the model and calls `fit`.
        splits: Training, validation and test data, each images, float32 (n, ...), and
            labels, ints (n,).
        epochs: Int.
        width: Int. Of the network that is to become smaller.
        shares: Floats in (0, 1], the shares of its MACs to keep.
        narrower: Ints, other widths to compare with.
        folder: A `Path` that is there; gets every model and file.

    Returns:
        A list of dicts, as `measured_files.measure` returns them, and "family":
        "dense", "DPRP" or "narrower".

    Raises:
        ValueError: If a share is out of reach, before any training.
    """
    training, validation, test = splits
    dense = build(width)
    for share in shares:
        # One that cannot be reached is an error now, not when the rest is trained.
        dprp.plan(dprp.factorize(dense), target=share)

    def trained(name, model, epochs, *callbacks):
        print(name, flush=True)
        train(model, training, validation, epochs, list(callbacks))
        return model

    trained("dense", dense, epochs)
    families: dict[str, dict] = {DENSE: {DENSE: dense}, "DPRP": {}, "narrower": {}}
    for share in shares:
        name, model = f"DPRP {share:.0%}", dprp.factorize(dense, teacher=dense)
        pruning = dprp.RankPruningCallback(target=share, start=0, verbose=0)
        families["DPRP"][name] = trained(name, model, epochs, pruning)
    trained("dense, trained on", dense, epochs)
    for each in narrower:
        name = f"width {each}"
        families["narrower"][name] = trained(name, build(each), 2 * epochs)
    networks = {name: x for family in families.values() for name, x in family.items()}
    rows = measure(networks, training, validation, test, folder)
    family_of = {name: family for family, names in families.items() for name in names}
    return [{**row, "family": family_of[row["network"]]} for row in rows]


def main():
    """Compare sizes of the digits network, and choose one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--max-drop", type=float, default=MAX_DROP, help="of accuracy")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each half")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    options = parser.parse_args()
    if options.max_drop < 0 or options.epochs < 1:
        parser.error(
            "--max-drop must be 0 or more, --epochs 1 or more. "
            f"Received: {options.max_drop}, {options.epochs}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    rows = compare(
        digits.build,
        digits.train,
        digits.load_splits(),
        options.epochs,
        digits.WIDTH,
        options.shares,
        options.widths,
        options.out,
    )
    results = {
        "seed": options.seed,
        "epochs": options.epochs,
        "max_drop": options.max_drop,
        "files": rows,
    }
    (options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    chosen = choose(rows, options.max_drop)
    draw(rows, chosen).savefig(options.out / "pareto.png", dpi=110)
    said = textwrap.fill(answer(rows, options.max_drop), 80)
    print(f"\n{table(rows)}\n\n{said}\n")
    print(f"Models, files, pareto.png and results.json are in {options.out}")


if __name__ == "__main__":
    main()

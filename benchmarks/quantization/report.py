"""Writes `docs/integer_files.md` out of committed results; `--check` only compares.

From `results.json` beside this file, and from those of `benchmarks/tfmot`.
"""

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from report_parts import machine, software, table, write_or_check  # noqa: E402

PAGE = ROOT / "docs" / "integer_files.md"
TFMOT = HERE.parent / "tfmot" / "results"
TITLES = {
    "digits": "the digits example with DPRP",
    "resnet20-dprp-macs48": "ResNet-20 with DPRP on CIFAR-10",
}


def balance_section(results):
    """How the two kernels of a pair can share the scale, and what int8 makes of it."""
    networks = results["networks"]
    lines = []
    for balance in networks[0]["int8"]:
        measured = [network["int8"][balance] for network in networks]
        lines.append(
            [
                balance.replace("|", r"\|"),
                f"{mean(measured, 'error'):.4f}",
                f"{mean(measured, 'agreement'):.2%}",
                f"{points(measured, networks):+.2f}",
            ]
        )
    headings = (
        "balance",
        "error",
        "same class as float32",
        "accuracy against float32, points",
    )
    names = ", ".join(f"`{network['model']}`" for network in networks)
    return (
        "## The balance of a pair\n\n"
        "The two convolutions of a folded layer can share its singular values in many "
        "ways with the same outputs in float32, not with the same in int8. `fold` "
        "gives √s to each. The error is the root mean square over the standard "
        f"deviation of the float32 logits, on {results['images']:,} training images "
        "that took no part in the calibration; means over the networks "
        f"{names}.\n\n"
        + table(headings, lines)
        + "\n\nNone is clearly better than another, so the simplest stays.\n\n"
        + f"{machine(results)}; {software(results)}.\n"
    )


def points(measured, networks):
    """Of accuracy between int8 and float32."""
    return 100 * (mean(measured, "accuracy") - mean(networks, "float_accuracy"))


def tfmot_section(name, results):
    """What tfmot adds to post-training files, of one network."""
    runs = results["runs"]
    lines = []
    for rows in zip(*(run["rows"] for run in runs), strict=True):
        lines.append(
            [
                rows[0]["network"],
                rows[0]["quantization"],
                f"{mean(rows, 'accuracy'):.2%}",
                f"{mean(rows, 'bytes'):,.0f}",
                f"{mean(rows, 'compressed'):,.0f}",
            ]
        )
    headings = ("network", "file", "test accuracy", "bytes", "compressed, bytes")
    seeds = f", mean of {len(runs)} seeds" if len(runs) > 1 else ", one seed"
    settings = ", ".join(f"{key} {value}" for key, value in results["settings"].items())
    return (
        f"### {TITLES[name]}\n\n{table(headings, lines)}\n\n"
        f"{results['images']:,} images to train on, {results['test_images']:,} to test"
        f"{seeds}; settings other than the defaults: {settings or 'none'}. "
        f"{machine(results)}; {software(results)}.\n"
    )


def mean(rows, key):
    """Over a list of dicts."""
    return statistics.fmean(row[key] for row in rows)


def page():
    """The whole page."""
    balance = json.loads((HERE / "results.json").read_text())
    sections = [
        tfmot_section(name, json.loads((TFMOT / f"{name}.json").read_text()))
        for name in TITLES
    ]
    return (
        "<!-- Written by benchmarks/quantization/report.py: change that, not this. -->"
        "\n\n# Integer files, measured\n\n"
        "What int8 costs a whole network is under [Results]"
        "(results.md); this is about two ways to lower the "
        "price. The ResNet-20s are of a former version of the package.\n\n"
        + balance_section(balance)
        + "\n## Training on with tfmot\n\n"
        "What quantization-aware training, pruning and clustering change in the files. "
        "The last column is the size in a compressed archive, which is where zeros and "
        "few distinct weights pay; see [tfmot](reference/tfmot.md).\n\n"
        "Where post-training int8 hardly hurts, quantization-aware training hardly "
        "helps. It lifts the ResNet-20 that is pruned to 50% above its own float32 "
        "file, so the gain comes from training on, not from the rounding.\n\n"
        + "\n".join(sections)
    )


if __name__ == "__main__":
    write_or_check(PAGE, page(), __doc__.partition("\n")[0])

"""Writes `docs/warm_up.md` out of `results.json`; `--check` only compares."""

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from report_parts import machine, software, table, write_or_check  # noqa: E402

PAGE = ROOT / "docs" / "warm_up.md"
HEADINGS = ("learning rate", "network", "validation accuracy", "validation loss")


def mean_with_deviation(values, form):
    """Both, each as `form` writes it."""
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    return f"{form(mean)} ± {form(deviation)}"


def lines(runs):
    """A line for each learning rate and network, in the order of the runs."""
    keys = dict.fromkeys((run["learning_rate"], run["network"]) for run in runs)
    for rate, network in keys:
        alike = [
            run
            for run in runs
            if (run["learning_rate"], run["network"]) == (rate, network)
        ]
        yield [
            f"{rate:g}",
            network,
            mean_with_deviation(
                [100 * run["validation_accuracy"] for run in alike], "{:.2f}".format
            ),
            mean_with_deviation(
                [run["validation_loss"] for run in alike], "{:.3f}".format
            ),
        ]


def page(results):
    """The whole page."""
    seeds = len({run["seed"] for run in results["runs"]})
    return (
        "<!-- Written by benchmarks/warm_up/report.py: change that, not this. -->\n\n"
        "# The warm-up, measured\n\n"
        f"The network of `make demo` on handwritten digits, {results['epochs']} epochs "
        "with Adam and a cosine decay: dense; with DPRP at "
        f"{results['macs_kept']:.0%} of the MACs, whose kernels learn by themselves "
        "until ranks fall; and with DPRP whose kernels learn by their factors from the "
        "first step ([why](method.md#how-kernels-learn)). Means over "
        f"{seeds} seeds and sample standard deviations, on "
        f"{results['validation_images']} validation images.\n\n"
        + table(HEADINGS, lines(results["runs"]))
        + "\n\nNo way of learning is ahead at every learning rate, and most "
        "differences are within the scatter of the seeds.\n\n"
        "By [`run.py`](../benchmarks/warm_up/run.py), on "
        f"{machine(results)}; {software(results)}.\n"
    )


if __name__ == "__main__":
    measured = json.loads((HERE / "results.json").read_text())
    write_or_check(PAGE, page(measured), __doc__.partition("\n")[0])

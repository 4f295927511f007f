"""Writes the README's table out of `results.json`; `--check` only compares."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from report_parts import with_table, write_or_check  # noqa: E402

README = ROOT / "README.md"
SCRIPT = "benchmarks/digits/report.py"


def table(results):
    """A row for each network: the first seed's figures, and every seed's accuracy."""
    runs = [run["networks"] for run in results["runs"]]
    seeds = ", ".join(str(run["seed"]) for run in results["runs"])
    headings = ("", "accuracy", "parameters", "MACs", "file", "LiteRT latency")
    lines = [f"| {' | '.join(headings)} | accuracy, seeds {seeds} |", "|---" * 7 + "|"]
    for network, *others in zip(*runs, strict=True):
        accuracies = [network["accuracy"], *(each["accuracy"] for each in others)]
        cells = [
            network["network"],
            f"{network['accuracy']:.2%}",
            share(network, runs[0][0], "parameters", "{:,}".format),
            share(network, runs[0][0], "macs", "{:,}".format),
            share(network, runs[0][0], "bytes", "{:,} bytes".format),
            share(network, runs[0][0], "latency_ms", lambda ms: f"{1e3 * ms:.0f} µs"),
            " / ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def share(network, dense, key, form):
    """A figure, as `form` writes it, and its ratio to the dense network's."""
    return f"{form(network[key])} ({network[key] / dense[key]:.0%})"


def caption(results):
    """What the figures were measured with."""
    hardware, versions = results["hardware"], results["versions"]
    run = results["runs"][0]
    packages = ("keras", "tensorflow", "ai-edge-litert")
    return (
        f"\nSeed {run['seed']}, {run['epochs']} epochs each, {run['test_images']} test "
        f"images; one thread of {hardware['processor']}; Python {versions['python']}, "
        + ", ".join(f"{name} {versions[name]}" for name in packages)
        + ".\n"
    )


def main():
    """Replace what stands between the markers in the README."""
    results = json.loads((HERE / "results.json").read_text())
    new = table(results) + caption(results)
    text = with_table(README.read_text(), "digits", SCRIPT, new)
    write_or_check(README, text, __doc__.partition(";")[0])


if __name__ == "__main__":
    main()

"""Writes the README's table and the page on sizes out of what `run.py` measured.

`--check` only compares.
"""

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples")]

from choice import answer, choose  # noqa: E402
from comparison_text import DENSE, find, sentences, share  # noqa: E402
from pareto_figure import draw  # noqa: E402
from report_parts import machine, table, with_table, write_or_check  # noqa: E402

README = ROOT / "README.md"
FIGURE, DPI = ROOT / "docs" / "figures" / "pareto.png", 110
FRAGMENT = ROOT / "docs" / "fragments" / "pareto.md"
SCRIPT = "benchmarks/digits/report.py"
COSTS = ("macs", "bytes", "latency_ms")


def digits(results):
    """The README's block: means over seeds, and what they say."""
    runs = results["runs"]
    files = [
        mean([run["files"][n] for run in runs]) for n in range(len(runs[0]["files"]))
    ]
    headings = ["network", "file", "accuracy on test images", "change, points"]
    lines = [
        [
            row["network"],
            row["form"],
            spread(row),
            change(row, files),
            *costs(row, files),
        ]
        for row in files
    ]
    images = runs[0]["test_images"]
    return (
        f"{table([*headings, 'MACs', 'bytes', 'latency'], lines)}\n\n"
        f"{sentences(files, images)}\n\n"
        f"{runs[0]['epochs']} epochs each; means of seeds "
        f"{', '.join(str(run['seed']) for run in runs)} ± one standard deviation, on "
        f"{images:,} test images. Changes and shares are against the dense file of the "
        "same type. Nobody teaches the narrower network: some of what DPRP gains is "
        f"its teacher's. One thread of {measured_with(results)}.\n"
    )


def mean(rows):
    """One file over the seeds."""
    accuracies = [row["test_accuracy"] for row in rows]
    return {
        **rows[0],
        **{key: statistics.mean(row[key] for row in rows) for key in COSTS},
        "test_accuracy": statistics.mean(accuracies),
        "deviation": statistics.stdev(accuracies),
    }


def spread(row):
    """An accuracy and how far seeds differ."""
    return f"{row['test_accuracy']:.2%} ± {100 * row['deviation']:.2f}"


def change(row, rows):
    """Points of accuracy from the dense file of the same form."""
    dense = find(rows, DENSE, row["form"])
    if row is dense:
        return "—"
    return f"{100 * (row['test_accuracy'] - dense['test_accuracy']):+.2f}"


def costs(row, rows):
    """What a file costs, and shares of the dense file of the same form."""
    return [
        f"{share(row, rows, 'macs'):.0%}",
        f"{row['bytes']:,.0f} ({share(row, rows, 'bytes'):.0%})",
        f"{1e3 * row['latency_ms']:.1f} µs ({share(row, rows, 'latency_ms'):.0%})",
    ]


def measured_with(results):
    """Processor and versions."""
    versions = results["versions"]
    packages = ("keras", "tensorflow", "ai-edge-litert")
    named = ", ".join(f"{name} {versions[name]}" for name in packages)
    return f"{machine(results)}; {named}"


def pareto(results):
    """The page's table of all files, and the one that was chosen."""
    rows = results["files"]
    headings = ["network", "file", "validation", "test", "MACs", "bytes", "latency"]
    lines = [
        [
            row["network"],
            row["form"],
            f"{row['validation_accuracy']:.2%}",
            f"{row['test_accuracy']:.2%}",
            *costs(row, rows),
        ]
        for row in rows
    ]
    return (
        f"{table(headings, lines)}\n\n"
        f"{answer(rows, results['max_drop'])}\n\n"
        f"Twice {results['epochs']} epochs each, seed {results['seed']}. Shares in the "
        "table are of the dense file of the same type. One thread of "
        f"{measured_with(results)}.\n"
    )


def main():
    """Replace what stands between the markers in the README, and the fragment."""
    results = json.loads((HERE / "results.json").read_text())
    text = with_table(README.read_text(), "digits", SCRIPT, digits(results))
    sizes = json.loads((HERE / "pareto.json").read_text())
    for path, new in ((README, text), (FRAGMENT, pareto(sizes))):
        write_or_check(path, new, __doc__.partition("\n")[0])
    if "--check" not in sys.argv:
        files = sizes["files"]
        draw(files, choose(files, sizes["max_drop"])).savefig(FIGURE, dpi=DPI)


if __name__ == "__main__":
    main()

"""Writes what `results.json` says into `docs/fragments`; `--check` only compares."""

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from report_parts import (  # noqa: E402
    machine,
    rank_correlation,
    software,
    table,
    write_or_check,
)

FRAGMENT = ROOT / "docs" / "fragments" / "latency_budget.md"
METRICS = {"macs": "of the MACs", "latency": "of the latency"}
HEADINGS = ["network", "file", "asked for", "MACs kept"] + [
    f"{which} latency" for which in ("predicted", "measured")
]


def line(row):
    """Cells of one network."""
    return [
        row["network"].replace("resnet", "ResNet-"),
        row["format"],
        f"{row['target']:.0%} {METRICS[row['metric']]}",
        f"{row['macs_kept']:.0%}",
        f"{row['predicted']:.0%}",
        f"{row['measured']:.0%}",
    ]


def agreement(rows):
    """How predictions and times agree, for each network and kind of file."""
    for network, form in dict.fromkeys((r["network"], r["format"]) for r in rows):
        group = [r for r in rows if (r["network"], r["format"]) == (network, form)]
        both = [[r[key] for r in group] for key in ("predicted", "measured")]
        errors = [abs(r["predicted"] / r["measured"] - 1) for r in group]
        yield (
            f"- {network.replace('resnet', 'ResNet-')}, {form}: of {len(group)} files "
            f"the order agrees to {rank_correlation(*both):.3f} (Spearman), the median "
            f"error is {statistics.median(errors):.1%}, the largest "
            f"{max(errors):.1%}."
        )


def fragment():
    """The whole of it."""
    results = json.loads((HERE / "results.json").read_text())
    small = [row for row in results["rows"] if row["metric"]]
    script = Path(__file__).relative_to(ROOT)
    return (
        f"<!-- Written by {script}: change that, not this. -->\n\n"
        + table(HEADINGS, map(line, small))
        + "\n\n"
        + "\n".join(agreement(small))
        + f"\n\nShares are of the dense network. Machine: {machine(results)}, one "
        + f"thread; {software(results)}.\n"
    )


if __name__ == "__main__":
    write_or_check(FRAGMENT, fragment(), __doc__.partition("\n")[0])

"""Writes what `results.json` says into `docs/fragments`; `--check` only compares."""

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from report_parts import machine, software, table, write_or_check  # noqa: E402

FRAGMENT = ROOT / "docs" / "fragments" / "small_networks.md"
RULES = {
    "log": "-log(share kept), the rule",
    "sum": "share lost",
    "lost/kept": "share lost / share kept",
}
NAMES = {
    "digits": "digits, accuracy",
    "residual": "small residual network, accuracy",
    "convnet": "small convolutional network, accuracy",
    "unet": "U-Net, intersection over union",
    "autoencoder": "autoencoder, R²",
}


def lines(rows):
    """Cells of a table: seeds in one, what is kept, and the change by each rule."""
    places = dict.fromkeys((row["network"], row["target"]) for row in rows)
    for network, target in sorted(places, key=lambda place: (place[1] or 0, place[0])):
        group = [r for r in rows if (r["network"], r["target"]) == (network, target)]
        usual = [row for row in group if row["rank_loss"] == "log"]
        dense = statistics.fmean(row["dense_score"] for row in usual)
        yield [
            NAMES[network],
            "none" if target is None else f"{target:.0%} of the MACs",
            f"{statistics.fmean(row['macs_kept'] for row in usual):.1%}",
            f"{statistics.fmean(row['parameters_kept'] for row in usual):.1%}",
            f"{100 * dense:.2f}",
            *(change([r for r in group if r["rank_loss"] == rule]) for rule in RULES),
            str(len({row["seed"] for row in group})),
        ]


def change(rows):
    """Mean of the change against the dense network of the same seed, in points."""
    if not rows:
        return "—"
    changes = [100 * (row["score"] - row["dense_score"]) for row in rows]
    return (
        f"{statistics.fmean(changes):+.2f} ({min(changes):+.2f} to {max(changes):+.2f})"
    )


def fragment():
    """The whole of it."""
    results = json.loads((HERE / "results.json").read_text())
    headings = ["network and score", "target", "MACs kept", "parameters kept", "dense"]
    headings += [f"change by {words}" for words in RULES.values()] + ["seeds"]
    return (
        "<!-- Written by benchmarks/defaults/report.py: change that, not this. -->\n\n"
        f"{table(headings, lines(results['rows']))}\n\n"
        "Scores and changes are in points, with the smallest and the largest change of "
        "a seed in brackets; what is kept is by the rule of today. Machine: "
        f"{machine(results)}; {results['backend']}; {software(results)}.\n"
    )


if __name__ == "__main__":
    write_or_check(FRAGMENT, fragment(), __doc__.partition("\n")[0])

"""Writes what the results say into `docs/fragments`; `--check` only compares."""

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

FRAGMENT = ROOT / "docs" / "fragments" / "processors.md"
FORMATS = ("float32", "int8")
LAYERS = {
    "stage": "every layer",
    "stage[23]": "stages 2 and 3",
    "stage3": "stage 3",
}
HEADINGS = ["network", "rank", "MACs kept"] + [
    f"{form}, {which}" for form in FORMATS for which in ("estimated", "measured")
]
PUBLISHED_HEADINGS = [
    "board",
    "name",
    "file",
    "MobileNet v2",
    "MobileNet v3 large",
    "MobileNet v3 small",
]


def network_lines(rows):
    """Cells of every network that is cut, as shares of the dense one's time."""
    rows = [row for row in rows if row["what"] == "network"]
    dense = {(r["network"], r["format"]): r for r in rows if r["rank"] is None}
    for row in rows:
        if row["rank"] is None or row["format"] != FORMATS[0]:
            continue
        cells = [
            row["network"].replace("resnet", "ResNet-"),
            f"{row['rank']} in {LAYERS[row['layers']]}",
            f"{row['macs_kept']:.0%}",
        ]
        for form in FORMATS:
            (same,) = (r for r in rows if _key(r) == (*_key(row)[:3], form))
            whole = dense[row["network"], form]
            for key in ("estimated", "milliseconds"):
                cells.append(f"{same[key] / whole[key]:.0%}")
        yield cells


def agreement(rows):
    """How estimates and times agree where nothing was fitted."""
    for form in FORMATS:
        for what, text in (("operation", "operations"), ("network", "whole files")):
            group = [r for r in rows if (r["what"], r["set"]) == (what, "test")]
            pairs = [
                (row["estimated"], row["milliseconds"])
                for row in group
                if row["format"] == form
            ]
            errors = [abs(estimated / measured - 1) for estimated, measured in pairs]
            order = rank_correlation(*zip(*pairs, strict=True))
            yield (
                f"- {form}, {len(pairs)} {text}: the order agrees to {order:.3f} "
                "(Spearman), the median error is "
                f"{statistics.median(errors):.1%}, the largest {max(errors):.0%}."
            )


def published_lines(rows):
    """Cells of each board and kind of file: networks as shares of the first one."""
    for board, form in dict.fromkeys((row["board"], row["format"]) for row in rows):
        group = [r for r in rows if (r["board"], r["format"]) == (board, form)]
        first, *others = group
        cells = [
            f"{each['published'] / first['published']:.0%}, "
            f"{each['estimated'] / first['estimated']:.0%}"
            for each in others
        ]
        threads = first["source"].rpartition(", ")[2]
        name = f'"{first["processor"]}"'
        yield [f"{board}, {threads}", name, form, *cells, *["—"] * (3 - len(cells))]


def _key(row):
    return row["network"], row["layers"], row["rank"], row["format"]


def fragment():
    """The whole of it."""
    results = json.loads((HERE / "results.json").read_text())
    rows, script = results["rows"], Path(__file__).relative_to(ROOT)
    fitted = sum(row["set"] == "fit" for row in rows)
    published = json.loads((HERE / "published.json").read_text())
    sources = " and the ".join(
        dict.fromkeys(_title(row["source"]) for row in published)
    )
    return (
        f"<!-- Written by {script}: change that, not this. -->\n\n"
        + table(HEADINGS, network_lines(rows))
        + "\n\n"
        + "\n".join(agreement(rows))
        + f"\n\nShares are of the dense network; {fitted} other files were used to "
        + f"fit. Machine: {machine(results)}, one thread; {software(results)}.\n\n"
        + "Of boards others have published times. Of each two numbers the first is "
        + "theirs, the second the estimate; both are shares of MobileNet v1's time:\n\n"
        + table(PUBLISHED_HEADINGS, published_lines(published))
        + f"\n\nSources: the {sources}.\n"
    )


def _title(source):
    return source.partition(",")[0]


if __name__ == "__main__":
    write_or_check(FRAGMENT, fragment(), __doc__.partition("\n")[0])

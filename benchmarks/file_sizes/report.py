"""Writes what `results.json` says into `docs/fragments`; `--check` only compares."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from report_parts import software, table, write_or_check  # noqa: E402

FRAGMENT = ROOT / "docs" / "fragments" / "file_sizes.md"


def lines(rows, targets):
    """Cells of each network and kind of file: files as shares of their budgets."""
    for network, form in dict.fromkeys((r["network"], r["format"]) for r in rows):
        group = {
            row["target"]: row
            for row in rows
            if (row["network"], row["format"]) == (network, form)
        }
        dense = next(iter(group.values()))["dense_bytes"]
        used = [f"{used_by(group[t]):.1%}" if t in group else "—" for t in targets]
        yield [network, form, f"{dense:,}", *used]


def used_by(row):
    """What a file takes of the budget that it was cut to."""
    return row["bytes"] / (row["target"] * row["dense_bytes"])


def fragment():
    """The whole of it."""
    results = json.loads((HERE / "results.json").read_text())
    rows = results["rows"]
    targets = sorted({row["target"] for row in rows})
    headings = ["network", "file", "dense, about bytes"]
    headings += [f"{target:.0%} of them" for target in targets]
    used = [used_by(row) for row in rows]
    over = sum(share > 1 for share in used)
    script = Path(__file__).relative_to(ROOT)
    return (
        f"<!-- Written by {script}: change that, not this. -->\n\n"
        + table(headings, lines(rows, targets))
        + f"\n\nThe file, as a share of the budget; — where even the smallest ranks "
        f"take more. Of {len(used)} files {over or 'none'} "
        f"{'is' if over < 2 else 'are'} over its budget; they take {min(used):.1%} to "
        f"{max(used):.1%} of it. Numbers in the networks are random; "
        f"{software(results)}.\n"
    )


if __name__ == "__main__":
    write_or_check(FRAGMENT, fragment(), __doc__.partition("\n")[0])

"""Writes the tables and figures that pages include, and a part of the README.

    python benchmarks/paper/report.py
    python benchmarks/paper/report.py --check

All of it comes out of `results.jsonl`, `history.jsonl`, `latency.json` and
`published.json`. The pages themselves are written by hand. `--check` writes nothing,
and fails if something is not what the rows give.
"""

import argparse
import json
import sys
from pathlib import Path

from answers import answer
from experiments import HISTORY, LATENCY, RESULTS, ROOT, rows
from figures import accuracy, is_up_to_date, save
from report_parts import with_table
from summaries import experiments_of, first_shown, timed
from tables import former_table, machine_table, published_table, results_table

SCRIPT = "benchmarks/paper/report.py"
WRITTEN = f"<!-- Written by {SCRIPT}: change that, not this. -->\n\n"
OTHERS = """## Other networks and settings

All of these were judged on the test images:

"""


def fragments(experiments, former):
    """A dict from the name of a fragment to its text.

    Args:
        experiments: `Experiment`s of the package as it is.
        former: Those of the history.
    """
    shown = first_shown(experiments)
    by_time = timed(shown, experiments)
    others = [
        each
        for each in experiments
        if not each["validate"] and each not in [*shown, *by_time]
    ]
    held_out = [each for each in experiments if each["validate"]]
    return {
        "answer": answer(shown, experiments),
        "main": results_table(shown, experiments, named=False),
        "by_time": results_table(by_time, experiments, named=False),
        "others": OTHERS + results_table(others, experiments) if others else "",
        "held_out": results_table(held_out, experiments),
        "published": published_table(),
        "machines": machine_table(experiments),
        "history": former_table(former),
    }


def made(options):
    """Texts by their path, and the panels of figures by theirs."""
    times = json.loads(options.latency.read_text()) if options.latency.exists() else {}
    experiments, former = (
        experiments_of(rows(path), times.get("latency", {}))
        for path in (options.results, options.history)
    )
    parts = fragments(experiments, former)
    folder = options.docs / "fragments"
    texts = {folder / f"{name}.md": f"{WRITTEN}{t}\n" for name, t in parts.items()}
    panels = accuracy(first_shown(experiments), experiments)
    readme = options.readme
    texts[readme] = with_table(readme.read_text(), "cifar10", SCRIPT, parts["main"])
    return texts, {options.docs / "figures" / "accuracy.png": panels} if panels else {}


def main():
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the rows")
    parser.add_argument("--history", type=Path, default=HISTORY, help="former rows")
    parser.add_argument("--latency", type=Path, default=LATENCY, help="of the files")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="the folder")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    options = parser.parse_args()
    texts, figures = made(options)
    wrong = [p for p, t in texts.items() if not p.exists() or p.read_text() != t]
    wrong += [p for p, panels in figures.items() if not is_up_to_date(panels, p)]
    if options.check and wrong:
        names = ", ".join(map(str, wrong))
        sys.exit(f"Not what the rows give, run {SCRIPT}: {names}")
    for path in wrong:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path in texts:
            path.write_text(texts[path])
        else:
            save(figures[path], path)


if __name__ == "__main__":
    main()

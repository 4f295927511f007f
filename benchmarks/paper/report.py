"""Writes `docs/results.md` and its figures out of `results.jsonl`.

    python benchmarks/paper/report.py
    python benchmarks/paper/report.py --check

`--check` writes nothing, and fails if the page is not what the rows give. What the
figures say in words stands in `notes.md`, by the headings of the page; there must be no
number in it, as none would be checked.
"""

import argparse
import re
import sys
from pathlib import Path

from cells import network_name
from experiments import HERE, RESULTS, ROOT, rows
from sections import SECTIONS
from summaries import experiments_of, split

DPI = 120


class Page:
    """Markdown and the figures it shows."""

    def __init__(self):
        self.paragraphs = []
        self.figures = {}

    def add(self, paragraph):
        """A paragraph, a table or a heading."""
        self.paragraphs.append(paragraph)

    def figure(self, name, description, draw, *arguments):
        """A figure that `draw(*arguments)` makes when it is needed."""
        self.figures[f"{name}.png"] = lambda: draw(*arguments)
        self.add(f"![{description}](figures/{name}.png)")

    def figures_of(self, name, description, draw, networks, *arguments):
        """A figure for every network.

        Args:
            name: How the names of the files begin.
            description: What the figures show.
            draw: A function of a list of `Experiment`s and of `arguments`.
            networks: A dict from model and data set to `Experiment`s.
            *arguments: Further ones of `draw`.
        """
        for network, group in networks.items():
            self.figure(
                f"{name}-{'-'.join(network)}",
                f"{description}, {network_name(*network)}",
                draw,
                group,
                *arguments,
            )

    def text(self):
        """The whole page."""
        return "\n\n".join(self.paragraphs) + "\n"


def page_of(all_rows, notes):
    """The page that rows and notes give.

    Args:
        all_rows: A list of dicts.
        notes: A dict from the heading of a section to what is said there.
    """
    unknown = set(notes) - set(SECTIONS)
    if unknown:
        raise ValueError(
            f"Headings of the notes must be in {list(SECTIONS)}. "
            f"Received: {sorted(unknown)}"
        )
    page = Page()
    page.add("<!-- Written by benchmarks/paper/report.py: change that, not this. -->")
    page.add("# Results")
    experiments = split(experiments_of(all_rows))
    for heading, write in SECTIONS.items():
        page.add(f"## {heading}")
        if not write(page, experiments):
            page.add("This has not been measured yet.")
        if heading in notes:
            page.add(notes[heading])
    return page


def read_notes(path):
    """Texts by heading; what stands before the first one is for those who write."""
    if not path.exists():
        return {}
    _, *parts = re.split(r"^## (.+)$", path.read_text(), flags=re.MULTILINE)
    headings, texts = parts[::2], parts[1::2]
    return {
        heading.strip(): text.strip()
        for heading, text in zip(headings, texts, strict=True)
    }


def differences(page, docs):
    """What is not as the rows give it: a list of paths."""
    path = docs / "results.md"
    wrong = [] if path.exists() and path.read_text() == page.text() else [path]
    paths = [docs / "figures" / name for name in page.figures]
    return wrong + [path for path in paths if not path.exists()]


def write(page, docs):
    """Draw every figure, then write the page."""
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    for name, draw in page.figures.items():
        draw().savefig(docs / "figures" / name, dpi=DPI)
    (docs / "results.md").write_text(page.text())


def main():
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the rows")
    parser.add_argument("--notes", type=Path, default=HERE / "notes.md")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="the folder")
    options = parser.parse_args()
    page = page_of(rows(options.results), read_notes(options.notes))
    if not options.check:
        write(page, options.docs)
        return
    wrong = differences(page, options.docs)
    if wrong:
        names = ", ".join(map(str, wrong))
        sys.exit(f"Not what the rows give, run benchmarks/paper/report.py: {names}")


if __name__ == "__main__":
    main()

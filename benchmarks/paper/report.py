"""Writes `docs/results.md`, `docs/method.md`, their figures and a table of the README.

    python benchmarks/paper/report.py
    python benchmarks/paper/report.py --check

All of it comes out of `results.jsonl`. `--check` writes nothing, and fails if the pages
or the figures are not what the rows give. Words are in `texts`: what the results say in
`notes.md`, by the headings of their page, and all of `method.md`. A number in them is
written as `prose.py` says, so that it is checked.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from cells import network_name
from drawn import is_up_to_date, save
from experiments import HERE, LATENCY, RESULTS, ROOT, rows
from headline import headline
from prose import fill
from report_parts import with_table
from sections import SECTIONS
from summaries import experiments_of, split

SCRIPT = "benchmarks/paper/report.py"
WRITTEN = f"<!-- Written by {SCRIPT}: change {{}}, not this. -->\n\n"


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


def page_of(experiments, notes):
    """The page of results that rows and notes give.

    Args:
        experiments: `Experiment`s by section.
        notes: A dict from the heading of a section to what is said there.
    """
    unknown = set(notes) - set(SECTIONS)
    if unknown:
        raise ValueError(
            f"Headings of the notes must be in {list(SECTIONS)}. "
            f"Received: {sorted(unknown)}"
        )
    page = Page()
    page.add(WRITTEN.format("that").strip())
    page.add("# Results")
    for heading, write in SECTIONS.items():
        page.add(f"## {heading}")
        if not write(page, experiments):
            page.add("This has not been measured yet.")
        if heading in notes:
            page.add(fill(notes[heading], experiments))
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


def pages_of(experiments, texts, docs, readme):
    """Every page by its path, and the page of results with its figures.

    Args:
        experiments: `Experiment`s by section.
        texts: Path of the folder of texts.
        docs: Path of the folder of pages.
        readme: Path of the README.
    """
    results = page_of(experiments, read_notes(texts / "notes.md"))
    pages = {docs / "results.md": results.text()}
    method = texts / "method.md"
    if method.exists():
        written = WRITTEN.format("benchmarks/paper/texts/method.md")
        pages[docs / "method.md"] = written + fill(method.read_text(), experiments)
    pages[readme] = with_table(
        readme.read_text(), "cifar10", SCRIPT, headline(experiments)
    )
    return pages, results


def differences(pages, results, docs):
    """What is not as the rows give it: a list of paths."""
    texts = [
        path
        for path, text in pages.items()
        if not path.exists() or path.read_text() != text
    ]
    figures = {docs / "figures" / name: draw for name, draw in results.figures.items()}
    return texts + [p for p, draw in figures.items() if not is_up_to_date(draw(), p)]


def write(pages, results, docs):
    """Draw every figure, then write the pages."""
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    for name, draw in results.figures.items():
        save(draw(), docs / "figures" / name)
    for path, text in pages.items():
        path.write_text(text)


def main():
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the rows")
    parser.add_argument("--latency", type=Path, default=LATENCY, help="of the files")
    parser.add_argument("--texts", type=Path, default=HERE / "texts", help="the words")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="the folder")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    options = parser.parse_args()
    timed = json.loads(options.latency.read_text()) if options.latency.exists() else {}
    experiments = split(experiments_of(rows(options.results), timed.get("latency", {})))
    pages, results = pages_of(experiments, options.texts, options.docs, options.readme)
    if not options.check:
        write(pages, results, options.docs)
        return
    wrong = differences(pages, results, options.docs)
    if wrong:
        names = ", ".join(map(str, wrong))
        sys.exit(f"Not what the rows give, run benchmarks/paper/report.py: {names}")


if __name__ == "__main__":
    main()

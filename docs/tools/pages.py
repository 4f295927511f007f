"""The Python blocks of the pages, for tests, `make_outputs.py` and the site."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

DOCS = Path(__file__).parent.parent
NOT_RUN = "Not run"

_BLOCK = re.compile(
    r"^(?P<indent> *)```python(?P<options>[^\n]*)\n(?P<code>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
# A comment, so that what formats the blocks reads Python.
_INCLUDE = re.compile(r"^( *)# --8<-- docs/(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Args:
        code: Its text, with what it includes.
        line: Its first line in the page.
        runs: Whether it can be run; a title that begins with "Not run" says no.
    """

    code: str
    line: int
    runs: bool


def include(text):
    """A page, or a part of one, with the files of code that it includes."""

    def code(match):
        return indent((DOCS / match[2]).read_text(encoding="utf-8").rstrip(), match[1])

    return _INCLUDE.sub(code, text)


def blocks(page):
    """The Python blocks of a page, in order.

    Args:
        page: Path of a Markdown file.
    """
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        lines = match["code"].splitlines()
        code = "\n".join(line.removeprefix(match["indent"]) for line in lines) + "\n"
        line = text.count("\n", 0, match.start()) + 2
        runs = f'title="{NOT_RUN}' not in match["options"]
        found.append(Block(include(code), line, runs))
    return found


def pages():
    """Every page that is written by hand."""
    return sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("guides/*.md"))

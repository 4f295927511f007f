"""What MkDocs does not do by itself: results from elsewhere, links out of docs/."""

import logging
import os
import re
from pathlib import Path

from mkdocs.structure.files import File
from pages import include

ROOT = Path(__file__).parent.parent.parent
_LINK = re.compile(r"\[([^\]\n]+)\]\(((?:\.\./)+[^)#\s]+)\)")
_DIGITS = re.compile(
    r"<!-- digits: written by .*? -->\n(.*?)<!-- end of digits -->", re.DOTALL
)
_log = logging.getLogger("mkdocs.hooks.links")


def on_files(files, config):
    """Add the figure of the digits benchmark, which lies beside its results."""
    figure = ROOT / "benchmarks" / "digits" / "ranks.png"
    files.append(
        File.generated(config, "images/digits_ranks.png", abs_src_path=str(figure))
    )
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in code and the README's table; mend links that leave docs/."""
    markdown = include(markdown)
    if "<!-- digits -->" in markdown:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        table = _DIGITS.search(readme)
        if table is None:
            raise ValueError("README.md has no table of digits between its markers.")
        markdown = markdown.replace("<!-- digits -->", table[1])

    def mend(match):
        text, target = match.groups()
        path = Path(os.path.normpath(Path(page.file.abs_src_path).parent / target))
        if path.is_relative_to(config.docs_dir) or not path.is_relative_to(ROOT):
            return match[0]
        if not config.repo_url:
            # The pages know no address of the repository; its paths are told.
            return text
        _log.info("Link from %s to %s in the repository", page.file.src_uri, target)
        return f"[{text}]({config.repo_url}/blob/main/{path.relative_to(ROOT)})"

    return _LINK.sub(mend, markdown)

"""Docstrings as Keras writes them, made readable for Griffe's Google parser.

Keras does not indent what follows `Example:`, and lists several arguments or errors
in one item. Sections that Griffe does not know become titled boxes.
"""

import re
from textwrap import indent

import griffe

_EXAMPLE = re.compile(r"^Example:\n(?P<code>(?:(?!\w+:$).*\n?)*)", re.MULTILINE)
_SECTION = re.compile(
    r"^(?P<name>Args|Attributes|Raises):\n(?P<body>(?:(?: +\S.*)?\n?)*)", re.MULTILINE
)


class KerasDocstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj, **kwargs):
        """Called for every object that has been collected."""
        if obj.docstring is not None:
            obj.docstring.value = rewrite(obj.docstring.value)


def rewrite(text):
    """A docstring in the style of Keras in Google's."""
    text = _SECTION.sub(_join_names, text)
    return _EXAMPLE.sub(_indent_example, text)


def _join_names(match):
    """Bring names that go over several lines onto the one with the colon."""
    lines: list[str] = []
    for line in match["body"].splitlines():
        starts_item = re.match(r" {4}\S", line)
        if lines and starts_item and re.fullmatch(r" {4}[\w, ]+,", lines[-1]):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    ending = "\n" if match["body"].endswith("\n") else ""
    return f"{match['name']}:\n" + "\n".join(lines) + ending


def _indent_example(match):
    code = match["code"].rstrip("\n")
    rest = match["code"][len(code) :]
    if code.startswith(" "):
        return match[0]
    return f"Examples:\n{indent(code, '    ')}{rest}"

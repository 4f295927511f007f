"""What the reports of benchmarks are made of."""

import argparse
import statistics
import sys


def table(headings, lines):
    """Markdown of headings and lists of cells."""
    rule = ["---"] * len(headings)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines))


def rank_correlation(a, b):
    """Spearman's, of two lists of numbers that differ."""
    ranks = [[sorted(each).index(value) for value in each] for each in (a, b)]
    return statistics.correlation(*ranks)


def software(environment):
    """Versions in a line."""
    versions = environment["versions"]
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def machine(environment):
    """Hardware in a line."""
    hardware = environment["hardware"]
    cores = hardware["cores"]
    processor = f"{hardware['processor']}, {cores} core{'s' if cores > 1 else ''}"
    return f"{hardware['gpu']}; {processor}" if hardware["gpu"] else processor


def compiler_flags(environment):
    """What JAX's compiler had been told, where that was written down."""
    flags = environment.get("xla_flags")
    return "not recorded" if flags is None else f"`{flags}`" if flags else "none"


def with_table(text, name, script, new):
    """A text with something new between the comments around a table.

    Args:
        text: String with both comments in it.
        name: String: what the comments call the table.
        script: String: what they say it is written by.
        new: String, the Markdown between them.
    """
    begin = f"<!-- {name}: written by {script} -->\n"
    end = f"<!-- end of {name} -->\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{new}\n{end}{after}"


def write_or_check(path, text, description):
    """Write a page or, with `--check` on the command line, compare it.

    Args:
        path: Of the page.
        text: String: what it should hold.
        description: String, for `--help`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    if not parser.parse_args().check:
        path.write_text(text)
    elif path.read_text() != text:
        sys.exit(f"{path.name} is not what {sys.argv[0]} writes.")

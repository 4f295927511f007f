"""What the reports of benchmarks are made of."""


def table(headings, lines):
    """Markdown of headings and lists of cells."""
    rule = ["---"] * len(headings)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines))


def software(environment):
    """Versions in a line."""
    versions = environment["versions"]
    return ", ".join(f"{name} {version}" for name, version in versions.items())

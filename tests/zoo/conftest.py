"""The table at the end of `make test-zoo`: a row for each model that passed."""

# Width and format of the columns; all but the last are what a test records.
COLUMNS = {
    "model": (20, ""),
    "dense": (12, ","),
    "pruned": (12, ","),
    "bytes": (13, ","),
    "full rank": (11, ".1e"),
    "fold": (11, ".1e"),
    "LiteRT": (11, ".1e"),
    "seconds": (9, ".0f"),
}


def pytest_terminal_summary(terminalreporter):
    passed = terminalreporter.stats.get("passed", [])
    rows = [
        {**dict(report.user_properties), "seconds": report.duration}
        for report in passed
        if "model" in dict(report.user_properties)
    ]
    if not rows:
        return
    terminalreporter.section("parameters, bytes of the file, largest differences")
    titles = (name.rjust(width) for name, (width, _) in COLUMNS.items())
    terminalreporter.write_line("".join(titles))
    for row in rows:
        cells = (
            format(row[name], style).rjust(width)
            for name, (width, style) in COLUMNS.items()
        )
        terminalreporter.write_line("".join(cells))

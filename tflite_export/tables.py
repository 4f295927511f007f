"""Tables as plain text, for a device that has no rich."""

import textwrap

WIDTH = 80
GAP = "  "


def text_table(rows, headings=None, flexible=0):
    """Return rows of str as lines of aligned columns.

    Columns under `headings` are aligned to the right, all but the flexible one: that
    is wrapped where a line would be too long.
    """
    rows = [list(row) for row in rows]
    every = [list(headings), *rows] if headings else rows
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    others = sum(widths) - widths[flexible] + len(GAP) * (len(widths) - 1)
    widths[flexible] = min(widths[flexible], max(20, WIDTH - others))
    lines = [line for row in every for line in _lines(row, widths, flexible, headings)]
    if headings:
        rule = "-" * (sum(widths) + len(GAP) * (len(widths) - 1))
        lines.insert(len(_lines(headings, widths, flexible, headings)), rule)
    return "\n".join(lines)


def _lines(row, widths, flexible, headings):
    pieces = textwrap.wrap(row[flexible], widths[flexible]) or [""]
    lines = []
    for number, piece in enumerate(pieces):
        cells = [cell if number == 0 else "" for cell in row]
        cells[flexible] = piece
        padded = [
            cell.rjust(width) if headings and column != flexible else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append(GAP.join(padded).rstrip())
    return lines

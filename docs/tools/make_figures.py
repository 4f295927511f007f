"""Draws the figures of How it works, from formulas and from outputs/schedule.json.

.venv/bin/python docs/tools/make_figures.py
"""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

DOCS = Path(__file__).parent.parent
BLUE, ORANGE, GREEN, GRAY = "#4c72b0", "#dd8452", "#55a868", "#b0b0b0"
CHANNELS, FILTERS, RANK, SIZE = 6, 8, 4, 3


def factors():
    """A kernel's matrix and its factors above, the two convolutions beneath."""
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 2))
    _draw_product(top)
    _draw_pair(bottom)
    figure.savefig(DOCS / "images" / "factors.png", dpi=110)


def _draw_product(axes):
    rows, columns, rank = SIZE * CHANNELS, SIZE * FILTERS, RANK
    _box(axes, 0, columns, rows, BLUE, f"{SIZE}·C × {SIZE}·F")
    _text(axes, columns + 3, "=")
    left = columns + 6
    _box(axes, left, rank, rows, ORANGE, f"{SIZE}·C × r")
    _text(axes, left + rank / 2, "U", "white")
    left += rank + 3
    # diag(s) as what it is: a diagonal that gets paler.
    for index in range(rank):
        shade = 1 - 0.22 * index
        place = (left + index, rank / 2 - index - 1)
        axes.add_patch(Rectangle(place, 1, 1, color=GREEN, alpha=shade))
    outline = Rectangle((left, -rank / 2), rank, rank, fill=False, edgecolor=GREEN)
    axes.add_patch(outline)
    _text(axes, left + rank / 2, "diag(s)", y=rank / 2 + 1.3)
    left += rank + 3
    _box(axes, left, columns, rank, ORANGE, f"r × {SIZE}·F")
    _text(axes, left + columns / 2, "Vᵀ", "white")
    _text(axes, columns / 2, "kernel matrix", "white")
    axes.set_xlim(-1, left + columns + 1)
    axes.set_ylim(-rows / 2 - 3, rows / 2 + 1)
    axes.set_title(f"A {SIZE} × {SIZE} kernel, C channels to F filters, as a product")
    _clean(axes)


def _box(axes, left, width, height, color, label):
    axes.add_patch(Rectangle((left, -height / 2), width, height, color=color))
    _text(axes, left + width / 2, label, y=-height / 2 - 1.3)


def _text(axes, x, text, color="black", y=0.0):
    axes.text(x, y, text, ha="center", va="center", color=color, fontsize=10)


def _draw_pair(axes):
    steps = (
        (0, "input\nC channels", None, GRAY),
        (3.4, "k × 1\nfrom U, s", (SIZE, 1), ORANGE),
        (6.8, "r channels", None, GRAY),
        (10.2, "1 × k\nfrom s, V", (1, SIZE), ORANGE),
        (13.6, "output\nF channels", None, GRAY),
    )
    for x, label, kernel, color in steps:
        _draw_step(axes, x, kernel, color)
        axes.text(x, -1.35, label, ha="center", va="top", fontsize=10)
        if x:
            arrow = {"arrowstyle": "->", "color": "black"}
            axes.annotate("", (x - 1.1, 0), (x - 2.3, 0), arrowprops=arrow)
    axes.set_xlim(-1.5, 15.1)
    axes.set_ylim(-2.6, 1.5)
    axes.set_title("The same as two convolutions: mode “spatial”")
    _clean(axes)


def _draw_step(axes, x, kernel, color):
    """A stack of feature maps, or a kernel as its cells."""
    if kernel is None:
        for shift in (0.3, 0.0, -0.3):
            place = (x - 0.7 + shift, -0.7 + shift)
            axes.add_patch(Rectangle(place, 1.4, 1.4, fc=color, ec="white"))
        return
    height, width = kernel
    for row in range(height):
        for column in range(width):
            place = (x + 0.55 * (column - width / 2), 0.55 * (row - height / 2))
            axes.add_patch(Rectangle(place, 0.55, 0.55, fc=color, ec="white"))


def _clean(axes):
    axes.set_aspect("equal")
    axes.axis("off")


def schedule():
    """Dense until the cut, small from there on, in the run of Getting started."""
    run = json.loads((DOCS / "outputs" / "schedule.json").read_text())
    logs, start = run["epochs"], run["start"]
    epochs = len(logs)
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    ranks, kept = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_ranks(ranks, run["events"], epochs)
    edges = np.arange(epochs + 1)
    for key, label in (("macs_kept", "MACs kept"), ("val_accuracy", "val. accuracy")):
        values = [log[key] for log in logs]
        if key == "macs_kept":
            kept.stairs(values, edges, label=label, baseline=None, color=BLUE)
        else:
            kept.plot(edges[1:], values, "--", label=label, color=ORANGE)
    kept.set_ylim(0, 1.05)
    kept.set_ylabel("share")
    kept.set_xlabel("epoch")
    for axes in (ranks, kept):
        axes.axvline(start, color=GRAY, zorder=0)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        axes.set_xlim(0, epochs)
    middles = (start / 2, (start + epochs) / 2)
    for x, name in zip(middles, ("dense", "cut, and trained on"), strict=True):
        ranks.text(x, 1.02, name, ha="center", transform=ranks.get_xaxis_transform())
    figure.savefig(DOCS / "images" / "schedule.png", dpi=110)


def _draw_ranks(axes, events, epochs):
    edges = [*(event["epoch"] for event in events), epochs]
    for path in events[0]["ranks"]:
        values = [event["ranks"][path] for event in events]
        name = path.split("/")[-1]
        axes.stairs(values, edges, baseline=None, label=name, lw=1.5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("rank")


if __name__ == "__main__":
    factors()
    schedule()

"""Figures of every layer: its ranks and its singular values, in network order."""

import re
import statistics

from cells import network_name
from figures import blank, plain, styles
from summaries import final_ranks, initial_ranks

COLUMNS = 6
# Share of the largest singular value at which the figures end.
FLOOR = 1e-3
# Beyond the rank, the singular values of a product are not zero but this small.
ROUNDING = 1e-5


def short(path):
    """A layer of the residual networks by stage, block and place in it."""
    name = path.rpartition("/")[2]
    parts = re.fullmatch(r"stage(\d+)_block(\d+)_(\w+)", name)
    return "{}.{} {}".format(*parts.groups()) if parts else name


def ranks(experiments):
    """Ranks of every layer at the start (bars) and at the end (one line a setting).

    Args:
        experiments: `Experiment`s of one network, all with ranks.
    """
    initial = initial_ranks(experiments)
    paths, places = list(initial), range(len(initial))
    figure, axes = blank(max(7.0, 1.5 + 0.3 * len(paths)), 4.5)
    axes.bar(places, initial.values(), color="0.85", label="at the start")
    for each, style in zip(experiments, styles(), strict=False):
        ends = [[ranks[path] for ranks in final_ranks(each)] for path in paths]
        means = [statistics.fmean(end) for end in ends]
        below = [mean - min(end) for mean, end in zip(means, ends, strict=True)]
        above = [max(end) - mean for mean, end in zip(means, ends, strict=True)]
        axes.errorbar(
            places, means, (below, above), label=f"at the end: {each.name}", **style
        )
    axes.set_xticks(places, [short(path) for path in paths], rotation=90)
    axes.set_xlabel("layer: stage.block and place in it, in network order")
    axes.set_ylabel("rank")
    axes.set_title(network_name(*experiments[0].network))
    axes.grid(axis="x", visible=False)
    axes.legend(fontsize="small", loc="upper left")
    return figure


def spectra(experiments):
    """Singular values of every factorised layer over its largest, before and after.

    Args:
        experiments: `Experiment`s of one network, all with spectra, one with ranks.
    """
    found = [(each, each.values("spectra")[0]) for each in experiments]
    names = [path.rpartition("/")[2] for path in initial_ranks(experiments)]
    lines = -(-len(names) // COLUMNS)
    figure, grid = blank(
        10.0, 1.2 + 1.4 * lines, nrows=lines, ncols=COLUMNS, sharey=True, squeeze=False
    )
    for axes, name in zip(grid.flat, names, strict=False):
        for (each, values), style in zip(found, styles(), strict=False):
            draw_spectrum(axes, values[name], each, style)
        axes.set_title(short(name), fontsize="small", pad=3)
        axes.tick_params(labelsize="x-small")
        # Most curves end at a small share of the full rank.
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_yscale("log")
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    grid[0, 0].set_ylim(max(grid[0, 0].get_ylim()[0], FLOOR), 1.5)
    figure.supxlabel("number of the singular value", fontsize="medium")
    figure.supylabel("singular value / largest of its layer", fontsize="medium")
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        fontsize="small",
        title=network_name(*experiments[0].network),
    )
    return figure


def draw_spectrum(axes, values, experiment, style):
    """One curve, from the largest singular value on."""
    values = sorted(values, reverse=True)
    shares = [value / values[0] for value in values if value > ROUNDING * values[0]]
    axes.plot(
        range(1, len(shares) + 1),
        shares,
        label=experiment.name,
        **plain(style, marker="", linewidth=1.4),
    )

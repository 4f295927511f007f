"""Figures of accuracy against what a network costs."""

import functools
import itertools

from cells import FORMATS, method_name, network_name
from matplotlib.figure import Figure
from summaries import METHOD_NAMES, dense_of, latency_share, of_methods

# What the colour-blind tell apart, and two more; each has its own marker too.
OKABE_ITO = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
COLORS = (*OKABE_ITO, "#882255", "#999999", "#999933", "#661100")
# Eight beside eleven colors: it takes 88 curves until a look comes again.
MARKERS = "osD^vPX*"
# Points of accuracy below dense from which on nothing is in a figure: what collapses
# would otherwise press everything else into one line.
DEPTH = 8


def blank(width=7.0, height=4.2, **layout):
    """A figure and its axes, with a grid."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(**layout)
    for each in axes.flat if layout else [axes]:
        each.grid(alpha=0.3)
        each.set_axisbelow(True)
    return figure, axes


def styles():
    """Arguments of `errorbar`, another color and marker every time."""
    looks = zip(itertools.cycle(COLORS), itertools.cycle(MARKERS), strict=False)
    for color, marker in looks:
        yield {"color": color, "marker": marker, "markersize": 5, "capsize": 3}


def curve(axes, experiments, places, keys, label, **style):
    """Mean accuracy and its deviation over the seeds, from left to right.

    Args:
        axes: Where to draw.
        experiments: A list of `Experiment`.
        places: Where each stands on the x axis, None for nowhere.
        keys: A function from an experiment to the keys of its accuracy.
        label: String.
        **style: Arguments of `errorbar`.
    """
    drawn = [
        (place, 100 * each.mean(*keys(each)), error_bar(each.deviation(*keys(each))))
        for place, each in zip(places, experiments, strict=True)
        if place is not None and each.mean(*keys(each)) is not None
    ]
    if drawn:
        x, y, error = zip(*sorted(drawn), strict=True)
        axes.errorbar(x, y, error, label=label, linewidth=1.2, **style)


def error_bar(deviation):
    """Its length in points; none, where one of length zero would say no spread."""
    return float("nan") if deviation is None else 100 * deviation


def of_row(experiment):
    """Keys of the accuracy that Keras measured."""
    return (experiment.measured,)


def curves(experiments):
    """Experiments that one curve connects: of one method and as many epochs."""
    groups: dict[str, list] = {}
    for each in experiments:
        label = f"{method_name(each)}, {each['epochs']} epochs"
        groups.setdefault(label, []).append(each)
    return groups


def methods(axes, experiments, place_of, keys):
    """One curve a method; none for what ends far below the best dense network.

    Args:
        axes: Where to draw.
        experiments: A list of `Experiment`.
        place_of: A function from an experiment to where it stands on the x axis.
        keys: A function from an experiment to the keys of its accuracy.
    """
    bottom = end_below(axes, experiments, keys)
    looks = styles()
    for label, group in curves(experiments).items():
        means = [100 * (each.mean(*keys(each)) or 0) for each in group]
        if max(means) >= bottom:
            places = [place_of(each) for each in group]
            curve(axes, group, places, keys, label, **next(looks))
    # Matplotlib's margin may be of curves far to the left.
    axes.set_xlim(0, 1.03 * axes.get_xlim()[1])


def end_below(axes, experiments, keys):
    """Let the figure end where all that collapsed is below it; returns where."""
    bottom, top = shown_range(experiments, keys)
    axes.set_ylim(bottom, top)
    return bottom


def shown_range(experiments, keys):
    """From where to where a figure goes: what is far below dense is not in it."""
    known = [each for each in experiments if each.values(*keys(each))]
    means = [100 * each.mean(*keys(each)) for each in known]
    dense = [100 * each.mean(*keys(each)) for each in of_methods(known, "dense")]
    near = [mean for mean in means if mean >= max(dense, default=0) - DEPTH]
    return min(near) - 0.6, max(near) + 0.6


def accuracy_by_macs(experiments):
    """Test accuracy against the share of the MACs, one curve a method."""
    figure, axes = blank(9.0, 4.8)  # Two columns of the legend need the width.
    methods(axes, experiments, macs_kept, of_row)
    axes.set_xlabel("MACs kept (% of the dense network's)")
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(network_name(*experiments[0].network))
    legend_below(figure, axes)
    return figure


def macs_kept(experiment):
    """As per cent."""
    return 100 * experiment.mean("macs_kept")


def accuracy_by_latency(experiments, pool):
    """Accuracy of the exported files against their latency, one curve a method."""
    figure, both = blank(9.0, ncols=2)
    for axes, form in zip(both, FORMATS, strict=True):
        place_of = functools.partial(relative_latency, pool=pool, form=form)
        keys = functools.partial(of_file, form=form)
        methods(axes, experiments, place_of, keys)
        axes.set_title(form)
        axes.set_xlabel(f"latency (% of the dense {form} file's)")
    bottoms, tops = zip(*(axes.get_ylim() for axes in both), strict=True)
    for axes in both:
        axes.set_ylim(min(bottoms), max(tops))
    both[0].set_ylabel("test accuracy by LiteRT (%)")
    legend_below(figure, both[0])
    figure.suptitle(network_name(*experiments[0].network))
    return figure


def relative_latency(experiment, pool, form):
    """As per cent of the dense network's, None if it was not timed."""
    share = latency_share(experiment, dense_of(experiment, pool), form)
    return None if share is None else 100 * share


def of_file(experiment, form):
    """Keys of the accuracy that LiteRT measured."""
    return "tflite", form, "accuracy"


def frontiers(penalties, dense):
    """Accuracy against MACs, one curve a penalty, one point a strength.

    Args:
        penalties: A dict from a penalty's name to `Experiment`s.
        dense: `Experiment`s of the dense network, maybe none.
    """
    figure, axes = blank()
    for (label, group), style in zip(penalties.items(), styles(), strict=False):
        curve(axes, group, map(macs_kept, group), of_row, label, **style)
    finish_ablation(axes, sum(penalties.values(), dense))
    axes.legend(title="compression penalty", fontsize="small")
    return figure


def switches(experiments, dense):
    """Accuracy of what was switched, one line each, with the share of MACs kept.

    Args:
        experiments: `Experiment`s, from top to bottom.
        dense: `Experiment`s of the dense network, maybe none.
    """
    figure, axes = blank(8.0, 1.2 + 0.28 * len(experiments))
    places = list(range(len(experiments), 0, -1))
    axes.errorbar(
        [100 * each.mean(each.measured) for each in experiments],
        places,
        xerr=[100 * (each.deviation(each.measured) or 0) for each in experiments],
        linestyle="none",
        **next(styles()),
    )
    labels = [
        f"{each.name.removeprefix('ablation-')}, {macs_kept(each):.0f}%"
        for each in experiments
    ]
    axes.set_yticks(places, labels, fontsize="small")
    axes.set_xlim(shown_range(dense + experiments, of_row))
    for each in dense:
        axes.axvline(100 * each.mean(each.measured), **dense_line(each))
    if dense:
        legend_below(figure, axes)
    axes.set_xlabel(held_out_or_test(experiments))
    return figure


def legend_below(figure, axes):
    """A legend that would hide what is in the figure."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        fontsize="small",
    )


def finish_ablation(axes, experiments):
    """The dense networks as lines, limits, and the labels of both axes."""
    for each in of_methods(experiments, "dense"):
        axes.axhline(100 * each.mean(each.measured), **dense_line(each))
    end_below(axes, experiments, of_row)
    axes.set_xlabel("MACs kept (% of the dense network's)")
    axes.set_ylabel(held_out_or_test(experiments))


def dense_line(experiment):
    """Arguments of the line that stands for a dense network."""
    label = f"dense, {experiment['epochs']} epochs"
    return {"color": "0.4", "linestyle": "--", "label": label}


def held_out_or_test(experiments):
    """What the axis of accuracy says."""
    held_out = experiments[0]["validate"]
    return f"accuracy on {'held-out' if held_out else 'test'} images (%)"


def accuracy_by_images(experiments):
    """Test accuracy against the share of the training images, one curve a method."""
    figure, axes = blank()
    groups: dict[str, list] = {}
    for each in experiments:
        # limited-<per cent>-<what a curve has in common>
        name = each.name.split("-", 2)[-1]
        groups.setdefault(METHOD_NAMES.get(name, name), []).append(each)
    for (label, group), style in zip(groups.items(), styles(), strict=False):
        places = [100 * each["fraction"] for each in group]
        curve(axes, group, places, of_row, label, **style)
    fractions = sorted({100 * each["fraction"] for each in experiments})
    axes.set_xscale("log")
    axes.set_xticks(fractions, [f"{share:g}" for share in fractions])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training images (% of all, logarithmic)")
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(network_name(*experiments[0].network))
    axes.legend(fontsize="small")
    return figure


def change_by_macs(ours, pool, published):
    """Change of accuracy against the change of the MACs, ours and published ones.

    Args:
        ours: `Experiment`s of one network.
        pool: `Experiment`s that have the dense ones.
        published: Entries of `published.json` with MACs.
    """
    network = ours[0].network
    beside = [each for each in published if (each["model"], each["dataset"]) == network]
    figure, axes = blank(9.0, 5.0)
    looks = styles()
    for label, group in curves(ours).items():
        axes.errorbar(
            [100 * (each.mean("macs_kept") - 1) for each in group],
            [100 * each.change(dense_of(each, pool), "accuracy") for each in group],
            [error_bar(each.deviation("accuracy")) for each in group],
            label=f"this package: {label}",
            **next(looks),
        )
    for method in dict.fromkeys(entry["method"] for entry in beside):
        points = [entry for entry in beside if entry["method"] == method]
        axes.plot(
            [entry["macs_change"] for entry in points],
            [entry["accuracy_change"] for entry in points],
            label=f"{method}, published",
            **plain(next(looks), markerfacecolor="none", linestyle=":"),
        )
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.set_xlabel("change of the MACs (%)")
    axes.set_ylabel("change of the accuracy (points)")
    axes.set_title(network_name(*network))
    legend_below(figure, axes)
    return figure


def plain(style, **changes):
    """Arguments of `plot` out of those of `errorbar`."""
    return {key: style[key] for key in ("color", "marker", "markersize")} | changes

"""The figure of accuracy against what a network costs."""

import hashlib
import json
import math

from experiments import FORMATS
from matplotlib.figure import Figure
from PIL import Image
from summaries import kept, latency_share, timed
from tables import images, kind, model_name

DPI = 120
# The field of a PNG file that tells what was drawn: `--check` sees older rows there.
FIELD = "Comment"
# What the colour-blind tell apart, each with a marker of its own.
LOOKS = (
    {"color": "#000000", "marker": "*"},
    {"color": "#0072B2", "marker": "o"},
    {"color": "#D55E00", "marker": "D"},
    {"color": "#E69F00", "marker": "s"},
    {"color": "#009E73", "marker": "^"},
    {"color": "#CC79A7", "marker": "v"},
)


def accuracy(shown, pool):
    """What the figure shows: a list of panels, those with more than one network.

    Args:
        shown: `Experiment`s of one network; the latency of a file has those by a budget
            of its time as well.
        pool: `Experiment`s that have the dense ones, and those.
    """

    def latency(form):
        return lambda each: latency_share(each, form, pool)

    panels = [panel(shown, "MACs", lambda each: kept(each, "macs", pool))]
    for form in FORMATS:
        keys = "tflite", form, "accuracy"
        of_form = [each for each in timed(shown, pool) if each.by_time == form]
        title = f"latency of the {form} file"
        panels.append(panel([*shown, *of_form], title, latency(form), keys))
    return [each for each in panels if sum(map(len, each["curves"].values())) > 1]


def panel(shown, cost, share_of, keys=None):
    """Labels, and curves of (x, accuracy, standard deviation) in per cent."""
    curves: dict[str, list] = {}
    for each in shown:
        of = keys or (each.measured,)
        share, mean, deviation = share_of(each), each.mean(*of), each.deviation(*of)
        if share is not None and mean is not None:
            # No bar, where one of length zero would say that seeds agree.
            point = (share, mean, math.nan if deviation is None else deviation)
            label = f"{kind(each)}{', by a budget of time' if each.by_time else ''}"
            curves.setdefault(label, []).append([round(100 * x, 4) for x in point])
    return {
        "title": model_name(shown[0]) if shown else "",
        "x": f"{cost} (% of the dense network's)",
        "y": f"accuracy on {images(shown[0])} (%)" if shown else "",
        "curves": {label: sorted(curve) for label, curve in curves.items()},
    }


def draw(panels):
    """A Matplotlib figure of some panels."""
    width = 7.0 if len(panels) == 1 else 4.2 * len(panels)
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    every = figure.subplots(ncols=len(panels), sharey=True, squeeze=False)[0]
    labels = dict.fromkeys(label for panel in panels for label in panel["curves"])
    looks = dict(zip(labels, LOOKS, strict=False))
    for axes, content in zip(every, panels, strict=True):
        for label, curve in content["curves"].items():
            x, y, error = zip(*curve, strict=True)
            axes.errorbar(x, y, error, label=label, capsize=3, **looks[label])
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.set_xlim(left=0)
        axes.set_xlabel(content["x"])
    every[0].set_ylabel(panels[0]["y"])
    lines: dict = {}
    for axes in every:
        found, names = axes.get_legend_handles_labels()
        lines |= dict(zip(names, found, strict=True))
    figure.legend(
        list(lines.values()),
        list(lines),
        fontsize="small",
        loc="outside lower center",
        ncols=min(len(lines), 3),
    )
    figure.suptitle(panels[0]["title"])
    return figure


def digest(panels):
    """A short text that changes with every point and word of a figure."""
    return hashlib.sha256(json.dumps(panels).encode()).hexdigest()[:16]


def save(panels, path):
    """Write a figure as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(panels).savefig(path, dpi=DPI, metadata={FIELD: digest(panels)})


def is_up_to_date(panels, path):
    """Whether the figure in the file is of these panels."""
    if not path.exists():
        return False
    with Image.open(path) as image:
        return image.info.get(FIELD) == digest(panels)

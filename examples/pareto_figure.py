"""The figure of accuracy against what files cost."""

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

# What the colour-blind tell apart.
LOOKS = {
    "dense": {"color": "#000000", "marker": "*"},
    "DPRP": {"color": "#D55E00", "marker": "D"},
    "narrower": {"color": "#0072B2", "marker": "o"},
}
COSTS = {"latency_ms": "latency (ms)", "bytes": "size of the file (bytes)"}
STYLES = {
    "float32": {"linestyle": "-"},
    "int8": {"linestyle": ":", "markerfacecolor": "white"},
}
CHOSEN = {
    "color": "#009E73",
    "linestyle": "",
    "marker": "o",
    "markersize": 18,
    "markerfacecolor": "none",
}


def draw(rows, chosen):
    """A Matplotlib figure: test accuracy against milliseconds, and against bytes.

    Args:
        rows: What `pareto.compare` returns.
        chosen: The one of them that gets a ring.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = figure.subplots(ncols=2, sharey=True)
    for axes, (key, label) in zip(panels, COSTS.items(), strict=True):
        for form, style in STYLES.items():
            for family, look in LOOKS.items():
                x, y = points(rows, family, form, key)
                axes.plot(x, y, label=f"{family}, {form}", **look, **style)
        place = chosen[key], 100 * chosen["test_accuracy"]
        axes.plot(*place, label="chosen", **CHOSEN)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(label)
        axes.grid(alpha=0.3, which="both")
        axes.set_axisbelow(True)
    panels[0].set_ylabel("accuracy on test images (%)")
    panels[0].legend(fontsize="small")
    return figure


def points(rows, family, form, key):
    """A cost and the accuracy in per cent of some files, the cheapest first."""
    of_both = [x for x in rows if (x["family"], x["form"]) == (family, form)]
    files = sorted(of_both, key=lambda row: row[key])
    return [x[key] for x in files], [100 * x["test_accuracy"] for x in files]

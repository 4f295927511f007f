"""Ranks over epochs as a figure."""

from keras_dprp.pruning import RankPruningCallback

# Of a legend: more of them are higher than the axes.
ROWS = 25
# Of all epochs: the room for what was before the first of them.
BEFORE = 0.08


def plot_ranks(callback):
    """Plot the ranks of every layer over epochs, kept shares and accuracy beneath.

    The axis says how many epochs are over. Left of where it begins is what a cut before
    the first epoch found.

    Args:
        callback: A `RankPruningCallback` that has been through a `fit`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `callback` is no `RankPruningCallback`.
        ValueError: If it has not been through a `fit`.

    Example:
    >>> keras_dprp.plot_ranks(callback).savefig("ranks.png")
    """
    if not isinstance(callback, RankPruningCallback):
        raise TypeError(
            "`callback` must be a RankPruningCallback. "
            f"Received: {callback!r} (of type {type(callback).__name__})"
        )
    if not callback.epoch_logs:
        raise ValueError(
            "`callback` must have been through a `fit`. Received: one without history"
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plot_ranks needs matplotlib: pip install "keras-dprp[plot]"'
        ) from error

    columns = -(-len(callback.history[0]["ranks"]) // ROWS)
    figure = Figure(figsize=(5.5 + 2.5 * columns, 7), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    times = _times(callback.history, callback.epoch_logs)
    _draw_ranks(top, times, callback.history)
    _draw_shares(bottom, times, callback.history)
    _draw_accuracy(bottom, callback.epoch_logs)
    for axes in (top, bottom):
        axes.legend(
            fontsize="x-small" if len(axes.lines) > 8 else "small",
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            ncols=-(-len(axes.lines) // ROWS),
        )
    return figure


def _times(events, logs):
    """Where what an event has left begins, and where the last of it ends."""
    first, end = logs[0]["epoch"], logs[-1]["epoch"] + 1
    cuts = [event["epoch"] for event in events[1:]]
    # What a cut before the first epoch leaves nothing of is shown all the same.
    before = BEFORE * (end - first) if first in cuts else 0
    return [first - before, *cuts, end]


def _draw_ranks(axes, times, events):
    import matplotlib

    paths = list(events[0]["ranks"])
    colors = matplotlib.colormaps["viridis"].resampled(max(len(paths), 2))
    for index, path in enumerate(paths):
        ranks = [event["ranks"][path] for event in events]
        label = f"{path} ({ranks[0]} → {ranks[-1]})"
        _draw_steps(axes, times, ranks, color=colors(index), label=label)
    axes.set(ylabel="rank", title="Ranks by layer")
    axes.set_ylim(bottom=0)


def _draw_shares(axes, times, events):
    for metric in ("parameters", "MACs"):
        kept = [event[f"{metric.lower()}_kept"] for event in events]
        _draw_steps(axes, times, kept, label=f"{metric} kept")
    axes.set(xlabel="epochs trained", ylabel="share", ylim=(0, 1.02))
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)


def _draw_steps(axes, times, values, **style):
    """Each value holds until the next event, the last one to the end."""
    axes.step(times, [*values, values[-1]], where="post", **style)


def _draw_accuracy(axes, logs):
    for key in logs[-1]:
        if "accuracy" in key:
            # Measured at the end of an epoch; not every one may have been validated.
            points = [(e["epoch"] + 1, e[key]) for e in logs if key in e]
            label = key.replace("_", " ")
            axes.plot(*zip(*points, strict=True), linestyle="--", label=label)

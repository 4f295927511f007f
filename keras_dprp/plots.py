"""Ranks over epochs as a figure."""

from keras_dprp.pruning import RankPruningCallback


def plot_ranks(callback):
    """Plot the ranks of every layer over epochs, kept shares and accuracy beneath.

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

    figure = Figure(figsize=(8, 7), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_ranks(top, callback.history, callback.epoch_logs)
    _draw_shares(bottom, callback.epoch_logs)
    for axes in (top, bottom):
        axes.legend(
            fontsize="x-small" if len(axes.lines) > 8 else "small",
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
        )
    return figure


def _draw_ranks(axes, events, logs):
    import matplotlib

    # Each rank holds until the next event, the last one to the end.
    epochs = [event["epoch"] for event in events[1:]]
    epochs = [logs[0]["epoch"], *epochs, logs[-1]["epoch"] + 1]
    paths = list(events[0]["ranks"])
    colors = matplotlib.colormaps["viridis"].resampled(max(len(paths), 2))
    for index, path in enumerate(paths):
        ranks = [event["ranks"][path] for event in events]
        label = f"{path} ({ranks[0]} → {ranks[-1]})"
        ranks.append(ranks[-1])
        axes.step(epochs, ranks, where="post", color=colors(index), label=label)
    axes.set(ylabel="rank", title="Ranks by layer")
    axes.set_ylim(bottom=0)


def _draw_shares(axes, logs):
    # What is kept holds for all of an epoch, accuracy is measured at its end.
    epochs = [*(entry["epoch"] for entry in logs), logs[-1]["epoch"] + 1]
    for metric in ("parameters", "MACs"):
        kept = [entry[f"{metric.lower()}_kept"] for entry in logs]
        axes.step(epochs, [*kept, kept[-1]], where="post", label=f"{metric} kept")
    for key in logs[-1]:
        if "accuracy" in key:
            # Not every epoch may have been validated.
            points = [(e["epoch"] + 1, e[key]) for e in logs if key in e]
            label = key.replace("_", " ")
            axes.plot(*zip(*points, strict=True), linestyle="--", label=label)
    axes.set(xlabel="epoch", ylabel="share", ylim=(0, 1.02))
    axes.grid(alpha=0.3)

"""Ranks over epochs as a figure."""


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
    from keras_dprp.pruning import RankPruningCallback

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
    _draw_ranks(top, callback)
    _draw_shares(bottom, callback)
    return figure


def _draw_ranks(axes, callback):
    import matplotlib

    events = callback.history
    last = callback.epoch_logs[-1]["epoch"] + 1
    epochs = [event["epoch"] for event in events]
    epochs = [callback.epoch_logs[0]["epoch"], *epochs[1:], last]
    paths = list(events[0]["ranks"])
    colors = matplotlib.colormaps["viridis"].resampled(max(len(paths), 2))
    for index, path in enumerate(paths):
        ranks = [event["ranks"][path] for event in events]
        axes.step(
            epochs,
            [*ranks, ranks[-1]],
            where="post",
            color=colors(index),
            label=f"{path} ({ranks[0]} → {ranks[-1]})",
        )
    axes.set_ylabel("rank")
    axes.set_ylim(bottom=0)
    axes.set_title("Ranks by layer")
    _legend(axes, len(paths))


def _draw_shares(axes, callback):
    logs = callback.epoch_logs
    # What is kept holds for all of an epoch, accuracy is measured at its end.
    epochs = [*(entry["epoch"] for entry in logs), logs[-1]["epoch"] + 1]
    for key, label in (
        ("parameters_kept", "parameters kept"),
        ("macs_kept", "MACs kept"),
    ):
        kept = [entry[key] for entry in logs]
        axes.step(epochs, [*kept, kept[-1]], where="post", label=label)
    for key in logs[-1]:
        if "accuracy" in key:
            # Not every epoch may have been validated.
            points = [(e["epoch"] + 1, e[key]) for e in logs if key in e]
            label = key.replace("_", " ")
            axes.plot(*zip(*points, strict=True), linestyle="--", label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("share")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    _legend(axes, 4)


def _legend(axes, entries):
    axes.legend(
        fontsize="x-small" if entries > 8 else "small",
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
    )

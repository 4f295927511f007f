"""Which of several files to take, judged on validation images."""

from comparison_text import DENSE, find

from tflite_export.report import duration_text


def choose(rows, max_drop):
    """The smallest file that loses little.

    Args:
        rows: What `pareto.compare` returns.
        max_drop: Float, at least 0: how much less than the dense float32 file's its
            accuracy may be.

    Raises:
        ValueError: If `max_drop` is below 0.
    """
    if max_drop < 0:
        raise ValueError(f"`max_drop` must be 0 or more. Received: {max_drop}")
    least = find(rows, DENSE, "float32")["validation_accuracy"] - max_drop
    good = [row for row in rows if row["validation_accuracy"] >= least]
    return min(good, key=lambda row: row["bytes"])


def unbeaten(rows, cost):
    """The files that no other beats: none costs as little and is better.

    Args:
        rows: What `pareto.compare` returns.
        cost: "latency_ms" or "bytes".

    Returns:
        A list of rows, the cheapest first.
    """
    edge: list[dict] = []
    for row in sorted(rows, key=lambda row: (row[cost], -row["validation_accuracy"])):
        if not edge or row["validation_accuracy"] > edge[-1]["validation_accuracy"]:
            edge.append(row)
    return edge


def answer(rows, max_drop):
    """What was chosen, what it is worth on other images, and what else is unbeaten."""
    chosen, dense = choose(rows, max_drop), find(rows, DENSE, "float32")
    fast, small = (
        ", ".join(f"{row['network']} {row['form']}" for row in unbeaten(rows, cost))
        for cost in ("latency_ms", "bytes")
    )
    return (
        f"Of the files that lose no more than {100 * max_drop:.1f} points against the "
        f"dense float32 file on validation images, {chosen['file']} is the smallest: "
        f"{chosen['bytes']:,} bytes and {duration_text(chosen['latency_ms'])}, "
        f"{chosen['bytes'] / dense['bytes']:.0%} and "
        f"{chosen['latency_ms'] / dense['latency_ms']:.0%} of that file's. On test "
        f"images it has {chosen['test_accuracy']:.2%}, the dense float32 file "
        f"{dense['test_accuracy']:.2%}. No file is as fast and better on validation "
        f"images than these: {fast}. None is as small and better than these: {small}."
    )

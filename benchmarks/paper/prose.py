"""Texts that are written by hand, and the figures in them, which are not.

`{{accuracy resnet20-dense}}` in a text stands for what the rows of that experiment say;
the space may be the end of a line.
"""

import re
import statistics

from cells import (
    NOTHING,
    latency,
    points,
    spread,
    training_accuracy,
    with_deviation,
)
from summaries import dense_of, every_of, final_ranks, initial_ranks

# As a share of the largest singular value of a layer.
WEAK = 0.2

# And then how the names of layers begin: the share of their full rank that is left.
RANKS = "ranks_"

_FIGURE = re.compile(r"\{\{(\w+)\s+([^}\s]+)\}\}")


def change(experiment, dense):
    """Points of accuracy against the dense network."""
    return points(experiment.change(dense, experiment.measured))


def rank_share(experiment, prefix):
    """How much of the full rank is left, of the layers whose names begin alike."""
    initial = initial_ranks([experiment])
    shares = [
        rank / initial[name]
        for last in final_ranks(experiment)
        for name, rank in last.items()
        if name.startswith(prefix)
    ]
    return f"{sum(shares) / len(shares):.0%}" if shares else NOTHING


def events(experiment):
    """How many events changed ranks; of an uninterrupted training."""
    counts = {
        len(row["ranks"]) - 1 for row in experiment.rows if not row.get("resumed")
    }
    return " or ".join(map(str, sorted(counts))) or NOTHING


def weak_values(experiment):
    """How many of the singular values that are kept are far below the largest.

    Of the layers that lost any: in others what is small costs nothing.
    """
    initial, kept, weak = initial_ranks([experiment]), 0, 0
    for row in experiment.rows:
        for path, rank in row["ranks"][-1].items() if row["ranks"] else ():
            values = row["spectra"][path.rpartition("/")[2]][:rank]
            if rank < initial[path]:
                kept += rank
                weak += sum(value < WEAK * values[0] for value in values)
    return f"{weak / kept:.0%}" if kept else NOTHING


def halfway(experiment):
    """Accuracy at the first of two validations, which is after half of the epochs.

    Nothing if a row has not got two: an interrupted training may have lost one.
    """
    every = experiment.values("history", "val_accuracy")
    first = [each[0] for each in every if len(each) == 2]
    if len(first) < len(experiment.rows):
        return NOTHING
    deviation = statistics.stdev(first) if len(first) > 1 else None
    return with_deviation(statistics.fmean(first), deviation)


# By the word in front of the experiment's name: of it and of the dense one beside it.
FIGURES = {
    "accuracy": lambda each, dense: spread(each, each.measured),
    "halfway_accuracy": lambda each, dense: halfway(each),
    "training_accuracy": lambda each, dense: training_accuracy(each),
    "change": change,
    "epochs": lambda each, dense: str(each["epochs"]),
    "parameter_count": lambda each, dense: f"{each.mean('parameters'):,.0f}",
    "macs_kept": lambda each, dense: f"{each.mean('macs_kept'):.1%}",
    "float32_latency": lambda each, dense: latency(each, dense, "float32"),
    "int8_latency": lambda each, dense: latency(each, dense, "int8"),
    "float32_accuracy": lambda each, dense: spread(
        each, "tflite", "float32", "accuracy"
    ),
    "int8_accuracy": lambda each, dense: spread(each, "tflite", "int8", "accuracy"),
    "events": lambda each, dense: events(each),
    "weak_values": lambda each, dense: weak_values(each),
}


def fill(text, experiments):
    """The text with its figures.

    Args:
        text: String.
        experiments: `Experiment`s by section, as of `summaries.split`.

    Raises:
        ValueError: If a figure or an experiment is unknown.
    """
    pool = every_of(experiments)
    every = {each.name: each for each in pool}

    def figure(match):
        word, name = match.groups()
        of_layers = word.startswith(RANKS)
        if not (of_layers or word in FIGURES) or name not in every:
            raise ValueError(
                f"Figures must be one of {', '.join(FIGURES)}, or {RANKS} and how the "
                "names of layers begin, and an experiment that has rows "
                f"({', '.join(every)}). Received: {match[0]}"
            )
        if of_layers:
            return rank_share(every[name], word.removeprefix(RANKS))
        return FIGURES[word](every[name], dense_of(every[name], pool))

    return _FIGURE.sub(figure, text)

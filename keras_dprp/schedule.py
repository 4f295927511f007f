"""When a training is dense, when ranks fall, and when it learns on."""

import warnings
from dataclasses import dataclass

import numpy as np

# As shares of all epochs.
START = 0.5
# Of the epochs after the first event: the others fall into this share of them.
SPREAD = 0.4


@dataclass(frozen=True)
class Schedule:
    """Epochs of the events, a tuple of ints, ascending."""

    events: tuple

    @property
    def start(self):
        """Epoch of the first event."""
        return self.events[0]

    @property
    def stop(self):
        """Epoch of the last event: penalties are off from then on."""
        return self.events[-1]

    def prunes(self, epoch):
        """Whether the penalties act in this epoch."""
        return self.start <= epoch < self.stop

    def progress(self, epoch):
        """Share of the events that are over, this epoch's included."""
        return sum(event <= epoch for event in self.events) / len(self.events)


def plan_events(epochs, start, stop, events):
    """The `Schedule` of a training of so many epochs, past ones included.

    The other arguments are those of `RankPruningCallback`. A `start` that is given
    counts from the first epoch ever, whatever this `fit` is.
    """
    if start is None:
        half = round(START * epochs)
        start = half if stop is None else min(half, stop)
        if start == 0:
            warnings.warn(
                f"{epochs} epochs are too few to train a dense network first: ranks "
                "fall at the beginning of epoch 0. Pass `start=0` if the network is "
                "trained.",
                stacklevel=2,
            )
    if stop is None:
        spread = round(SPREAD * (epochs - start)) if events > 1 else 0
        stop = start + max(spread, 0)
    places = np.linspace(start, stop, min(events, stop - start + 1))
    return Schedule(tuple(int(epoch) for epoch in np.unique(np.round(places))))

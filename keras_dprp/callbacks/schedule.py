"""When a training warms up, prunes and trains freely."""

import warnings
from dataclasses import dataclass

# As shares of all epochs. An event compiles the training step anew, which takes as long
# as many steps; more than a handful of events were not seen to gain accuracy.
# Of so many intervals there is one event more.
START, STOP, INTERVALS = 0.25, 0.6, 5


@dataclass(frozen=True)
class Schedule:
    """Epochs of the pruning phase: events at `start`, `start + every`, ..., `stop`.

    Args:
        start: First epoch with penalties on, and of the first event.
        stop: Epoch of the last event; penalties are off from then on.
        every: Epochs between two events.
    """

    start: int
    stop: int
    every: int

    def is_event(self, epoch):
        """Whether ranks may fall at the beginning of this epoch."""
        inside = self.start <= epoch <= self.stop
        return inside and (epoch == self.stop or (epoch - self.start) % self.every == 0)

    def prunes(self, epoch):
        """Whether the penalties act in this epoch."""
        return self.start <= epoch < self.stop

    def progress(self, epoch):
        """Share of the pruning phase that is over, from above 0 to 1 at `stop`."""
        return (epoch - self.start + self.every) / (self.stop - self.start + self.every)


def plan(epochs, start=None, stop=None, every=None):
    """A `Schedule` for a training of so many epochs.

    Args:
        epochs: Int. Epochs of the whole training.
        start: Int or None. Defaults to a quarter of the epochs.
        stop: Int or None. Defaults to six tenths of them.
        every: Int or None. Defaults to what makes about six events.
    """
    defaults = start is None and stop is None
    if stop is None:
        stop = max(round(STOP * epochs), start or 0)
    if start is None:
        start = min(round(START * epochs), stop)
    first, last = (min(epoch, epochs - 1) for epoch in (start, stop))
    if last < stop or (defaults and start == 0):
        warnings.warn(
            f"{epochs} epochs are too few to warm up, to prune until epoch {stop} and "
            f"to train on; pruning from epoch {first} to {last} instead.",
            stacklevel=2,
        )
    return Schedule(first, last, every or max(1, round((last - first) / INTERVALS)))

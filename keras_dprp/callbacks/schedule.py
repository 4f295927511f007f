"""When a training warms up, prunes and trains freely."""

import warnings
from dataclasses import dataclass

# As shares of all epochs; about ten events pay for their retraces (an event costs
# seconds, a smaller network saves them every epoch).
START, STOP, EVENTS = 0.25, 0.6, 10


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
        """Share of the pruning phase that is over, from above 0 to 1."""
        return min((epoch - self.start + self.every) / self._length(), 1.0)

    def _length(self):
        return self.stop - self.start + self.every

    def events(self):
        """All epochs with an event."""
        return [e for e in range(self.start, self.stop + 1) if self.is_event(e)]


def plan(epochs, start=None, stop=None, every=None):
    """A `Schedule` for a training of so many epochs.

    Args:
        epochs: Int. Epochs of the whole training.
        start, stop, every: Ints, or None for the defaults: from a quarter of the
            epochs to six tenths, in about ten events.
    """
    last = max(epochs - 1, 0)
    wanted_start = round(START * epochs) if start is None else start
    wanted_stop = max(round(STOP * epochs), wanted_start) if stop is None else stop
    schedule_start, schedule_stop = min(wanted_start, last), min(wanted_stop, last)
    if wanted_start > last or wanted_stop > last or epochs < 4:
        warnings.warn(
            f"{epochs} epochs are too short for warm-up, pruning from epoch "
            f"{wanted_start} to {wanted_stop} and free training; pruning from epoch "
            f"{schedule_start} to {schedule_stop} instead.",
            stacklevel=2,
        )
    if every is None:
        every = max(1, round((schedule_stop - schedule_start) / EVENTS))
    return Schedule(schedule_start, schedule_stop, every)

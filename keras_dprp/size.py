"""How small a network is to be, as users say it."""

import os
from dataclasses import dataclass

from keras_dprp import profiles
from keras_dprp.arguments import number, whole_number
from keras_dprp.costs import LATENCY, METRICS

# What says how small: which numbers are valid, in code and in words.
_RANGES = {
    "target": (lambda x: 0 < x <= 1, "in (0, 1]"),
    "budget": (
        lambda x: 0 < x < float("inf"),
        "a number of parameters, MACs or milliseconds above 0",
    ),
    "threshold": (lambda x: 0 <= x < 1, "in [0, 1)"),
}
# What rounding may not decide on: 35 % of 2,880 MACs must be 1,008, not a bit less.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Size:
    """What `RankPruningCallback` takes under these names, checked."""

    target: float | None = None
    budget: float | None = None
    metric: str = "macs"
    profile: str | None = None
    threshold: float | None = None
    multiple_of: int = 1
    min_rank: int = 1

    def __post_init__(self):
        for name, value in self.given.items():
            number(value, name)
        if len(self.given) > 1:
            raise ValueError(
                "At most one of `target`, `budget` and `threshold` can be given. "
                f"Received: {', '.join(f'{n}={v}' for n, v in self.given.items())}"
            )
        for name, value in self.given.items():
            is_valid, words = _RANGES[name]
            if not is_valid(value):
                raise ValueError(
                    f"`{name}` must be None or {words}. Received: {name}={value}"
                )
        metrics = (*METRICS, LATENCY)
        if self.metric not in metrics:
            raise ValueError(
                f"`metric` must be one of {metrics}. Received: metric={self.metric!r}"
            )
        if not isinstance(self.profile, (str, os.PathLike, type(None))):
            raise TypeError(
                "`profile` must be None or the path of a file. Received: "
                f"profile={self.profile!r} (of type {type(self.profile).__name__})"
            )
        if (self.metric == LATENCY) != (self.profile is not None):
            raise ValueError(
                f"`metric='{LATENCY}'` goes with the path of a `profile`, and no other "
                f"metric does. Received: metric={self.metric!r}, "
                f"profile={self.profile!r}"
            )
        if self.metric == LATENCY and not self.given.keys() & {"target", "budget"}:
            raise ValueError(
                f"`metric='{LATENCY}'` needs a `target` or a `budget`. "
                "Received: neither"
            )
        whole_number(self.multiple_of, "multiple_of", 1)
        whole_number(self.min_rank, "min_rank", 1)

    def read_profile(self):
        """The `Profile` that is asked for, or None."""
        return None if self.profile is None else profiles.read(self.profile)

    @property
    def given(self):
        """What says how small, by name; empty if the training is to find it."""
        values = {name: getattr(self, name) for name in _RANGES}
        return {name: value for name, value in values.items() if value is not None}

    def amount(self, cost):
        """What the network of this `NetworkCost` may cost in the end, or None."""
        amount = self.budget
        if self.target is not None:
            amount = self.target * cost.dense(self.metric)
        return None if amount is None else amount * (1 + _ROUNDING)

"""How small a network is to be, as users say it."""

import os
from dataclasses import dataclass

from keras_dprp import profiles
from keras_dprp.arguments import number, whole_number
from keras_dprp.costs import LATENCY, METRICS, NetworkCost
from keras_dprp.file_parts import KINDS
from keras_dprp.file_sizes import BYTES, FileSize

# What says how small: which numbers are valid, in code and in words.
_RANGES = {
    "target": (lambda x: 0 < x <= 1, "in (0, 1]"),
    "budget": (
        lambda x: 0 < x < float("inf"),
        "a number of parameters, MACs, bytes or milliseconds above 0",
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
    quantization: str | None = None
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
        if self.metric not in METRICS:
            raise ValueError(
                f"`metric` must be one of {METRICS}. Received: metric={self.metric!r}"
            )
        if not isinstance(self.profile, (str, os.PathLike, type(None))):
            raise TypeError(
                "`profile` must be None, the name of a processor or the path of a "
                f"file. Received: profile={self.profile!r} "
                f"(of type {type(self.profile).__name__})"
            )
        if (self.metric == LATENCY) != (self.profile is not None):
            raise ValueError(
                f"`metric='{LATENCY}'` goes with a `profile`, the name of a processor "
                "or the path of a file, and no other metric does. "
                f"Received: metric={self.metric!r}, "
                f"profile={self.profile!r}"
            )
        self._check_quantization()
        needs_size = self.metric in (LATENCY, BYTES)
        if needs_size and not self.given.keys() & {"target", "budget"}:
            raise ValueError(
                f"`metric='{self.metric}'` needs a `target` or a `budget`. "
                "Received: neither"
            )
        whole_number(self.multiple_of, "multiple_of", 1)
        whole_number(self.min_rank, "min_rank", 1)

    def _check_quantization(self):
        kinds = tuple(KINDS)
        if self.quantization not in kinds:
            raise ValueError(
                f"`quantization` must be one of {kinds}. "
                f"Received: quantization={self.quantization!r}"
            )
        if self.quantization is not None and self.metric not in (BYTES, LATENCY):
            raise ValueError(
                f"`quantization` goes with `metric='{BYTES}'` or '{LATENCY}'. "
                f"Received: metric={self.metric!r}, "
                f"quantization={self.quantization!r}"
            )

    def cost_of(self, model, with_bytes=False):
        """The `NetworkCost` of a model, with what a size of this metric takes.

        Args:
            model: A built model.
            with_bytes: Whether to have the bytes of a file in any case.
        """
        profile, files, quantization = None, None, self.quantization
        if self.profile is not None:
            profile = profiles.read(self.profile, quantization)
            quantization = profile.quantization
        if with_bytes or self.metric == BYTES:
            files = FileSize(model, quantization)
        return NetworkCost(model, profile, files)

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

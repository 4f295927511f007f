"""The rules that say which ranks an event gives: a budget, a threshold, or recovery."""

from dataclasses import dataclass
from typing import ClassVar

from keras_dprp.costs import LATENCY, NetworkCost, amount_text, rank_now
from keras_dprp.file_sizes import BYTES
from keras_dprp.ranks import (
    layer_choices,
    lower_ranks,
    rank_by_threshold,
    ranks_at_loss,
    ranks_by_budget,
    round_up,
)
from keras_dprp.size import Size

# Without a number: the share of s² that an event may cut off, a mean over layers by
# their parameters. A tenth leaves networks of flat spectra nearly whole.
SHARE = 0.25
# Of the dense network's parameters: to go further costs accuracy, so that is for those
# who say how far.
FLOOR = 0.5
# A network has recovered that is short of its best loss by no more than this share of
# what training has gained, or of that loss. Ten times as much or as little is the same.
OF_GAIN, OF_LOSS = 0.01, 0.05
# Of what layers share: how much more is spent. All of it may be too much.
_PARTS = (1.0, 0.75, 0.5, 0.25)


@dataclass
class Rule:
    """Finds ranks for the layers of a network.

    Attributes:
        size: The `Size` that is asked for.
        cost: The `NetworkCost` of the network.
        layers: A list of the `SVDLayer`s that may be cut.
        default_events: How many events there are where nobody says how many.
    """

    size: Size
    cost: NetworkCost
    layers: list
    default_events: ClassVar[int]

    def ranks(self, spectra, progress=1.0):
        """A rank for each layer, by layer; None for one that stays dense.

        Args:
            spectra: Singular values by layer.
            progress: Float in (0, 1]: share of the events that are over.
        """
        raise NotImplementedError

    def _choices(self, metric, spectra):
        costs, steps = self.cost.layers, (self.size.multiple_of, self.size.min_rank)
        return {
            layer: layer_choices(costs[layer], metric, spectra[layer], *steps)
            for layer in self.layers
        }

    def _within(self, metric, choices, budget):
        """The ranks at which the whole network costs no more than a budget."""
        cost = self.cost
        fixed = self._fixed(metric)
        found = ranks_by_budget(choices, budget - fixed)
        if metric != BYTES:
            return found
        # What layers share in a file depends on the ranks, and can be spent, too.
        alone = sum(cost.layers[layer].at(metric, found[layer]) for layer in found)
        shared = fixed + alone - cost.at(metric, found)
        for part in _PARTS:
            more = ranks_by_budget(choices, budget - fixed + part * shared)
            if cost.at(metric, more) <= budget:
                return more
        return found

    def _fixed(self, metric):
        """The cost of all that is not cut: stock layers, and frozen ones."""
        costs = self.cost.layers
        frozen = (costs[layer] for layer in costs if layer not in self.layers)
        return self.cost.other[metric] + sum(own.now(metric) for own in frozen)

    def _allowed(self, layer, rank):
        """The smallest of the ranks a layer may have that is not below `rank`."""
        size = self.size
        return round_up(rank, size.multiple_of, size.min_rank, layer.rank)


@dataclass
class BudgetRule(Rule):
    """All layers share a budget that falls from event to event.

    It falls along a cubic: fast at first, when most of what goes is redundant, and
    slowly towards the target. One that is out of reach is a ValueError.
    """

    default_events = 1

    def __post_init__(self):
        cost, metric = self.cost, self.size.metric
        for layer in self.layers:
            # A profile that lacks the largest would be found out at an event only.
            steps = self.size.multiple_of, self.size.min_rank
            for rank in lower_ranks(layer, *steps)[-1:]:
                cost.layers[layer].at(metric, rank)
        smallest = self._smallest()
        amount = self.size.amount(cost)
        if smallest > amount:
            dense = cost.dense(metric)
            source = f" {cost.latency_source}" if metric == LATENCY else ""
            raise ValueError(
                "The target must be reachable: the smallest ranks leave "
                f"{smallest / dense:.3f} of it: {amount_text(metric, smallest)} of "
                f"{amount_text(metric, dense)}{source}. Received: a target of "
                f"{amount / dense:.3f}, {amount_text(metric, amount)}. "
                f"In the way: {self._in_the_way(smallest)}"
            )

    def ranks(self, spectra, progress=1.0):
        cost, metric = self.cost, self.size.metric
        dense, amount = cost.dense(metric), self.size.amount(cost)
        budget = amount + (dense - amount) * (1 - progress) ** 3
        if cost.now(metric) <= budget:
            return {layer: rank_now(layer) for layer in self.layers}
        return self._within(metric, self._choices(metric, spectra), budget)

    def _smallest(self):
        """What the network costs at least; a small rank may take longer than dense."""
        cost, metric = self.cost, self.size.metric
        least = {layer: self._allowed(layer, 1) for layer in self.layers}
        cheaper = {
            layer: rank
            for layer, rank in least.items()
            if cost.layers[layer].at(metric, rank) < cost.layers[layer].now(metric)
        }
        return cost.at(metric, cheaper)

    def _in_the_way(self, smallest):
        """What cannot be cut, as text."""
        cost, metric = self.cost, self.size.metric
        names = [layer.name for layer, _ in cost.other_macs.most_common(3)]
        frozen = [layer for layer in cost.layers if layer not in self.layers]
        left = cost.other[metric]
        stay = sum(cost.layers[layer].now(metric) for layer in frozen)
        rest = smallest - left - stay
        others = f"layers that `factorize` left as they are, such as {names}"
        if metric == LATENCY:
            others = "all that is not factorised, pooling and the like included"
        if metric == BYTES:
            others = "all that is not factorised, names and tables included"
        parts = {
            others: left,
            f"frozen layers {[layer.name for layer in frozen]}": stay,
            "the smallest ranks (see `min_rank`, `multiple_of`) of all others": rest,
        }
        dense = cost.dense(metric)
        return "; ".join(f"{text} ({x / dense:.1%})" for text, x in parts.items() if x)


@dataclass
class ThresholdRule(Rule):
    """Each layer for itself loses the tail that holds little of s²."""

    default_events = 6

    def ranks(self, spectra, progress=1.0):
        share = self.size.threshold
        return {
            layer: self._allowed(layer, rank_by_threshold(spectra[layer], share))
            for layer in self.layers
        }


@dataclass
class RecoveryRule(Rule):
    """Without a number: cuts what holds little, as long as the network recovers.

    What an event may cut off is a share of s², so that kernels with a steep spectrum
    shrink fast and those with a flat one hardly, and in the end half of the parameters.
    It cuts if the task loss of the last epoch is about the lowest that the dense
    network, or the one before the last cut, had reached. If not, it waits for the next
    event; so does the first one where no epoch has been trained. A `fit` that was
    killed and goes on knows nothing of the epochs before: after the first event it cuts
    no further, and the callback says so.

    Attributes:
        losses: A list, to which the training adds the task loss of every epoch.
        reference: The loss to come back to; None before the first cut.
    """

    losses: list
    reference: float | None = None
    default_events = 3

    def ranks(self, spectra, progress=1.0):
        choices = self._choices("parameters", spectra)
        if not self._has_recovered():
            return {layer: choice.ranks[-1] for layer, choice in choices.items()}
        weights = {x: self.cost.layers[x].dense("parameters") for x in self.layers}
        found = ranks_at_loss(choices, weights, SHARE)
        floor = FLOOR * self.cost.dense("parameters")
        if self.cost.at("parameters", found) >= floor:
            return found
        return self._within("parameters", choices, floor)

    def _has_recovered(self):
        """Whether there is room for a cut; moves the reference on if there is."""
        if not self.losses:
            return False
        if self.reference is None:
            if all(layer.is_dense for layer in self.layers):
                self.reference = min(self.losses)
            return self.reference is not None
        last, gained = self.losses[-1], max(self.losses) - self.reference
        short_of = max(OF_GAIN * gained, OF_LOSS * abs(self.reference))
        if not last <= self.reference + short_of:  # It may be NaN.
            return False
        self.reference = min(self.reference, last)
        return True


def make_rule(size, cost, layers, losses=()):
    """The rule for a `Size`; the other arguments are as those of the rules."""
    if not size.given:
        return RecoveryRule(size, cost, layers, losses)
    kind = BudgetRule if size.threshold is None else ThresholdRule
    return kind(size, cost, layers)

"""The rules that say which ranks an event gives: a budget, a threshold, or recovery."""

from dataclasses import dataclass

from keras_dprp.costs import UNITS, NetworkCost, rank_now
from keras_dprp.ranks import layer_choices, rank_by_threshold, ranks_by_budget, round_up


@dataclass(frozen=True)
class Steps:
    """Which ranks there are.

    Attributes:
        multiple_of: Ranks are multiples of it, where a processor runs in such steps.
        min_rank: No rank falls below it.
    """

    multiple_of: int = 1
    min_rank: int = 1


def choices_of(rule, metric, spectra):
    """The `Choices` of every layer that a rule may cut, by layer.

    Args:
        rule: It has the `cost` of a network, `layers` and `steps`.
        metric: "parameters" or "macs".
        spectra: Singular values by layer.
    """
    steps = rule.steps
    return {
        layer: layer_choices(
            rule.cost.layers[layer],
            metric,
            spectra[layer],
            steps.multiple_of,
            steps.min_rank,
        )
        for layer in rule.layers
    }


@dataclass(frozen=True)
class BudgetRule:
    """All layers share a budget that falls from event to event.

    It falls along a cubic: fast at first, when most of what goes is redundant, and
    slowly towards the target.

    Attributes:
        cost: Of the network.
        layers: A list of the `SVDLayer`s that may be cut.
        metric: What `amount` is counted in.
        amount: What the network may cost in the end.
        steps: Which ranks there are.
    """

    cost: NetworkCost
    layers: list
    metric: str
    amount: float
    steps: Steps

    def ranks(self, spectra, progress=1.0):
        """A rank for each layer, by layer; None for one that stays dense.

        Args:
            spectra: Singular values by layer.
            progress: Float in (0, 1]: how much of the pruning phase is over.
        """
        dense = self.cost.dense(self.metric)
        budget = self.amount + (dense - self.amount) * (1 - progress) ** 3
        return self.ranks_for(spectra, budget)

    def ranks_for(self, spectra, budget):
        """The same for a given cost of the whole network."""
        if self.cost.now(self.metric) <= budget:
            return {layer: rank_now(layer) for layer in self.layers}
        choices = choices_of(self, self.metric, spectra)
        fixed = self.cost.fixed(self.metric, self.layers)
        return ranks_by_budget(choices, budget - fixed)

    def check_reachable(self):
        """Raise a ValueError if even the smallest ranks cost more than the amount."""
        smallest = self.cost.at(self.metric, self._smallest_ranks())
        if smallest <= self.amount:
            return
        dense = self.cost.dense(self.metric)
        unit = UNITS[self.metric]
        raise ValueError(
            "The target must be reachable: the smallest ranks leave "
            f"{smallest / dense:.3f} "
            f"of the {unit}, {smallest:,} of {dense:,}. "
            f"Received: a target of {self.amount / dense:.3f}, {self.amount:,.0f} "
            f"{unit}. In the way: {self._in_the_way()}"
        )

    def note_epoch(self, task_loss):
        """A budget does not depend on how training goes."""

    def _smallest_ranks(self):
        smallest = round_up(1, self.steps.multiple_of, self.steps.min_rank, 1 << 30)
        return {
            layer: min(smallest, layer.rank)
            for layer in self.layers
            if layer.is_dense or layer.rank > smallest
        }

    def _in_the_way(self):
        """What cannot be cut, as text."""
        metric, dense = self.metric, self.cost.dense(self.metric)
        frozen = [x for x in self.cost.layers if x not in self.layers]
        smallest = self.cost.at(metric, self._smallest_ranks())
        left, macs = self.cost.other[metric], self.cost.other_macs
        names = [x.name for x in sorted(macs, key=macs.__getitem__, reverse=True)[:3]]
        stay = sum(self.cost.layers[layer].now(metric) for layer in frozen)
        parts = {
            f"layers that `factorize` left as they are, such as {names}": left,
            f"frozen layers {[layer.name for layer in frozen]}": stay,
            "what `min_rank` and `multiple_of` leave of all others": smallest
            - left
            - stay,
        }
        return "; ".join(f"{text} ({x / dense:.1%})" for text, x in parts.items() if x)


@dataclass(frozen=True)
class ThresholdRule:
    """Each layer for itself loses the tail that holds little of s².

    Attributes:
        layers: A list of the `SVDLayer`s that may be cut.
        threshold: The largest share of s² that an event may cut off a layer.
        steps: Which ranks there are.
    """

    layers: list
    threshold: float
    steps: Steps

    def ranks(self, spectra, progress=1.0):
        """A rank for each layer, by layer; arguments as in `BudgetRule`."""
        return {
            layer: round_up(
                rank_by_threshold(spectra[layer], self.threshold),
                self.steps.multiple_of,
                self.steps.min_rank,
                layer.rank,
            )
            for layer in self.layers
        }

    def check_reachable(self):
        """Any threshold can be met."""

    def note_epoch(self, task_loss):
        """A threshold does not depend on how training goes."""

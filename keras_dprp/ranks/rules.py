"""The pruning rules a callback can follow: spectra in, ranks out."""

from dataclasses import dataclass

from keras_dprp.ranks.budget import layer_choices, ranks_by_budget
from keras_dprp.ranks.costs import NetworkCost
from keras_dprp.ranks.threshold import rank_by_threshold, round_up


@dataclass(frozen=True)
class ThresholdRule:
    """Each layer for itself loses the tail that holds little of s²."""

    threshold: float
    multiple_of: int
    min_rank: int

    def ranks(self, layers, spectra, progress):
        """A rank for each layer, by `id(layer)`.

        Args:
            layers: A list of `SVDLayer`.
            spectra: Singular values by `id(layer)`.
            progress: Float in (0, 1]: how much of the pruning phase is over. The
                threshold is the same throughout.
        """
        return {
            id(layer): round_up(
                rank_by_threshold(spectra[id(layer)], self.threshold),
                self.multiple_of,
                self.min_rank,
                layer.rank,
            )
            for layer in layers
        }


@dataclass(frozen=True)
class BudgetRule:
    """All layers share a budget that falls from event to event.

    It falls along a cubic: fast at first, when most of what goes is redundant, and
    slowly towards the target. Once ranks have to fall, the budget is spent to the
    last rank that fits, if need be on one that an earlier event had taken too much:
    what is kept is then as close to the budget as whole ranks come.
    """

    cost: NetworkCost
    target: float
    metric: str
    multiple_of: int
    min_rank: int

    def ranks(self, layers, spectra, progress):
        """A rank for each layer, by `id(layer)`; arguments as in `ThresholdRule`."""
        budget = self.budget(progress)
        if self.cost.now(self.metric) <= budget:
            return {id(layer): layer.rank for layer in layers}
        choices = self._choices(layers, spectra)
        return ranks_by_budget(choices, budget - self._fixed(layers))

    def budget(self, progress):
        """What the whole network may cost by now: parameters or MACs."""
        share = self.target + (1 - self.target) * (1 - progress) ** 3
        return share * self.cost.dense(self.metric)

    def smallest_share(self, layers):
        """The share of the dense network's cost that the smallest ranks keep."""
        spectra = {id(layer): layer.singular_values() for layer in layers}
        ranks = ranks_by_budget(self._choices(layers, spectra), budget=0)
        return self.cost.at(self.metric, ranks) / self.cost.dense(self.metric)

    def _choices(self, layers, spectra):
        return {
            id(layer): layer_choices(
                self.cost.layers[id(layer)],
                self.metric,
                spectra[id(layer)],
                self.multiple_of,
                self.min_rank,
            )
            for layer in layers
        }

    def _fixed(self, layers):
        """Cost of all that has no rank to choose."""
        costs = [self.cost.layers[id(layer)] for layer in layers]
        chosen = sum(cost.at(self.metric, cost.layer.rank) for cost in costs)
        return self.cost.now(self.metric) - chosen

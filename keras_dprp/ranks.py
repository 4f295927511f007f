"""Ranks: one budget shared out over all layers, or a threshold for each.

A network is a chain of layers: what gets through is the product of what each of them
keeps. So a budget is spent where the sum of -log(share of s² kept) stays smallest.
The sum of the shares lost would do as well for steep spectra, but of a flat one, as
kernels have that were trained shortly, it empties some layers and leaves others whole.
"""

from dataclasses import dataclass

import numpy as np

from keras_dprp import knapsack
from keras_dprp.costs import pair_is_cheaper
from keras_dprp.svd import energies

_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Choices:
    """The ranks one layer may have, ascending, with what each costs and loses.

    Attributes:
        ranks: List of ints; None, the last of them, is a dense layer's kernel as it is.
        costs: Array: the amount of the metric at each rank, ascending too.
        kept: Array: the share of s² kept at each rank.
        losses: Array: what `loss_of` makes of it.
    """

    ranks: list
    costs: np.ndarray
    kept: np.ndarray
    losses: np.ndarray

    def best(self, price):
        """Index of the rank with the least loss + price * cost."""
        return int(np.argmin(self.losses + price * self.costs))


def layer_choices(cost, metric, singular_values, multiple_of=1, min_rank=1):
    """The `Choices` of one layer: what it is now, and the ranks that are cheaper.

    Args:
        cost: Its `LayerCost`.
        metric: One of `costs.METRICS`.
        singular_values: Array `(rank,)` or `(groups, rank)`, descending, of now.
        multiple_of: Int. Ranks are multiples of it.
        min_rank: Int. The smallest of them.
    """
    energy = energies(singular_values)
    now = len(energy)
    ranks: list = lower_ranks(cost.layer, multiple_of, min_rank)
    share = np.cumsum(energy) / max(energy.sum(), _TINY)
    kept = np.array([*(share[rank - 1] for rank in ranks), 1.0])
    ranks.append(None if cost.layer.is_dense else now)
    costs = np.array([cost.at(metric, rank) for rank in ranks], "float64")
    losses = loss_of(np.maximum(kept, _TINY))
    # On a device a smaller rank may cost as much as a larger one, or more.
    cheapest_above = np.minimum.accumulate(costs[::-1])[::-1]
    pays = np.append(costs[:-1] < cheapest_above[1:], True)
    ranks = [rank for rank, does in zip(ranks, pays, strict=True) if does]
    return Choices(ranks, costs[pays], kept[pays], losses[pays])


def lower_ranks(layer, multiple_of, min_rank):
    """The ranks below today's that make a layer cheaper than the dense one, ascending.

    The other arguments are those of `layer_choices`.
    """
    return [
        rank
        for rank in range(multiple_of, layer.rank, multiple_of)
        if rank >= min_rank and pair_is_cheaper(layer, rank)
    ]


def loss_of(kept):
    """What a layer loses that keeps such a share of s²; 0 where it keeps all."""
    return -np.log(kept)


def ranks_by_budget(choices, budget):
    """The ranks of least loss whose costs add up to at most `budget`, by layer.

    Where even the smallest ranks cost more, the smallest ranks. `choices` has the
    `Choices` of each layer.
    """
    return _ranks(choices, knapsack.solve(list(choices.values()), budget))


def ranks_at_loss(choices, weights, share):
    """Ranks at which layers lose at most a share of s² in the mean, by layer.

    They are those of a budget: at a price of cost. The cheapest ranks that lose this
    share would be others, of layers that are emptied and layers that stay whole.

    Args:
        choices: Dict with the `Choices` of each layer.
        weights: Dict with the weight of each layer in the mean.
        share: Float.
    """
    by_layer = [(weights[layer], choice) for layer, choice in choices.items()]

    def fits(picked):
        pairs = zip(by_layer, picked, strict=True)
        lost = sum(weight * (1 - each.kept[i]) for (weight, each), i in pairs)
        return lost / sum(weights.values()) <= share

    _, picked = knapsack.search_price(list(choices.values()), fits, above=False)
    return _ranks(choices, picked)


def _ranks(choices, picked):
    pairs = zip(choices.items(), picked, strict=True)
    return {layer: choice.ranks[index] for (layer, choice), index in pairs}


def rank_by_threshold(singular_values, threshold):
    """The smallest rank whose tail holds at most a share `threshold` of s².

    Groups, of which an array `(groups, rank)` has the singular values, share one rank:
    the energy of their tails is added up.
    """
    energy = energies(singular_values)
    tail = np.append(np.cumsum(energy[::-1])[::-1], 0.0)
    return max(int(np.argmax(tail <= threshold * max(tail[0], _TINY))), 1)


def round_up(rank, multiple_of, minimum, full_rank):
    """`rank` rounded up to a multiple, at least `minimum`, at most `full_rank`."""
    return min(-(-max(rank, minimum) // multiple_of) * multiple_of, full_rank)

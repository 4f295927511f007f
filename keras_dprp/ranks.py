"""Ranks: one budget shared out over all layers, or a threshold for each.

A network is a chain of layers: what gets through is the product of what each of them
keeps. So a budget is spent where the sum of -log(share of s² kept) stays smallest.
The sum of the shares lost would do as well for steep spectra, but of a flat one, as
kernels have that were trained shortly, it empties some layers and leaves others whole.

A Lagrange multiplier prices cost against that loss; for a given price each layer
chooses its best rank by itself, and bisection finds the price that meets the budget.
What bisection leaves of the budget (ranks are whole numbers) is spent on the steps
that hold most for their cost, until no step fits any more.
"""

from dataclasses import dataclass

import numpy as np

from keras_dprp.costs import pair_is_cheaper
from keras_dprp.svd import energies

_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Choices:
    """The ranks one layer may have, ascending, with what each costs and loses.

    Attributes:
        ranks: List of ints; None, the last of them, is a dense layer's kernel as it is.
        costs: Array: parameters, MACs or milliseconds at each rank, ascending too.
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
        metric: "parameters", "macs" or "latency".
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
    """A rank for each layer whose costs add up to at most `budget`, by layer.

    Where even the smallest ranks cost more, the smallest ranks. `choices` has the
    `Choices` of each layer.
    """

    def cost(picked):
        return sum(choices[key].costs[index] for key, index in picked.items())

    high = _price_of_everything(choices)
    picked = _pick(choices, lambda picked: cost(picked) <= budget, high, 0.0)
    _spend(choices, picked, budget - cost(picked))
    return {key: choices[key].ranks[index] for key, index in picked.items()}


def ranks_at_loss(choices, weights, share):
    """The cheapest ranks at which layers lose at most a share of s² in the mean.

    `weights` has the weight of each layer in this mean, `choices` its `Choices`.
    """

    def lost(picked):
        parts = (weights[k] * (1 - choices[k].kept[i]) for k, i in picked.items())
        return sum(parts) / sum(weights.values())

    high = _price_of_everything(choices)
    picked = _pick(choices, lambda picked: lost(picked) <= share, 0.0, high)
    return {key: choices[key].ranks[index] for key, index in picked.items()}


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


def _price_of_everything(choices):
    """A price at which every layer takes its cheapest rank."""
    steps = [np.diff(c.costs) for c in choices.values()]
    smallest = min((s[s > 0].min() for s in steps if (s > 0).any()), default=1.0)
    largest = max((c.losses.max(initial=0) for c in choices.values()), default=0.0)
    return (2.0 + largest) / smallest


def _pick(choices, fits, good, bad):
    """Indices of the ranks at the price nearest to `bad` at which they fit.

    At the price `good` they do, or at no price.
    """

    def picked_at(price):
        return {key: choice.best(price) for key, choice in choices.items()}

    if fits(picked_at(bad)):
        return picked_at(bad)
    for _ in range(100):
        price = (good + bad) / 2
        good, bad = (price, bad) if fits(picked_at(price)) else (good, price)
    return picked_at(good)


def _spend(choices, picked, rest):
    """Take the steps that gain most for their cost, until none fits any more."""
    while True:
        steps = []
        for key, index in picked.items():
            choice = choices[key]
            if index + 1 < len(choice.ranks):
                cost = choice.costs[index + 1] - choice.costs[index]
                gain = choice.losses[index] - choice.losses[index + 1]
                if cost <= rest:
                    steps.append((gain / max(cost, 1e-9), cost, key))
        if not steps:
            return
        _, cost, key = max(steps, key=lambda step: step[0])
        picked[key] += 1
        rest -= cost

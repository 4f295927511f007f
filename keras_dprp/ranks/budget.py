"""Ranks by budget: one sum of parameters or MACs, shared out over all layers.

Every layer pays for the share of its s² that a rank loses and saves what the rank
costs. A Lagrange multiplier prices cost against energy; for a given price each layer
chooses its best rank by itself, and bisection finds the price that meets the budget.
What bisection leaves of the budget (ranks are whole numbers) is spent on the steps
that hold most energy for their cost, until no step fits any more.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Choices:
    """The ranks one layer may have, ascending, with what each costs and loses.

    Args:
        ranks: Array of ints.
        costs: Array: parameters or MACs at each rank.
        losses: Array: the share of s² in the tail at each rank.
    """

    ranks: np.ndarray
    costs: np.ndarray
    losses: np.ndarray

    def best(self, price):
        """Index of the rank with the least loss + price * cost."""
        return int(np.argmin(self.losses + price * self.costs))


def layer_choices(cost, metric, singular_values, multiple_of, min_rank):
    """The `Choices` of one layer.

    Args:
        cost: Its `LayerCost`.
        metric: "parameters" or "macs".
        singular_values: Array `(rank,)` or `(groups, rank)`, descending, of the
            layer's rank now; beyond it they are zero.
        multiple_of: Int. Allowed ranks are multiples of it; the rank now and the full
            rank are always allowed.
        min_rank: Int. The smallest of them.
    """
    full_rank = cost.layer.full_rank
    energy = np.square(np.atleast_2d(singular_values)).sum(axis=0)
    now = len(energy)
    energy = np.append(energy, np.zeros(full_rank - now))
    allowed = [r for r in range(multiple_of, full_rank, multiple_of) if r >= min_rank]
    ranks = np.unique([*allowed, now, full_rank])
    tail = np.append(np.cumsum(energy[::-1])[::-1], 0.0) / max(energy.sum(), 1e-30)
    costs = np.array([cost.at(metric, int(rank)) for rank in ranks], "float64")
    return Choices(ranks, costs, tail[ranks])


def ranks_by_budget(choices, budget):
    """A rank for each layer whose costs add up to at most `budget`.

    Args:
        choices: Dict of `Choices` by layer.
        budget: What all of them may cost together.

    Returns:
        Dict of ranks by layer. Where even the smallest ranks cost more than the
        budget, the smallest ranks.
    """
    low, high = 0.0, _price_of_everything(choices)
    if _total(choices, {k: c.best(0.0) for k, c in choices.items()}) <= budget:
        high = 0.0
    for _ in range(100 if high else 0):
        price = (low + high) / 2
        picked = {key: choice.best(price) for key, choice in choices.items()}
        low, high = (low, price) if _total(choices, picked) <= budget else (price, high)
    picked = {key: choice.best(high) for key, choice in choices.items()}
    _spend_the_rest(choices, picked, budget)
    return {key: int(choices[key].ranks[i]) for key, i in picked.items()}


def _price_of_everything(choices):
    """A price at which every layer takes its cheapest rank."""
    steps = [np.diff(c.costs) for c in choices.values()]
    smallest = min((s[s > 0].min() for s in steps if (s > 0).any()), default=1.0)
    return 2.0 / smallest


def _total(choices, picked):
    return sum(choices[key].costs[index] for key, index in picked.items())


def _spend_the_rest(choices, picked, budget):
    rest = budget - _total(choices, picked)
    while True:
        steps = []
        for key, index in picked.items():
            choice = choices[key]
            if index + 1 < len(choice.ranks):
                cost = choice.costs[index + 1] - choice.costs[index]
                gain = choice.losses[index] - choice.losses[index + 1]
                if cost <= rest:
                    steps.append((gain / max(cost, 1e-9), key, cost))
        if not steps:
            return
        _, key, cost = max(steps, key=lambda step: step[0])
        picked[key] += 1
        rest -= cost

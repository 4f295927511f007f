"""The multiple-choice knapsack: one choice for each layer, of least loss in a budget.

A Lagrange multiplier prices cost against loss. At its price every layer chooses for
itself, which bounds from below what any allocation within the budget loses; the regret
of another choice is what it adds to that bound. So all allocations that lose no more
than the bound and some slack have regrets that add up to no more than the slack. They
are enumerated layer by layer, without sums that another one beats in cost and in loss
(G. L. Nemhauser and Z. Ullmann, "Discrete dynamic programming and capital allocation",
1969), in two halves that are joined in the end. The best of them is the optimum, if it
is within the slack; otherwise the slack grows.

For ResNet-56 and VGG-16 that takes a fifth of a second at most. To spend what the price
leaves over on the steps that gain most for their cost would be shorter, and as good for
MACs and parameters of large networks. But where steps are few and large, as those of
latency, it loses 1 % more in the mean, and up to 9 %.
"""

import numpy as np

# Of the loss: how far an allocation may be from the optimum, and that only where more
# sums are left than these.
GAP = 1e-4
MOST_SUMS = 20_000
# Of the slack that is enough: as little as finds the optimum is fastest.
_SHARES = tuple(4.0**power for power in range(-5, 1))
# As a share of what is added up.
_ROUNDING = 1e-12


def solve(choices, budget):
    """Indices of the choices that lose least of all that cost at most `budget`.

    Args:
        choices: A list with the `ranks.Choices` of each layer.
        budget: Float, in the unit of their costs. Where even the cheapest choices cost
            more, these are taken.
    """
    cheapest = [int(np.argmin(choice.costs)) for choice in choices]
    if cost_of(choices, cheapest) >= budget:
        return cheapest
    price, best = search_price(
        choices, lambda picked: cost_of(choices, picked) <= budget, above=True
    )
    regrets = [choice.losses + price * choice.costs for choice in choices]
    least = sum(regret.min() for regret in regrets)
    bound = least - price * budget
    regrets = [regret - regret.min() for regret in regrets]
    # The optimum is no worse than what is known already.
    enough = _loss_of(choices, best) - bound + _ROUNDING * least
    for share in _SHARES:
        slack = share * enough
        found = _best_within(choices, regrets, budget, slack, GAP * abs(bound))
        best = min([best, *found], key=lambda picked: _loss_of(choices, picked))
        if _loss_of(choices, best) <= bound + slack:
            break
    return best


def search_price(choices, fits, above):
    """The last price of cost at which the layers' own choices fit, and these choices.

    Args:
        choices: A list with the `ranks.Choices` of each layer.
        fits: Function of a list of indices. Whether it is true depends on the price
            alone: it is on one side of some price.
        above: Whether it is on the side of the high prices.
    """

    def picked_at(price):
        return [choice.best(price) for choice in choices]

    good, bad = _price_of_everything(choices), 0.0
    if not above:
        good, bad = bad, good
    if fits(picked_at(bad)):
        return bad, picked_at(bad)
    for _ in range(100):
        price = (good + bad) / 2
        good, bad = (price, bad) if fits(picked_at(price)) else (good, price)
    return good, picked_at(good)


def cost_of(choices, picked):
    """The cost of choices, given as indices."""
    return sum(c.costs[index] for c, index in zip(choices, picked, strict=True))


def _loss_of(choices, picked):
    return sum(c.losses[index] for c, index in zip(choices, picked, strict=True))


def _price_of_everything(choices):
    """A price at which every layer takes its cheapest choice."""
    steps = [np.diff(choice.costs) for choice in choices]
    smallest = min((s[s > 0].min() for s in steps if (s > 0).any()), default=1.0)
    largest = max((choice.losses.max(initial=0) for choice in choices), default=0.0)
    return (2.0 + largest) / smallest


def _best_within(choices, regrets, budget, slack, tolerance):
    """A list of the best allocation with a regret within the slack, if there is one.

    It loses at most `tolerance` more than the best, where sums have to be left out.
    """
    few_first = sorted(
        range(len(choices)), key=lambda layer: np.sum(regrets[layer] <= slack)
    )
    step = tolerance / len(choices)
    one, other = (
        _Sums(choices, regrets, few_first[start::2], slack, step) for start in range(2)
    )
    # Costs ascend and losses fall: of those that still fit the last loses least.
    partner = np.searchsorted(other.costs, budget - one.costs, side="right") - 1
    losses = np.where(partner >= 0, one.losses + other.losses[partner], np.inf)
    best = int(np.argmin(losses))
    if losses[best] == np.inf:
        return []
    found = one.picked(best) | other.picked(int(partner[best]))
    return [[found[layer] for layer in range(len(choices))]]


class _Sums:
    """Sums over some layers that no other one beats, and what they are made of.

    Attributes:
        costs, losses: Arrays, costs ascending and losses falling.
    """

    def __init__(self, choices, regrets, layers, slack, step):
        self._steps = []
        self.costs, self.losses, regret = np.zeros(1), np.zeros(1), np.zeros(1)
        for layer in layers:
            within = np.flatnonzero(regrets[layer] <= slack)
            sums = regret[:, None] + regrets[layer][within]
            before, column = np.nonzero(sums <= slack)
            index = within[column]
            costs = self.costs[before] + choices[layer].costs[index]
            losses = self.losses[before] + choices[layer].losses[index]
            kept = _unbeaten(costs, losses)
            if len(kept) > MOST_SUMS:
                kept = kept[_unbeaten(costs[kept], losses[kept] // step)]
                # What stands for one that is left out may regret a step more.
                slack += step
            self.costs, self.losses = costs[kept], losses[kept]
            regret = sums[before, column][kept]
            self._steps.append((layer, before[kept], index[kept]))

    def picked(self, sum_index):
        """Index of each layer's choice in one of the sums, by layer."""
        found = {}
        for layer, before, index in reversed(self._steps):
            found[layer] = int(index[sum_index])
            sum_index = before[sum_index]
        return found


def _unbeaten(costs, losses):
    """Indices of the sums that lose less than every cheaper one, by cost."""
    order = np.lexsort((losses, costs))
    falling = losses[order]
    least_before = np.minimum.accumulate(falling)[:-1]
    return order[np.append(True, falling[1:] < least_before)]

"""Properties of how a budget is shared out."""

import hypothesis
import numpy as np
from hypothesis import strategies as st

from keras_dprp.ranks.budget import Choices, ranks_by_budget
from keras_dprp.ranks.threshold import rank_by_threshold, round_up

spectra = st.lists(st.floats(0.01, 10), min_size=1, max_size=8)


def choices(singular_values, cost):
    """A layer whose every rank costs as much as the one before."""
    s = np.sort(singular_values)[::-1]
    energy = np.append(np.cumsum((s**2)[::-1])[::-1], 0.0) / np.sum(s**2)
    ranks = np.arange(1, len(s) + 1)
    return Choices(ranks, cost * ranks.astype("float64"), energy[ranks])


@hypothesis.given(
    st.lists(st.tuples(spectra, st.integers(1, 9)), min_size=1), st.data()
)
def test_a_budget_is_met_and_spent(layers, data):
    by_layer = dict(enumerate(choices(*layer) for layer in layers))
    smallest = sum(c.costs[0] for c in by_layer.values())
    largest = sum(c.costs[-1] for c in by_layer.values())
    budget = data.draw(st.floats(smallest, largest))
    ranks = ranks_by_budget(by_layer, budget)
    spent = sum(c.costs[ranks[key] - 1] for key, c in by_layer.items())
    assert spent <= budget
    for key, choice in by_layer.items():
        if ranks[key] < choice.ranks[-1]:
            assert spent + choice.costs[0] > budget


def test_what_holds_more_energy_for_its_cost_gets_the_ranks():
    steep, flat = [8.0, 0.1, 0.1, 0.1], [2.0, 2.0, 2.0, 2.0]
    ranks = ranks_by_budget({"a": choices(steep, 1), "b": choices(flat, 1)}, 5)
    assert ranks == {"a": 1, "b": 4}


@hypothesis.given(spectra, st.floats(0, 0.99))
def test_a_threshold_gives_the_smallest_rank_that_holds_enough(s, threshold):
    s = np.sort(s)[::-1]
    rank = rank_by_threshold(s, threshold)
    total = np.sum(s**2)
    assert np.sum(s[rank:] ** 2) <= threshold * total
    if rank > 1:
        assert np.sum(s[rank - 1 :] ** 2) > threshold * total


def test_ranks_are_rounded_up():
    assert round_up(5, 4, 1, 20) == 8
    assert round_up(1, 1, 3, 20) == 3
    assert round_up(18, 8, 1, 20) == 20

"""Ranks by threshold: the tail that holds little of s² goes."""

import numpy as np


def rank_by_threshold(singular_values, threshold):
    """The smallest rank whose tail holds at most `threshold` of s².

    Args:
        singular_values: Array `(rank,)` or `(groups, rank)`, descending. Groups
            share one rank: the energy of their tails is added up.
        threshold: Float in [0, 1).
    """
    energy = np.square(np.atleast_2d(singular_values)).sum(axis=0)
    tail = np.append(np.cumsum(energy[::-1])[::-1], 0.0)
    rank = int(np.argmax(tail <= threshold * max(tail[0], 1e-30)))
    return max(rank, 1)


def round_up(rank, multiple_of, minimum, full_rank):
    """`rank` rounded up to a multiple, at least `minimum`, at most `full_rank`."""
    rounded = -(-max(rank, minimum) // multiple_of) * multiple_of
    return min(rounded, full_rank)

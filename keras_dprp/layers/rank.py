"""What `rank` may be, and the number it stands for."""

import numpy as np


def check_rank(rank):
    """Return `rank` if it is None, an int >= 1 or a float in (0, 1]."""
    if rank is None:
        return rank
    if isinstance(rank, bool) or not isinstance(rank, (int, float, np.integer)):
        raise TypeError(
            "`rank` must be None (dense), an int, or a float in (0, 1]. "
            f"Received: rank={rank!r} (of type {type(rank).__name__})"
        )
    if isinstance(rank, float) and not 0 < rank <= 1:
        raise ValueError(
            f"A float `rank` is a share of the full rank, in (0, 1]. "
            f"Received: rank={rank}"
        )
    if not isinstance(rank, float) and rank < 1:
        raise ValueError(f"`rank` must be at least 1. Received: rank={rank}")
    return rank if isinstance(rank, float) else int(rank)


def resolve_rank(rank, full_rank, layer_name):
    """The rank as an int between 1 and the full rank; None stays None."""
    if rank is None:
        return None
    if isinstance(rank, float):
        return max(1, round(rank * full_rank))
    if rank > full_rank:
        raise ValueError(
            f"`rank` of layer '{layer_name}' must be at most its full rank "
            f"{full_rank}. Received: rank={rank}"
        )
    return rank

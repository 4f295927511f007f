"""What a checkpoint must hold to be loaded into a factorised layer."""

import numpy as np

FACTORS = ("U", "s", "V")
_PENALTIES_DIFFER = (
    ", of a layer with other terms. Factorise with the same `structure` and "
    "`compression`, or load the whole model"
)


def read(layer_name, variables, store, full_rank):
    """Arrays by name, checked: the factors may be of any rank, all else fits.

    Args:
        layer_name: For error messages.
        variables: The layer's variables by name.
        store: What Keras's `load_own_variables` is given.
        full_rank: Int, the largest rank the factors may have.

    Raises:
        ValueError: If a variable is missing or has another shape.
    """
    missing = sorted(set(variables) - set(store.keys()))
    if missing:
        raise ValueError(
            f"Layer '{layer_name}' expected the checkpoint of a factorised layer, "
            f"with {sorted(variables)}. Received: one without {missing}"
        )
    values = {name: np.asarray(store[name]) for name in variables}
    rank = values["s"].shape[-1:]
    if rank and rank[0] > full_rank:
        raise ValueError(
            f"Layer '{layer_name}' expected factors of rank {full_rank} or less. "
            f"Received: rank {rank[0]}"
        )
    for name, variable in variables.items():
        expected = tuple(variable.shape)
        if name in FACTORS:
            expected = (*expected[:-1], *rank)
        if values[name].shape != expected:
            hint = _PENALTIES_DIFFER if name.startswith("penalty") else ""
            raise ValueError(
                f"Layer '{layer_name}' expected '{name}' of shape {expected}. "
                f"Received: shape {values[name].shape}{hint}"
            )
    return values

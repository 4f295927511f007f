"""Parts of the package done otherwise, to ask whether its own way is the best."""

import dataclasses

import numpy as np

from keras_dprp import ranks
from keras_dprp.layers.svd_layer import SVDLayer

# What a layer loses that keeps a share of s²: ranks minimise the sum over layers.
RANK_LOSSES = {
    "sum": lambda kept: 1 - kept,
    "log": lambda kept: -np.log(kept),
    "lost/kept": lambda kept: (1 - kept) / kept,
}


def apply(run):
    """Do in this process what a run asks to be done otherwise."""
    if "rank_loss" in run:
        ranks.loss_of = RANK_LOSSES[run["rank_loss"]]
    if run.get("balanced"):
        SVDLayer.change_to = balanced(  # type: ignore[method-assign]
            SVDLayer.change_to
        )


def balanced(change_to):
    """Factors U sqrt(s), 1, V sqrt(s): gradients reach U and V scaled by the root."""

    def changed(layer, decomposition):
        change = change_to(layer, decomposition)
        root = np.sqrt(decomposition.s)[..., None, :]
        factors = {
            "U": decomposition.U * root,
            "s": np.ones_like(decomposition.s),
            "V": decomposition.V * root,
        }
        return dataclasses.replace(
            change,
            values={**change.values, **factors},
            source=_Balanced(decomposition),
        )

    return changed


class _Balanced:
    """How what an optimizer remembers follows to such factors, at the first event."""

    def __init__(self, decomposition):
        self._decomposition = decomposition

    def carry_gradients(self, old, power):
        new = self._decomposition.carry_gradients(old, power)
        root = np.sqrt(self._decomposition.s)
        return {
            "U": new["U"] * power(1 / root[..., None, :]),
            "s": new["s"] * power(root**2),
            "V": new["V"] * power(1 / root[..., None, :]),
        }

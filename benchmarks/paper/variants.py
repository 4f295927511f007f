"""Parts of the package done otherwise, to ask whether its own way is the best."""

import numpy as np

from keras_dprp import ranks

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

"""Which mode "auto" stands for."""

import numpy as np
from keras import ops

from keras_dprp.svd import energies, singular_values

# The share of s² that both modes have to hold when they are compared.
ENERGY = 0.9


def cheapest_mode(matrices, input_shape, kernel=None):
    """Of several ways to read a kernel the one that holds 90 % of s² at fewest MACs.

    Args:
        matrices: A list of `Conv2DMatrix`; of those that tie the first is taken.
        input_shape: Of the layer.
        kernel: Array; a random one if None, as a kernel not yet trained has its flat
            spectrum.
    """
    if len(matrices) == 1:
        return matrices[0]
    if kernel is None:
        kernel = np.random.default_rng(0).normal(size=matrices[0].kernel_shape)

    def cost(matrix):
        s = singular_values(ops.convert_to_numpy(matrix.to_matrix(kernel)))
        return matrix.pair_macs(input_shape, rank_for_energy(s, ENERGY))

    return min(matrices, key=cost)


def rank_for_energy(s, energy):
    """The smallest rank that holds a share `energy` of s².

    Args:
        s: Array `(rank,)` or `(groups, rank)`, descending. Groups share one rank.
        energy: Float in (0, 1].
    """
    squares = energies(s)
    share = np.cumsum(squares) / max(squares.sum(), np.finfo(float).tiny)
    return min(int(np.searchsorted(share, energy - 1e-12)) + 1, len(squares))

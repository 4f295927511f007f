"""Which mode "auto" stands for."""

import numpy as np

# The share of s² that both modes have to hold when they are compared.
ENERGY = 0.9


def choose_mode(layer, input_shape, spectra):
    """The mode that holds 90 % of s² at fewer MACs; "spatial" if they tie.

    Args:
        layer: An `SVDConv2D`.
        input_shape: Its input shape.
        spectra: Singular values by mode, `(rank,)` or `(groups, rank)`.
    """
    costs = {
        mode: layer.pair_macs(input_shape, rank_for_energy(s), mode)
        for mode, s in spectra.items()
    }
    return min(costs, key=lambda mode: (costs[mode], mode != "spatial"))


def rank_for_energy(s, energy=ENERGY):
    """The smallest rank that holds a share `energy` of s²."""
    squares = np.square(np.atleast_2d(s)).sum(axis=0)
    share = np.cumsum(squares) / max(squares.sum(), 1e-30)
    return int(np.searchsorted(share, energy - 1e-12) + 1)


def random_spectrum(shape):
    """Singular values of a Gaussian matrix of `shape`."""
    return np.linalg.svd(np.random.default_rng(0).normal(size=shape), compute_uv=False)

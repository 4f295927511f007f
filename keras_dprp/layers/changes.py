"""What becomes of a layer's factors, and of their optimizer's slots."""

import numpy as np
from keras import ops

from keras_dprp import resize
from keras_dprp.decomposition import LARGEST_RATIO
from keras_dprp.layers import learning


def to_kernel(layer):
    """The changes after which one of U and V is the kernel matrix.

    The other one is the identity then, and s all ones.

    Args:
        layer: A built `SVDLayer` of full rank.

    Returns:
        A list of `Change`, empty if the kernel learns by itself already.
    """
    if layer.learns_dense:
        return []
    U, s, V = (ops.convert_to_numpy(x).astype("float64") for x in layer.factors())
    kernel, own, factor, other = layer.U, U, layer.V, V
    if not learning.is_in_U(U, V):
        kernel, own, factor, other = layer.V, V, layer.U, U
    on_kernel = s[..., :, None] * np.swapaxes(other, -1, -2)
    identity = np.broadcast_to(np.eye(other.shape[-1]), other.shape)
    return [
        resize.Change(
            kernel, own @ on_kernel, _to_kernel_gradient(s, other), on_kernel
        ),
        resize.Change(layer.s, np.ones_like(s)),
        resize.Change(factor, identity),
    ]


def to_factors(layer, new):
    """The changes to the factors of a decomposition.

    Args:
        layer: A built `SVDLayer`.
        new: A `Decomposition` of its kernel, of any rank.

    Returns:
        A list of `Change`.
    """
    U, s, V = (
        resize.Change(*change)
        for change in zip(
            (layer.U, layer.s, layer.V),
            (new.U, new.s, new.V),
            new.gradient_maps(),
            new.weight_maps(),
            strict=True,
        )
    )
    if layer.learns_dense:
        return _out_of_kernel(new, U, s, V)
    return [U, s, V]


def _out_of_kernel(new, U, s, V):
    """The changes of `to_factors` where only the kernel matrix has learned so far.

    Its gradient G says what the others' would have been: G V diag(s), the diagonal of
    Uᵀ G V, and Gᵀ U diag(s).
    """
    kernel, factor = (U, V) if learning.is_in_U(new.U, new.V) else (V, U)
    across = kernel.value * new.s[..., None, :]
    return [
        resize.Change(
            factor.variable,
            factor.value,
            source=kernel.variable,
            kernel_maps=(across,),
        ),
        resize.Change(
            s.variable,
            s.value,
            source=kernel.variable,
            kernel_maps=(kernel.value, factor.value),
        ),
        # Last, as the others are carried out of its slots.
        kernel,
    ]


def _to_kernel_gradient(s, other):
    """What carries a gradient G V diag(s), of a square V, to G; likewise of U."""
    known = LARGEST_RATIO * np.abs(s) > 1
    inverse = np.where(known, 1 / np.where(known, s, 1), 0)
    return inverse[..., :, None] * np.linalg.pinv(other)

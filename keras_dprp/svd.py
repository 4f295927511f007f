"""Exact singular value decompositions, and how what an optimizer remembers follows.

Arrays are float64; of a layer with groups each has a leading group axis. A kernel
matrix W = U diag(s) Vᵀ of gradient G gives U the gradient G V diag(s), s the diagonal
of Uᵀ G V, and V the gradient Gᵀ U diag(s). What an optimizer remembers is linear in
gradients (momenta), in their squares, or in their absolute values: it follows by these
maps, by their squares, or by their absolute values.

Factors learn balanced: the root of each singular value σ in U and in V, and 1 in s. A
gradient step of U and V then changes a direction of W in proportion to σ; with all of σ
in s it would be σ².
"""

import dataclasses
import typing
from dataclasses import dataclass

import numpy as np
import threadpoolctl

# Gradients reach U and V multiplied by s. Of a singular value this much smaller than
# another one they say nothing that could be scaled up to it: what an optimizer
# remembers stems from steps in which the small one was larger.
LARGEST_RATIO = 100
# Singular values below this share of the largest stay in s: U and V in which next to
# nothing is left get next to no gradient, and of zero none ever.
SMALLEST_BALANCED = 1e-4


@dataclass(frozen=True)
class KernelDecomposition:
    """The SVD of a kernel matrix that has learned by itself.

    Attributes:
        U: Array `(rows, rank)`.
        s: Array `(rank,)`, descending.
        V: Array `(columns, rank)`.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray

    # What has a column for each singular value.
    columns: typing.ClassVar[tuple] = ("U", "s", "V")

    def at_rank(self, rank):
        """The decomposition cut to its first `rank` singular values."""
        cut = {name: getattr(self, name)[..., :rank] for name in self.columns}
        return dataclasses.replace(self, **cut)

    def carry_gradients(self, old, power):
        """What U, s, V would have remembered of gradients.

        Args:
            old: Dict with what was remembered, of the "kernel" as a matrix, or of the
                factors that there were.
            power: Function of a map's entries: what is remembered of the gradients.

        Returns:
            Dict with "U", "s", "V".
        """
        kernel, s = old["kernel"], self.s[..., None, :]
        return {
            "U": kernel @ power(self.V * s),
            "s": np.sum(power(self.U) * (kernel @ power(self.V)), axis=-2),
            "V": _transposed(kernel) @ power(self.U * s),
        }

    def carry_averages(self, old):
        """Averages of weights start at the weights: of the factors there are none."""
        return {"U": self.U, "s": self.s, "V": self.V}


@dataclass(frozen=True)
class FactorDecomposition(KernelDecomposition):
    """The SVD of a product U diag(s) Vᵀ, and how its bases and the old ones relate.

    `U = old_U @ U_map` and `old_U = U @ U_backᵀ`, likewise for `V`. `old_size` has the
    norms of the old rank-one parts.
    """

    U_map: np.ndarray
    V_map: np.ndarray
    U_back: np.ndarray
    V_back: np.ndarray
    old_s: np.ndarray
    old_size: np.ndarray

    columns: typing.ClassVar = ("U", "s", "V", "U_map", "V_map", "U_back", "V_back")

    def carry_gradients(self, old, power):
        """What U, s, V would have remembered of gradients in the new bases.

        In them the gradient of U is G V' diag(s') = (old gradient) diag(1/s) V_map
        diag(s'). Of that of s only the old diagonal is known: the elementwise product
        of both maps is its best linear estimate, exact if they permute.
        """
        before, after = self.old_s[..., :, None], self.s[..., None, :]
        related = np.abs(after) < LARGEST_RATIO * self.old_size[..., :, None]
        ratio = np.where(related, after / np.where(related, before, 1), 0)
        return {
            "U": old["U"] @ power(ratio * self.V_map),
            "s": _times(old["s"], power(self.U_map * self.V_map)),
            "V": old["V"] @ power(ratio * self.U_map),
        }

    def carry_averages(self, old):
        """Averages of U, s, V themselves, in the new bases."""
        return {
            "U": old["U"] @ self.U_map,
            "s": _times(old["s"], self.U_back * self.V_back),
            "V": old["V"] @ self.V_map,
        }


class BalancedDecomposition:
    """The same product, its singular values shared out between U and V.

    Args:
        exact: A `KernelDecomposition`.

    Attributes:
        U: Array `(rows, rank)`.
        s: Array `(rank,)`: 1, or a singular value next to zero.
        V: Array `(columns, rank)`.
    """

    def __init__(self, exact):
        self._exact, self._root = exact, root_of(exact.s, np)[..., None, :]
        self.U, self.V = exact.U * self._root, exact.V * self._root
        self.s = exact.s / self._root[..., 0, :] ** 2

    def carry_gradients(self, old, power):
        """What U, s, V would have remembered of gradients, as in the exact SVD."""
        new = self._exact.carry_gradients(old, power)
        return self._scaled(new, power(1 / self._root), power(self._root**2))

    def carry_averages(self, old):
        """Averages of U, s, V themselves."""
        return self._scaled(
            self._exact.carry_averages(old), self._root, 1 / self._root**2
        )

    def _scaled(self, new, of_bases, of_s):
        return {
            "U": new["U"] * of_bases,
            "s": new["s"] * of_s[..., 0, :],
            "V": new["V"] * of_bases,
        }


def decompose_kernel(matrix):
    """Decompose a kernel matrix, or a stack of them.

    Raises:
        numpy.linalg.LinAlgError: If it holds NaN or infinity.
    """
    [matrix] = _finite(matrix)
    with one_thread():
        U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
    return KernelDecomposition(U, s, _transposed(Vt))


def decompose_factors(U, s, V):
    """Decompose U diag(s) Vᵀ without forming it: QR of both, then a small SVD.

    Raises:
        numpy.linalg.LinAlgError: If one of them holds NaN or infinity.
    """
    U, s, V = _finite(U, s, V)
    with one_thread():
        U_basis, U_triangle = np.linalg.qr(U)
        V_basis, V_triangle = np.linalg.qr(V)
        core = (U_triangle * s[..., None, :]) @ _transposed(V_triangle)
        left, new_s, right = np.linalg.svd(core)
        right = _transposed(right)
        return FactorDecomposition(
            U=U_basis @ left,
            s=new_s,
            V=V_basis @ right,
            U_map=np.linalg.pinv(U_triangle) @ left,
            V_map=np.linalg.pinv(V_triangle) @ right,
            U_back=_transposed(U_triangle) @ left,
            V_back=_transposed(V_triangle) @ right,
            old_s=s,
            old_size=np.abs(s) * _column_norms(U) * _column_norms(V),
        )


def root_of(s, numerics):
    """How much of singular values balanced factors have in U, and as much in V.

    Args:
        s: Array `(rank,)`, or `(groups, rank)`.
        numerics: `numpy` or `keras.ops`, whichever computes with `s`.
    """
    large = s > SMALLEST_BALANCED * numerics.max(s)
    return numerics.where(large, numerics.sqrt(s), numerics.ones_like(s))


def singular_values(matrix):
    """The singular values of a matrix, or of a stack of them, descending."""
    with one_thread():
        return np.linalg.svd(np.asarray(matrix, "float64"), compute_uv=False)


def energies(s):
    """s² by rank, those of groups added up, scaled so that none overflows."""
    s = np.atleast_2d(np.abs(s))
    return np.square(s / max(s.max(initial=0), np.finfo(float).tiny)).sum(axis=0)


def one_thread():
    """A context in which BLAS has one thread.

    With many of them OpenBLAS takes up to thirty times as long for kernels as small
    as these.
    """
    return threadpoolctl.threadpool_limits(1, user_api="blas")


def _finite(*arrays):
    exact = [np.asarray(array, "float64") for array in arrays]
    if not all(np.isfinite(array).all() for array in exact):
        raise np.linalg.LinAlgError("The weights hold NaN or infinity.")
    return exact


def _transposed(matrix):
    return np.swapaxes(matrix, -1, -2)


def _column_norms(matrix):
    return np.linalg.norm(matrix, axis=-2)


def _times(vector, matrix):
    return np.einsum("...r,...rk->...k", vector, matrix)

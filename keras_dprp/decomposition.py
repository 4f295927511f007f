"""The exact singular value decomposition of a layer's product, on the host."""

from dataclasses import dataclass

import numpy as np

# Gradients reach U and V multiplied by s. Of a singular value this much smaller than
# another one they say nothing that could be scaled up to it: what an optimizer
# remembers stems from steps in which the small one was larger.
LARGEST_RATIO = 100


@dataclass(frozen=True)
class Decomposition:
    """The SVD of U diag(s) Vᵀ and how its bases and the old ones hang together.

    `U = old_U @ U_map` and `old_U = U @ U_back`, likewise for `V`. With these goes
    whatever else lives in the coordinates of the old factors (an optimizer's slots).
    Arrays are float64; with groups each has a leading group axis.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    U_map: np.ndarray
    V_map: np.ndarray
    U_back: np.ndarray
    V_back: np.ndarray
    old_s: np.ndarray

    def at_rank(self, rank):
        """The first `rank` singular values; further ones than there are are zeros."""
        extra = max(rank - self.s.shape[-1], 0)
        return Decomposition(
            _with_complement(self.U, extra)[..., :rank],
            _with_zeros(self.s, extra)[..., :rank],
            _with_complement(self.V, extra)[..., :rank],
            _with_zeros(self.U_map, extra)[..., :rank],
            _with_zeros(self.V_map, extra)[..., :rank],
            _with_zero_rows(self.U_back, extra)[..., :rank, :],
            _with_zero_rows(self.V_back, extra)[..., :rank, :],
            self.old_s,
        )

    def gradient_maps(self):
        """Matrices that carry gradients with respect to U, s, V to the new factors.

        With K the kernel matrix and G its gradient, the gradient with respect to U is
        G V diag(s). In the new bases it is G V' diag(s') = G V V_map diag(s'), hence
        (old gradient) diag(1/s) V_map diag(s'); likewise for V. For s it is the
        diagonal of Uᵀ G V, of which only the diagonal is known: the elementwise
        product of both maps is its best linear estimate, exact if they permute.
        """
        old, new = self.old_s[..., :, None], self.s[..., None, :]
        related = np.abs(new) < LARGEST_RATIO * np.abs(old)
        ratio = np.where(related, new / np.where(related, old, 1), 0)
        return ratio * self.V_map, self.U_map * self.V_map, ratio * self.U_map

    def weight_maps(self):
        """Matrices that carry averages of U, s, V themselves to the new factors."""
        s_map = np.swapaxes(self.U_back * self.V_back, -1, -2)
        return self.U_map, s_map, self.V_map


def decompose(U, s, V):
    """Decompose U diag(s) Vᵀ without forming it: QR of both, then a small SVD."""
    U, s, V = (np.asarray(factor, "float64") for factor in (U, s, V))
    U_basis, U_triangle = np.linalg.qr(U)
    V_basis, V_triangle = np.linalg.qr(V)
    core = (U_triangle * s[..., None, :]) @ np.swapaxes(V_triangle, -1, -2)
    left, singular_values, right = np.linalg.svd(core)
    right = np.swapaxes(right, -1, -2)
    return Decomposition(
        U=U_basis @ left,
        s=singular_values,
        V=V_basis @ right,
        U_map=np.linalg.pinv(U_triangle) @ left,
        V_map=np.linalg.pinv(V_triangle) @ right,
        U_back=np.swapaxes(left, -1, -2) @ U_triangle,
        V_back=np.swapaxes(right, -1, -2) @ V_triangle,
        old_s=s,
    )


def factors_of(matrix):
    """U, s, V of a matrix (or a stack of them)."""
    U, s, Vt = np.linalg.svd(np.asarray(matrix, "float64"), full_matrices=False)
    return U, s, np.swapaxes(Vt, -1, -2)


def _with_complement(basis, extra):
    """Orthonormal columns, and `extra` ones that are orthogonal to them."""
    if not extra:
        return basis
    noise = np.random.default_rng(0).normal(size=(*basis.shape[:-1], extra))
    completed, _ = np.linalg.qr(np.concatenate([basis, noise], axis=-1))
    return np.concatenate([basis, completed[..., basis.shape[-1] :]], axis=-1)


def _with_zeros(array, extra):
    return np.concatenate([array, np.zeros((*array.shape[:-1], extra))], axis=-1)


def _with_zero_rows(array, extra):
    return np.swapaxes(_with_zeros(np.swapaxes(array, -1, -2), extra), -1, -2)

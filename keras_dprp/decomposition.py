"""The exact singular value decomposition of a layer's product, on the host."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decomposition:
    """The SVD of U diag(s) Vᵀ and how its bases follow from the old ones.

    `U_map` and `V_map` hold the new bases in coordinates of the old factors:
    `U = old_U @ U_map`, `V = old_V @ V_map`. They carry whatever else lives in the
    coordinates of the old factors (an optimizer's slots) over to the new ones.
    Arrays are float64; with groups each has a leading group axis.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    U_map: np.ndarray
    V_map: np.ndarray
    old_s: np.ndarray

    def truncate(self, rank):
        """The same decomposition with the first `rank` singular values."""
        return Decomposition(
            self.U[..., :rank],
            self.s[..., :rank],
            self.V[..., :rank],
            self.U_map[..., :rank],
            self.V_map[..., :rank],
            self.old_s,
        )

    def gradient_maps(self):
        """Matrices that carry gradients with respect to U, s, V to the new factors.

        With K the kernel matrix and G its gradient, the gradient with respect to U is
        G V diag(s). In the new bases it is G V' diag(s') = G V V_map diag(s'), hence
        (old gradient) diag(1/s) V_map diag(s'); likewise for V. For s it is the
        diagonal of Uᵀ G V, of which only the diagonal is known: the elementwise
        product of both maps is its best linear estimate.
        """
        # A vanished singular value left no gradient in U and V to be carried over.
        alive = np.abs(self.old_s) > 1e-6 * np.abs(self.old_s).max(initial=1e-30)
        inverse = np.where(alive, 1 / np.where(alive, self.old_s, 1), 0)
        U_map = inverse[..., :, None] * self.V_map * self.s[..., None, :]
        V_map = inverse[..., :, None] * self.U_map * self.s[..., None, :]
        return U_map, self.U_map * self.V_map, V_map

    def weight_maps(self):
        """Matrices that carry averages of U, s, V themselves to the new factors."""
        s_map = np.linalg.pinv(self.U_map) * np.linalg.pinv(self.V_map)
        return self.U_map, np.swapaxes(s_map, -1, -2), self.V_map


def decompose(U, s, V):
    """Decompose U diag(s) Vᵀ without forming it: QR of both, then a small SVD."""
    U, s, V = (np.asarray(factor, "float64") for factor in (U, s, V))
    U_basis, U_triangle = np.linalg.qr(U)
    V_basis, V_triangle = np.linalg.qr(V)
    core = (U_triangle * s[..., None, :]) @ np.swapaxes(V_triangle, -1, -2)
    left, singular_values, right = np.linalg.svd(core)
    right = np.swapaxes(right, -1, -2)
    return Decomposition(
        U_basis @ left,
        singular_values,
        V_basis @ right,
        np.linalg.pinv(U_triangle) @ left,
        np.linalg.pinv(V_triangle) @ right,
        s,
    )


def factors_of(matrix, rank=None):
    """U, s, V of a matrix (or a stack of them), truncated to `rank`."""
    U, s, Vt = np.linalg.svd(np.asarray(matrix, "float64"), full_matrices=False)
    V = np.swapaxes(Vt, -1, -2)
    return U[..., :rank], s[..., :rank], V[..., :rank]

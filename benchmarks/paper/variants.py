"""DPRP with one of its parts taken out, for the ablation."""

import numpy as np
from keras import ops

import keras_dprp as dprp
from keras_dprp.decomposition import Decomposition


class WithoutExactSVD(dprp.RankPruningCallback):
    """Cuts the columns of U and V where |s| is small, and leaves the others alone.

    Only the structure loss then keeps them close to a singular value decomposition.
    """

    def decompose(self, layer):
        U, s, V = (ops.convert_to_numpy(x).astype("float64") for x in layer.factors())
        if s.ndim > 1:
            raise ValueError(
                "WithoutExactSVD needs kernels without groups. "
                f"Received: layer '{layer.name}' with {len(s)} groups"
            )
        order = np.argsort(-np.abs(s))
        permutation = np.eye(len(s))[:, order]
        # A negative value is the same product with its column of U mirrored.
        mirrored = permutation * np.where(s[order] < 0, -1.0, 1.0)
        return Decomposition(
            U=U @ mirrored,
            s=np.abs(s[order]),
            V=V @ permutation,
            U_map=mirrored,
            V_map=permutation,
            U_back=mirrored.T,
            V_back=permutation.T,
            old_s=s,
        )


CLASSES = {None: dprp.RankPruningCallback, "no-exact-svd": WithoutExactSVD}

"""Low-rank training for edge deployment: networks that shrink while they train."""

from keras_dprp import penalties
from keras_dprp.events import plan, prune
from keras_dprp.factorize import factorize
from keras_dprp.fold import fold
from keras_dprp.layers import (
    SVDConv1D,
    SVDConv1DTranspose,
    SVDConv2D,
    SVDConv2DTranspose,
    SVDConv3D,
    SVDDense,
    SVDEinsumDense,
)
from keras_dprp.plots import plot_ranks
from keras_dprp.pruning import RankPruningCallback
from keras_dprp.summary import summary
from keras_dprp.teachers import Teacher

__all__ = [
    "RankPruningCallback",
    "SVDConv1D",
    "SVDConv1DTranspose",
    "SVDConv2D",
    "SVDConv2DTranspose",
    "SVDConv3D",
    "SVDDense",
    "SVDEinsumDense",
    "Teacher",
    "factorize",
    "fold",
    "penalties",
    "plan",
    "plot_ranks",
    "prune",
    "summary",
]
__version__ = "0.1.0"

"""Low-rank training for edge deployment: dynamic parameter rank pruning for Keras 3."""

from keras_dprp import penalties
from keras_dprp.callbacks.rank_pruning import RankPruningCallback
from keras_dprp.factorize import factorize
from keras_dprp.fold import fold
from keras_dprp.layers import SVDConv2D, SVDDense
from keras_dprp.reports.plots import plot_ranks
from keras_dprp.reports.summary import summary

__all__ = [
    "RankPruningCallback",
    "SVDConv2D",
    "SVDDense",
    "factorize",
    "fold",
    "penalties",
    "plot_ranks",
    "summary",
]
__version__ = "0.1.0"

"""Networks of the CIFAR-10 example, dense and at some ranks; nothing is trained."""

import sys
from pathlib import Path

import keras
import numpy as np

import keras_dprp as dprp

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import resnet  # noqa: E402

SHAPE = (32, 32, 3)
# Which layers get which rank.
RANKS = {
    "resnet20": [
        *(("stage", rank) for rank in (4, 8, 12, 16, 20, 24, 32)),
        *(("stage[23]", rank) for rank in (8, 16, 24, 32)),
        *(("stage3", rank) for rank in (16, 32)),
    ],
    "resnet18": [("stage", rank) for rank in (16, 32, 64, 128)],
}


def variants(name):
    """Pairs of what a network is and the factorised network, the dense one first."""
    yield {"network": name, "layers": None, "rank": None}, _network(name)
    for layers, rank in RANKS[name]:
        model = dprp.factorize(_network(name, factorize=False), layers, rank)
        yield {"network": name, "layers": layers, "rank": rank}, model


def _network(name, factorize=True):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (64, *SHAPE))
    model = resnet.build(name, SHAPE, 10, images.astype("float32"))
    return dprp.factorize(model, filters="stage") if factorize else model

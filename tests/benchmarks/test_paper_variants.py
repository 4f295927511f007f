"""What runs of the paper ask to be done otherwise is done in the package."""

import numpy as np
import pytest

from keras_dprp import ranks
from keras_dprp.costs import NetworkCost
from tests.small_models import factorized, perceptron


@pytest.fixture
def variants(paper, monkeypatch):
    import variants

    # Put back after the test, whatever it was set to in between.
    monkeypatch.setattr(ranks, "loss_of", ranks.loss_of)
    return variants


@pytest.mark.parametrize("name", ["sum", "log", "lost/kept"])
def test_a_loss_of_ranks_is_the_one_that_is_named(name, variants):
    variants.apply({"rank_loss": name})
    kept = np.array([0.25, 0.5, 1.0])
    losses = ranks.loss_of(kept)
    assert losses[-1] == 0
    assert (np.diff(losses) < 0).all()
    first = {"sum": 0.75, "log": np.log(4), "lost/kept": 3.0}
    assert losses[0] == pytest.approx(first[name])


def test_ranks_are_chosen_by_it(variants):
    (layer, cost), *_ = NetworkCost(factorized(perceptron())).layers.items()
    choices = ranks.layer_choices(cost, "macs", layer.decompose().s)
    np.testing.assert_allclose(choices.losses, -np.log(choices.kept))
    variants.apply({})
    variants.apply({"rank_loss": "sum"})
    choices = ranks.layer_choices(cost, "macs", layer.decompose().s)
    assert len(choices.kept) > 1
    np.testing.assert_allclose(choices.losses, 1 - choices.kept)

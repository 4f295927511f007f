"""What runs of the paper ask to be done otherwise is done in the package."""

import keras
import numpy as np
import pytest

import keras_dprp as dprp
from keras_dprp import ranks
from keras_dprp.costs import NetworkCost
from keras_dprp.layers.svd_layer import SVDLayer
from tests.small_models import (
    classification_data,
    factorized,
    factorized_layers,
    perceptron,
)


@pytest.fixture
def variants(paper, monkeypatch):
    import variants

    # Put back after the test, whatever it was set to in between.
    monkeypatch.setattr(ranks, "loss_of", ranks.loss_of)
    monkeypatch.setattr(SVDLayer, "is_balanced", SVDLayer.is_balanced)
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


def test_balanced_factors_share_the_singular_values_and_what_momenta_say(variants):
    model = factorized(perceptron(), keras.optimizers.SGD(0.01, 0.9))
    x, y = classification_data()
    model.train_on_batch(x, y)
    layer = factorized_layers(model)[0]
    kernel, momentum = (
        keras.ops.convert_to_numpy(value).astype("float64")
        for value in (layer.kernel, model.optimizer.momentums[0])
    )
    variants.apply({})
    dprp.prune(model, threshold=0.001)
    U, s, V = map(keras.ops.convert_to_numpy, layer.factors())
    assert U.shape[1] < min(kernel.shape)
    np.testing.assert_array_equal(s, 1)
    for factor in (U, V):
        np.testing.assert_allclose(
            np.square(factor).sum(axis=0),
            dprp.svd.singular_values(kernel)[: len(s)],
            rtol=1e-5,
        )
    places = {v.path: i for i, v in enumerate(model.optimizer._trainable_variables)}
    of_U, of_s, of_V = (
        keras.ops.convert_to_numpy(model.optimizer.momentums[places[v.path]])
        for v in (layer.U, layer.s, layer.V)
    )
    # As of the loss's gradient: of the kernel M, so of U it is M V.
    close = {"rtol": 1e-3, "atol": 1e-7}
    np.testing.assert_allclose(of_U, momentum @ V, **close)
    np.testing.assert_allclose(of_V, momentum.T @ U, **close)
    np.testing.assert_allclose(of_s, np.sum(U * (momentum @ V), axis=0), **close)


def test_orthonormal_factors_leave_the_singular_values_in_s(variants):
    model = factorized(perceptron())
    layer = factorized_layers(model)[0]
    expected = layer.decompose().s
    variants.apply({"orthonormal": True})
    dprp.prune(model, threshold=0.001)
    U, s, V = map(keras.ops.convert_to_numpy, layer.factors())
    np.testing.assert_allclose(s, expected[: len(s)], rtol=1e-5)
    for factor in (U, V):
        np.testing.assert_allclose(factor.T @ factor, np.eye(len(s)), atol=1e-5)

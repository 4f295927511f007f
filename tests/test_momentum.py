"""What an optimizer remembers is carried over to the new bases."""

import keras
import numpy as np
import pytest
from gradients import outputs_and_gradients
from keras import ops
from small_models import (
    AtEpoch,
    arrays,
    factorized,
    perceptron,
    prune_at,
    ranks,
    slots,
    train,
)

import keras_dprp as dprp
from keras_dprp import resize
from keras_dprp.layers import changes

NAMES = ("U", "s", "V")
ROWS, COLUMNS = 6, 5


def dense_layer(U, s, V):
    """A model of one factorised layer with these factors."""
    rank = len(s)
    layer = dprp.SVDDense(len(V), rank=rank, structure=None, compression=None)
    model = keras.Sequential([keras.Input((len(U),)), layer])
    for variable, value in zip((layer.U, layer.s, layer.V), (U, s, V), strict=True):
        variable.assign(value)
    return model, layer


def gradients_of(layer):
    """Gradients of a quadratic loss, with respect to U, s and V."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(16, layer.U.shape[0])).astype("float32")
    y = rng.normal(size=(16, layer.V.shape[0])).astype("float32")
    # Of the loss |outputs - y|² / 2 the gradient to the outputs is their difference.
    difference = ops.convert_to_numpy(layer(x)) - y
    _, _, gradients = outputs_and_gradients(layer, x, difference)
    return [gradients[name] for name in NAMES]


def prepare(layer, model, slot_values):
    """Compile a model whose optimizer remembers these of U, s and V."""
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    for name, value in zip(NAMES, slot_values, strict=True):
        (slot,) = slots(model, layer, name)
        slot.assign(value)
    resize.adopt(model)


def hold_event(layer, rank):
    """What the callback does at an event."""
    resize.apply([layer], changes.to_factors(layer, layer.decompose().at_rank(rank)))
    layer.learn_dense(False)


def momenta(layer, model):
    return [ops.convert_to_numpy(slots(model, layer, name)[0]) for name in NAMES]


def after_event(layer, model, slot_values, rank):
    """Slots of U, s, V after an event at which they held `slot_values`."""
    prepare(layer, model, slot_values)
    hold_event(layer, rank)
    return momenta(layer, model)


def bases(rank, seed, shape=(ROWS, COLUMNS)):
    rng = np.random.default_rng(seed)
    return tuple(np.linalg.qr(rng.normal(size=(size, rank)))[0] for size in shape)


@pytest.mark.parametrize("seed", range(5))
def test_orthonormal_bases_carry_gradients_exactly(seed):
    U, V = bases(4, seed)
    # Out of order, of either sign, one of them vanished: the new bases are permuted.
    s = np.random.default_rng(seed).permutation([2.0, -1.0, 0.5, 0.0])
    model, layer = dense_layer(U, s, V)
    mapped = after_event(layer, model, gradients_of(layer), rank=3)
    for carried, fresh in zip(mapped, gradients_of(layer), strict=True):
        np.testing.assert_allclose(carried, fresh, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_any_factors_carry_gradients_of_both_bases_exactly(seed):
    rng = np.random.default_rng(seed)
    s = np.array([1.5, 1.0, 0.8])
    U, V = rng.normal(size=(ROWS, 3)), rng.normal(size=(COLUMNS, 3))
    model, layer = dense_layer(U, s, V)
    mapped = after_event(layer, model, gradients_of(layer), rank=3)
    fresh = gradients_of(layer)
    for index in (0, 2):
        scale = np.abs(fresh[index]).max()
        np.testing.assert_allclose(mapped[index], fresh[index], atol=1e-4 * scale)


def test_a_truncated_rank_keeps_the_gradients_of_what_is_left():
    U, V = bases(4, 0)
    model, layer = dense_layer(U, np.array([0.1, 3.0, 0.2, 2.0]), V)
    before = gradients_of(layer)
    mapped = after_event(layer, model, before, rank=2)
    for carried, old in zip(mapped, before, strict=True):
        # The kept ones were second and fourth; up to the sign of each pair of bases.
        np.testing.assert_allclose(
            np.abs(carried), np.abs(old[..., [1, 3]]), rtol=1e-3, atol=1e-4
        )


SHAPES = [(6, 5), (5, 5), (4, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_factors_remember_is_carried_to_the_kernel(shape):
    rank = min(shape)
    s = np.linspace(2.0, 0.5, rank)
    U, V = bases(rank, 0, shape)
    model, layer = dense_layer(U, s, V)
    prepare(layer, model, gradients_of(layer))
    before = ops.convert_to_numpy(layer.kernel)
    resize.apply([layer], changes.to_kernel(layer))
    layer.learn_dense(True)
    np.testing.assert_allclose(layer.kernel, before, atol=1e-5)
    assert changes.to_kernel(layer) == []
    np.testing.assert_allclose(layer.singular_values(), s, rtol=1e-5)
    for carried, fresh in zip(momenta(layer, model), gradients_of(layer), strict=True):
        np.testing.assert_allclose(carried, fresh, rtol=1e-3, atol=1e-3)


def kernel_that_learns(shape):
    """A model of one layer whose kernel alone learns, with momenta of its gradients."""
    rank = min(shape)
    U, V = bases(rank, 0, shape)
    model, layer = dense_layer(U, np.linspace(2.0, 0.5, rank), V)
    resize.apply([layer], changes.to_kernel(layer))
    layer.learn_dense(True)
    prepare(layer, model, gradients_of(layer))
    return model, layer


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_kernel_remembers_is_carried_to_all_factors(shape):
    model, layer = kernel_that_learns(shape)
    hold_event(layer, min(shape))
    whole = momenta(layer, model)
    for carried, fresh in zip(whole, gradients_of(layer), strict=True):
        assert np.abs(fresh).max() > 0.1
        np.testing.assert_allclose(carried, fresh, rtol=1e-3, atol=1e-3)
    model, layer = kernel_that_learns(shape)
    hold_event(layer, 2)
    for carried, full in zip(momenta(layer, model), whole, strict=True):
        np.testing.assert_allclose(carried, full[..., :2], rtol=1e-4, atol=1e-4)


def test_momentum_of_a_running_fit_is_neither_zeroed_nor_sliced():
    model = factorized(perceptron(), keras.optimizers.SGD(0.05, momentum=0.9))
    layer = model.get_layer("hidden")
    seen = {}

    def remember(moment):
        def store(logs):
            seen[moment] = momenta(layer, model)
            seen["factors"] = arrays(getattr(layer, name) for name in NAMES)

        return store

    # Callbacks act in their order: one before the event, one after it.
    train(
        model,
        [
            AtEpoch(1, begin=remember("before")),
            prune_at(1),
            AtEpoch(1, begin=remember("after")),
        ],
        epochs=2,
    )
    assert ranks(model)[0] < layer.full_rank
    U, _, V = seen["factors"]
    *_, of_transposed_kernel = seen["before"]
    _, of_s, _ = seen["after"]
    expected = np.einsum("nr,nm,mr->r", V, of_transposed_kernel, U)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(of_s, expected, rtol=1e-3, atol=1e-7)


def only_matrices_to_sgd():
    sgd, adam = keras.optimizers.SGD(0.01, 0.9), keras.optimizers.Adam(0.01)
    return keras.optimizers.MultiOptimizer(lambda v: sgd if v.ndim > 1 else adam)


@pytest.mark.parametrize(
    "optimizer", [lambda: keras.optimizers.Muon(0.01), only_matrices_to_sgd]
)
def test_singular_values_begin_anew_that_learn_otherwise_than_matrices(optimizer):
    model = factorized(perceptron(), optimizer())
    layer = model.get_layer("hidden")
    seen = []
    watch = AtEpoch(
        2,
        begin=lambda logs: seen.extend(arrays([layer.s])),
        end=lambda logs: seen.extend(arrays([layer.s])),
    )
    train(model, [prune_at(2), watch], epochs=3)
    before, after = seen
    # Four steps of Adam, of 3.2 times its learning rate while it knows nothing.
    assert 0 < np.abs(after - before).max() < 4 * 0.032


def test_a_vanishing_singular_value_does_not_inflate_the_others():
    # Second moments remember it large; scaled up by its present size they would stop
    # all learning.
    rng = np.random.default_rng(0)
    U, V = bases(3, 0)
    U, V = (each + 0.01 * rng.normal(size=each.shape) for each in (U, V))
    model, layer = dense_layer(U, np.array([1.0, 0.5, 1e-5]), V)
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    for name in NAMES:
        for slot in slots(model, layer, name):
            slot.assign(np.ones(slot.shape))
    resize.adopt(model)
    hold_event(layer, 2)
    for name in NAMES:
        velocity = slots(model, layer, name)[1]
        assert ops.convert_to_numpy(velocity).max() < 2


def test_averages_of_weights_follow_the_weights():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(ROWS, 3)), np.ones(3), rng.normal(size=(COLUMNS, 3))
    model, layer = dense_layer(*factors)
    model.compile(keras.optimizers.SGD(0.1, use_ema=True))
    model.optimizer.build(model.trainable_variables)
    for name, value in zip(NAMES, factors, strict=True):
        slots(model, layer, name)[0].assign(value)
    resize.adopt(model)
    hold_event(layer, 2)
    for name in NAMES:
        average = ops.convert_to_numpy(slots(model, layer, name)[0])
        weight = ops.convert_to_numpy(getattr(layer, name))
        np.testing.assert_allclose(average, weight, atol=1e-4)


def test_a_rank_that_grows_adds_orthonormal_columns_that_change_nothing():
    U, V = bases(2, 1)
    model, layer = dense_layer(U, np.array([2.0, 1.0]), V)
    before = ops.convert_to_numpy(layer.kernel)
    mapped = after_event(layer, model, gradients_of(layer), rank=4)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.kernel), before, atol=1e-5)
    for basis in (layer.U, layer.V):
        basis = ops.convert_to_numpy(basis)
        np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-5)
    assert not mapped[0][:, 2:].any()

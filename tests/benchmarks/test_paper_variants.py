"""What the ablation takes out of DPRP, and the rival that compresses at one stroke."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_dprp as dprp
from keras_dprp.layers.changes import to_kernel
from tests.small_models import factorized, perceptron, train


def scrambled_layer():
    """A layer whose factors are neither sorted nor orthonormal nor positive."""
    model = factorized(perceptron())
    layer = next(x for x in model.layers if isinstance(x, dprp.SVDDense))
    rng = np.random.default_rng(0)
    for factor in (layer.U, layer.s, layer.V):
        factor.assign(rng.normal(size=factor.shape))
    return layer


def test_without_exact_svd_factors_are_only_sorted(paper):
    import variants

    layer = scrambled_layer()
    U, s, V = (ops.convert_to_numpy(x) for x in layer.factors())
    callback = variants.WithoutExactSVD(0.5)
    cut = callback.decompose(layer)
    np.testing.assert_allclose((cut.U * cut.s) @ cut.V.T, (U * s) @ V.T, atol=1e-5)
    assert (np.diff(cut.s) <= 0).all()
    assert (cut.s >= 0).all()
    # The maps carry the old coordinates to the new ones and back.
    np.testing.assert_allclose(U @ cut.U_map, cut.U, atol=1e-6)
    np.testing.assert_allclose(cut.V @ cut.V_back, V, atol=1e-6)
    exact = layer.decompose()
    assert np.abs(cut.s - exact.s).max() > 0.1


def test_truncation_meets_the_budget_at_once(paper):
    import rivals

    model = factorized(perceptron())
    first, last = rivals.lower_ranks(model, {"target": 0.5, "metric": "macs"})
    assert sum(last.values()) < sum(first.values())
    assert dprp.summary(model).macs_kept <= 0.5


def test_minor_hoyer_leaves_alone_what_is_kept(paper):
    import variants

    bases = ops.zeros((4, 4))
    s = ops.convert_to_tensor(np.float32([3.0, -4.0, 1.0, 0.5]))
    penalty = variants.MinorHoyer()
    norm = np.sqrt(9 + 16 + 1 + 0.25)
    for kept, minor in ((0.0, 8.5), (2.0, 1.5), (4.0, 0.0)):
        value = float(penalty(bases, s, bases, ops.convert_to_tensor(kept)))
        assert value == pytest.approx(minor / norm, rel=1e-5)


def test_uniform_ranks_are_one_share_of_every_full_rank(paper):
    import variants

    model = factorized(perceptron())
    callback = variants.WithUniformRanks(0.6, start=0, stop=0, verbose=0)
    train(model, [callback], epochs=1)
    layers = [x for x in model.layers if isinstance(x, dprp.SVDDense)]
    shares = [layer.rank / layer.full_rank for layer in layers]
    assert max(shares) - min(shares) <= 0.5 / min(x.full_rank for x in layers)
    assert dprp.summary(model).parameters_kept <= 0.6


@pytest.mark.parametrize("ratio, acts", [(0.01, False), (0.9, True)])
def test_compression_stops_where_the_target_costs_little(paper, ratio, acts):
    import variants

    model = factorized(perceptron(ratio))
    weights = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            layer = model.get_layer("hidden")
            weights.append(ops.convert_to_numpy(layer.penalty_weights).tolist())

    callback = variants.StopsWhenReady(0.6, start=1, stop=3, every=1, verbose=0)
    train(model, [callback, Watch()], epochs=4)
    warm_up, *pruning, free = weights
    assert warm_up == free == [0, 0, 0]
    assert all(all(structure) for *structure, _ in pruning)
    assert [bool(compression) for *_, compression in pruning] == [acts, acts]


def test_dense_steps_move_the_kernel_as_a_dense_one(paper, monkeypatch):
    import variants

    monkeypatch.setattr(variants, "DAMPING", 0.0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4)).astype("float32")
    y = rng.normal(size=(8, 4)).astype("float32")
    stock = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model = dprp.factorize(stock, structure=None, compression=None)
    (layer,) = model.layers
    U, _, V = (ops.convert_to_numpy(factor) for factor in layer.factors())
    start = ops.convert_to_numpy(layer.kernel)
    rate = 1e-3
    kernels = {}

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            layer = self.model.layers[-1]
            kernels.setdefault(self.model, ops.convert_to_numpy(layer.kernel))

    # Ranks fall once the first step, which is what is looked at, is done.
    pruning = variants.WithDenseSteps(0.9, start=1, stop=1, verbose=0)
    for each, callbacks in ((stock, [Watch()]), (model, [pruning, Watch()])):
        each.compile(keras.optimizers.SGD(rate), "mse")
        each.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
    dense, ours = ((kernels[each] - start) / rate for each in (stock, model))
    # What s does comes on top.
    along = U @ np.diag(np.diag(U.T @ dense @ V)) @ V.T
    np.testing.assert_allclose(ours, dense + along, atol=2e-2)


def test_slots_hold_scaled_gradients_after_an_event(paper, monkeypatch):
    import variants

    monkeypatch.setattr(variants, "DAMPING", 0.0)
    layer = scrambled_layer()
    U, s, V = (ops.convert_to_numpy(x) for x in layer.factors())
    gradient = np.random.default_rng(1).normal(size=(len(U), len(V)))

    def scaled(U, s, V):
        of_U, of_V = (np.asarray(each) for each in variants.step_lengths(U, s, V))
        return gradient @ V * s / of_U, gradient.T @ U * s / of_V

    # Only where no singular value is far from another is all of it carried over.
    monkeypatch.setattr("keras_dprp.decomposition.LARGEST_RATIO", 1e9)
    new = layer.decompose()
    changes = variants.WithDenseWarmUpAndSteps(0.5).changes(layer, new)
    before, after = scaled(U, s, V), scaled(new.U, new.s, new.V)
    for place, old, expected in zip((0, 2), before, after, strict=True):
        mapped = old @ changes[place].gradient_map
        np.testing.assert_allclose(mapped, expected, rtol=1e-2, atol=1e-3)


def test_slots_of_a_kernel_become_scaled_gradients(paper):
    import variants

    layer = scrambled_layer()
    for change in to_kernel(layer):
        change.variable.assign(change.value)
    layer.learn_dense(True)
    new = layer.decompose()
    gradient = np.random.default_rng(1).normal(size=(len(new.U), len(new.V)))
    of_U, of_V = map(np.asarray, variants.step_lengths(new.U, new.s, new.V))
    slot = gradient if layer.U.shape[0] >= layer.V.shape[0] else gradient.T
    expected = {
        "U": gradient @ new.V * new.s / of_U,
        "V": gradient.T @ new.U * new.s / of_V,
    }
    for change in variants.WithDenseWarmUpAndSteps(0.5).changes(layer, new):
        name = change.variable.name
        if name == "s":
            continue
        if change.source is None:
            mapped = slot @ change.gradient_map
        else:
            mapped = slot.T @ change.kernel_maps[0]
        np.testing.assert_allclose(mapped, expected[name], rtol=1e-3, atol=1e-4)

"""What the ablation takes out of DPRP, and the rival that compresses at one stroke."""

import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

import keras_dprp as dprp
from tests.small_models import factorized, perceptron

PAPER = Path(__file__).parent.parent.parent / "benchmarks" / "paper"


@pytest.fixture
def paper(monkeypatch):
    for folder in (PAPER, PAPER.parent, PAPER.parent.parent / "examples"):
        monkeypatch.syspath_prepend(str(folder))
    yield
    for name in ("variants", "rivals"):
        sys.modules.pop(name, None)


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

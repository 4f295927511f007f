"""The value of every penalty, its gradient's direction, and what it refuses."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_dprp as dprp
from keras_dprp import penalties

U = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 4)))[0]
V = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 4)))[0]
S = np.array([3.0, 1.0, 2.0, -0.5])


def value(penalty, U=U, s=S, V=V, kept_rank=2):
    tensors = [ops.convert_to_tensor(x.astype("float32")) for x in (U, s, V)]
    return float(penalty(*tensors, ops.convert_to_tensor(float(kept_rank))))


def test_orthogonality():
    assert value(penalties.Orthogonality()) == pytest.approx(0, abs=1e-6)
    # Of 2 U the Gram matrix is 4 I: an error of 3 on each of four places.
    assert value(penalties.Orthogonality(), U=2 * U) == pytest.approx(4 * 9 / 16)


def test_ordering():
    assert value(penalties.Ordering()) == pytest.approx(1.0 + 0.5)
    assert value(penalties.Ordering(), s=np.array([3.0, 2.0, 1.0, 0.5])) == 0


def test_hoyer():
    expected = np.abs(S).sum() / np.linalg.norm(S)
    assert value(penalties.Hoyer()) == pytest.approx(expected, rel=1e-5)
    assert value(penalties.Hoyer(), s=10 * S) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "kept_rank, minor", [(2, [1.0, 0.5]), (4, []), (1, [2, 1, 0.5])]
)
def test_terms_of_the_minor_singular_values(kept_rank, minor):
    minor = np.array(minor)
    funnel = np.sum(minor / (minor + 0.1 * 3.0))
    for penalty, expected in (
        (penalties.L1(), minor.sum()),
        (penalties.L2(), np.square(minor).sum()),
        (penalties.Funnel(), funnel),
    ):
        assert value(penalty, kept_rank=kept_rank) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", penalties.COMPRESSION)
def test_groups_add_up(name):
    penalty = penalties.COMPRESSION[name]()
    stacked = value(penalty, *(np.stack([x, x]) for x in (U, S, V)))
    assert stacked == pytest.approx(2 * value(penalty), rel=1e-5)


@pytest.mark.parametrize("name", penalties.STRUCTURE | penalties.COMPRESSION)
def test_training_on_a_penalty_alone_lowers_it(name):
    known = "structure" if name in penalties.STRUCTURE else "compression"
    penalty = (penalties.STRUCTURE | penalties.COMPRESSION)[name](1.0)
    chosen = {known: penalty}
    layer = dprp.SVDDense(5, rank=4, **chosen)
    model = keras.Sequential([keras.Input((6,)), layer])
    for variable, factor in zip(
        (layer.U, layer.s, layer.V), (2 * U, S, V), strict=True
    ):
        variable.assign(factor)
    layer.kept_rank.assign(2.0)
    model.compile(keras.optimizers.SGD(0.05), lambda y_true, y_pred: 0.0 * y_pred[:, 0])
    x, y = np.zeros((4, 6), "float32"), np.zeros((4, 5), "float32")
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.97 * losses[0]


def test_penalties_survive_saving(tmp_path):
    layer = dprp.SVDDense(5, structure=None, compression=penalties.Funnel(0.3, a=0.2))
    model = keras.Sequential([keras.Input((6,)), layer])
    model.save(tmp_path / "model.keras")
    (loaded,) = keras.saving.load_model(tmp_path / "model.keras").layers
    (penalty,) = loaded.compression
    assert loaded.structure == []
    assert (penalty.weight, penalty.a) == (0.3, 0.2)


def test_a_name_an_object_and_lists_of_them():
    layer = dprp.SVDDense(
        5, structure="Orthogonality", compression=["l1", penalties.Hoyer(0.5)]
    )
    assert [type(x).__name__ for x in layer.structure] == ["Orthogonality"]
    assert [x.weight for x in layer.compression] == [penalties.L1().weight, 0.5]


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: penalties.L1(-1), ValueError, "Received: weight=-1"),
        (lambda: penalties.L1(float("nan")), ValueError, "Received: weight=nan"),
        (lambda: penalties.L1("strong"), TypeError, "Received: weight='strong'"),
        (lambda: penalties.Funnel(a=0), ValueError, "Received: a=0"),
        (lambda: dprp.SVDDense(3, rank=0), ValueError, "Received: rank=0"),
        (lambda: dprp.SVDDense(3, rank="low"), TypeError, "Received: rank='low'"),
        (lambda: dprp.SVDConv2D(3, 3, mode="fast"), ValueError, "mode='fast'"),
        (lambda: dprp.SVDDense(3, structure="l1"), ValueError, "structure='l1'"),
        (
            lambda: dprp.SVDDense(3, kernel_constraint="non_neg"),
            ValueError,
            "kernel constraint",
        ),
        (lambda: dprp.SVDDense(0), ValueError, "units"),
        (lambda: dprp.SVDConv2D(4, 3, groups=3), ValueError, "groups"),
    ],
)
def test_bad_arguments_of_penalties_and_layers(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    "layer, shape, match",
    [
        (lambda: dprp.SVDDense(3, rank=9), (2, 4), "Received: rank=9"),
        (lambda: dprp.SVDConv2D(4, 3, groups=2), (1, 6, 6, 3), "groups=2"),
        (lambda: dprp.SVDConv2D(4, 3), (1, 2, 2, 3), "zero or negative|negative"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, match):
    with pytest.raises(ValueError, match=match):
        layer()(np.zeros(shape, "float32"))

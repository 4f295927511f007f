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


NO_NUMBERS = [(value, TypeError) for value in ("x", True, [1.0])]
NOT_FINITE = [(value, ValueError) for value in (-0.1, float("nan"), float("inf"))]


@pytest.mark.parametrize("kind", [penalties.L1, penalties.Funnel])
@pytest.mark.parametrize("weight, error", NO_NUMBERS + NOT_FINITE)
def test_a_penalty_refuses_a_bad_weight(kind, weight, error):
    with pytest.raises(error, match="`weight` .*Received: weight="):
        kind(weight)


@pytest.mark.parametrize(
    "a, error", [*NO_NUMBERS, *NOT_FINITE, (None, TypeError), (0, ValueError)]
)
def test_a_funnel_refuses_a_bad_a(a, error):
    with pytest.raises(error, match="`a` .*Received: a="):
        penalties.Funnel(a=a)


LAYERS = [
    lambda **arguments: dprp.SVDConv2D(4, 3, **arguments),
    lambda **arguments: dprp.SVDDense(4, **arguments),
]


@pytest.mark.parametrize("build", LAYERS)
@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"rank": 0}, ValueError, "Received: rank=0"),
        ({"rank": 1.5}, ValueError, "Received: rank=1.5"),
        ({"rank": "x"}, TypeError, "Received: rank='x'"),
        ({"rank": True}, TypeError, "Received: rank=True"),
        ({"structure": "l1"}, ValueError, "Received: structure='l1'"),
        ({"compression": "l3"}, ValueError, "Received: compression='l3'"),
        ({"kernel_constraint": "max_norm"}, ValueError, "Received: kernel_constraint="),
    ],
)
def test_a_layer_refuses_bad_arguments(build, arguments, error, message):
    with pytest.raises(error, match=message):
        build(**arguments)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: dprp.SVDConv2D(4, 3, mode="diagonal"), "Received: mode='diagonal'"),
        (lambda: dprp.SVDConv2D(4, 3, groups=3), "divisible.*Received: groups=3"),
        (lambda: dprp.SVDDense(0), "units"),
    ],
)
def test_bad_arguments_of_one_kind_of_layer(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    "layer, shape, match",
    [
        (lambda: dprp.SVDDense(3, rank=9), (2, 4), "full rank .*Received: rank=9"),
        (lambda: dprp.SVDConv2D(3, 3, rank=19), (1, 6, 6, 4), "Received: rank=19"),
        (lambda: dprp.SVDConv2D(4, 3, groups=2), (1, 6, 6, 3), "Received: groups=2"),
        (lambda: dprp.SVDConv2D(4, 3), (1, 2, 2, 3), "zero or negative|negative"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, match):
    with pytest.raises(ValueError, match=match):
        layer()(np.zeros(shape, "float32"))

"""A factorised model is the given one, its kernels held as products."""

import hypothesis
import keras
import numpy as np
import pytest
from architectures import assert_same_outputs, build, images, networks, randomized
from hypothesis import strategies as st
from keras import layers

import keras_dprp as dprp
from keras_dprp.layers import SVDLayer

MODES = ["spatial", "channel", "auto"]


def factorized(model):
    """Names of the factorised layers in a model, nested ones included."""
    found = []
    for layer in model.layers:
        if isinstance(layer, SVDLayer):
            found.append(layer.name)
        found += factorized(layer) if isinstance(layer, keras.Model) else []
    return found


@hypothesis.given(networks, st.sampled_from(MODES))
def test_outputs_are_kept(network, mode):
    model = build(network)
    hypothesis.assume(can_be_factorized(model, mode))
    before = model.get_weights()
    copy = dprp.factorize(model, mode=mode)
    assert factorized(copy)
    assert_same_outputs(copy, model, images(model))
    for new, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(new, old)


def can_be_factorized(model, mode):
    from keras_dprp.factorize import reason_left

    return any(
        reason_left(layer, mode) is None
        for layer in model.layers
        if isinstance(layer, (layers.Conv2D, layers.Dense))
    )


def sequential():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, name="a"), layers.Dense(6, name="b")]
    )


def nested():
    x = inputs = keras.Input((6,), name="features")
    inner = sequential()
    x = layers.Dense(6, name="c")(inner(x))
    return keras.Model(inputs, inner(x))


def shared():
    x = inputs = keras.Input((6,), name="features")
    layer = layers.Dense(6, activation="tanh", name="a")
    for _ in range(3):
        x = layer(x)
    return keras.Model(inputs, x)


def shared_between_models():
    x = inputs = keras.Input((6,), name="features")
    layer = layers.Dense(6, name="a")
    inner = keras.Sequential([keras.Input((6,)), layer])
    return keras.Model(inputs, layer(inner(x)))


@pytest.mark.parametrize("make", [sequential, nested, shared, shared_between_models])
def test_structure_is_kept(make):
    model = randomized(make())
    copy = dprp.factorize(model)
    assert_same_outputs(copy, model, images(model))
    assert type(copy) is type(model)
    assert copy.name == model.name
    assert [layer.name for layer in copy.layers] == [x.name for x in model.layers]
    # As many variables as layers that are not shared have.
    kernels = sum(1 for w in model.trainable_weights if w.name == "kernel")
    others = len(model.trainable_weights) - kernels
    assert len(copy.trainable_weights) == 3 * kernels + others


def test_several_inputs_and_outputs():
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    x = layers.Dense(8, activation="relu", name="both")(
        layers.Concatenate()([left, right])
    )
    outputs = {"a": layers.Dense(4, name="a")(x), "b": layers.Dense(5, name="b")(x)}
    model = keras.Model({"left": left, "right": right}, outputs)
    copy = dprp.factorize(model)
    rng = np.random.default_rng(0)
    feeds = {"left": rng.normal(size=(5, 4)), "right": rng.normal(size=(5, 3))}
    assert set(copy(feeds)) == {"a", "b"}
    assert_same_outputs(copy, model, feeds)


def test_frozen_layers_and_policies_stay():
    model = sequential()
    model.layers[0].trainable = False
    copy = dprp.factorize(model)
    assert [layer.trainable for layer in copy.layers] == [False, True]
    assert len(copy.trainable_weights) == 4


def test_what_a_layer_was_configured_with_stays():
    regularizer = keras.regularizers.L2(0.1)
    initializer = keras.initializers.HeNormal(1)
    layer = layers.Conv2D(
        8, 3, kernel_regularizer=regularizer, kernel_initializer=initializer
    )
    model = keras.Sequential([keras.Input((6, 6, 8)), layer])
    (twin,) = dprp.factorize(model).layers
    assert twin.kernel_regularizer is regularizer
    assert twin.kernel_initializer is initializer


@pytest.mark.parametrize(
    "filters, expected",
    [
        (None, ["a", "b"]),
        ("^a$", ["a"]),
        (["^b", "nothing"], ["b"]),
        (lambda layer: layer.units == 6, ["b"]),
    ],
)
def test_filters_choose_layers(filters, expected):
    model = sequential()
    copy = dprp.factorize(model, filters=filters)
    assert factorized(copy) == expected
    assert_same_outputs(copy, model, images(model))


@pytest.mark.parametrize(
    "rank, expected", [(None, [6, 6]), (2, [2, 2]), (99, [6, 6]), (0.5, [3, 3])]
)
def test_rank_is_the_best_of_its_size(rank, expected):
    model = sequential()
    copy = dprp.factorize(model, rank=rank)
    assert [layer.rank for layer in copy.layers] == expected
    for layer, stock in zip(copy.layers, model.layers, strict=True):
        kernel = keras.ops.convert_to_numpy(stock.kernel)
        kept = keras.ops.convert_to_numpy(layer.kernel)
        s = np.linalg.svd(kernel, compute_uv=False)
        lost = np.linalg.norm(kernel - kept)
        np.testing.assert_allclose(lost, np.linalg.norm(s[layer.rank :]), atol=1e-5)


def test_auto_takes_the_cheaper_mode_of_each_layer():
    inputs = keras.Input((8, 8, 8))
    # A kernel of rank one either way round, so that the other mode has to pay.
    spatial = layers.Conv2D(8, 3, name="spatial", use_bias=False)
    channel = layers.Conv2D(8, 3, name="channel", use_bias=False)
    model = keras.Model(inputs, channel(spatial(inputs)))
    rng = np.random.default_rng(0)
    column, row = rng.normal(size=(3, 1, 8, 1)), rng.normal(size=(1, 3, 1, 8))
    spatial.kernel.assign(column * row)
    window, mixed = rng.normal(size=(3, 3, 8, 1)), rng.normal(size=(1, 1, 1, 8))
    channel.kernel.assign(window * mixed)
    copy = dprp.factorize(model, mode="auto")
    assert copy.get_layer("spatial").mode == "spatial"
    assert copy.get_layer("channel").mode == "channel"


def test_what_is_left_is_reported_with_its_reason():
    model = keras.Sequential(
        [
            keras.Input((12, 12, 4)),
            layers.Conv2D(8, 3, name="chosen"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.SeparableConv2D(8, 3, name="separable"),
            layers.Conv2D(8, 3, kernel_constraint="max_norm", name="constrained"),
            layers.Conv2D(8, 1, name="filtered"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, name="narrow"),
        ]
    )
    copy = dprp.factorize(model, filters=lambda layer: layer.name != "filtered")
    assert factorized(copy) == ["chosen"]
    assert_same_outputs(copy, model, images(model))
    forms = {row.name: row.form for row in dprp.summary(copy).rows}
    assert "DepthwiseConv2D has no factorised form" in forms["depthwise"]
    assert "SeparableConv2D has no factorised form" in forms["separable"]
    assert "constraint" in forms["constrained"]
    assert "not chosen" in forms["filtered"]
    assert "costs no less than dense" in forms["narrow"]
    assert forms["chosen"] == "single"


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(8)

    def call(self, inputs):
        return self.dense(inputs)


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 8)))
    return model


@pytest.mark.parametrize(
    "make, error, match",
    [
        (subclassed, ValueError, "SVDConv2D.*SVDDense"),
        (lambda: keras.Sequential([layers.Dense(8)]), ValueError, "Input"),
        (lambda: layers.Dense(8), TypeError, "Keras model.*Received"),
        (
            lambda: keras.Sequential([keras.Input((4,)), layers.ReLU()]),
            ValueError,
            "no kernel in any layer",
        ),
        (
            lambda: keras.Sequential([keras.Input((4,)), layers.Dense(1, name="one")]),
            ValueError,
            "one: even rank 1 costs no less",
        ),
    ],
)
def test_bad_model(make, error, match):
    with pytest.raises(error, match=match):
        dprp.factorize(make())


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"mode": "diagonal"}, ValueError, "Received: mode='diagonal'"),
        ({"structure": "order"}, ValueError, "Received: structure='order'"),
        ({"compression": "l3"}, ValueError, "Received: compression='l3'"),
        ({"compression": ["l1", 3]}, ValueError, "Received: compression=3"),
        ({"rank": 0}, ValueError, "Received: rank=0"),
        ({"rank": -1}, ValueError, "Received: rank=-1"),
        ({"rank": 1.5}, ValueError, "Received: rank=1.5"),
        ({"rank": "half"}, TypeError, "Received: rank='half'"),
        ({"rank": True}, TypeError, "Received: rank=True"),
        ({"filters": 3}, TypeError, "Received: filters=3"),
        ({"filters": ["a", 3]}, TypeError, "Received: filters="),
        ({"filters": "("}, ValueError, "Received: filters='\\('"),
        ({"filters": "nothing"}, ValueError, "a: not chosen by `filters`"),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        dprp.factorize(sequential(), **arguments)

"""Separable convolutions and attention become the layers that they are made of."""

import keras
import numpy as np
import pytest
from architectures import assert_same_outputs
from keras import layers
from small_models import every_layer, factorized_layers

import keras_dprp as dprp


def test_a_separable_convolution_becomes_two_layers():
    layer = layers.SeparableConv2D(8, 3, activation="relu", name="apart")
    model = every_layer(keras.Sequential([keras.Input((6, 6, 4)), layer]))
    depthwise, pointwise = (model.get_layer(n) for n in ("apart_depthwise", "apart"))
    assert type(depthwise) is layers.DepthwiseConv2D
    assert type(pointwise) is dprp.SVDConv2D
    assert pointwise.kernel.shape == (1, 1, 4, 8)
    assert depthwise.bias is None
    assert pointwise.activation is keras.activations.relu
    forms = {row.name: row.form for row in dprp.summary(model).rows}
    assert forms["apart_depthwise"] == "there is no factorised form of DepthwiseConv2D"
    assert forms["apart"] == "dense"


def test_halves_of_a_separable_convolution_keep_its_regularizers():
    options = {
        "depthwise_regularizer": keras.regularizers.L2(0.3),
        "pointwise_regularizer": keras.regularizers.L1(0.2),
        "bias_regularizer": "l2",
        "activity_regularizer": "l2",
        "bias_initializer": "ones",
        "activation": layers.PReLU(alpha_initializer="ones"),
        "depthwise_constraint": "max_norm",
    }
    layer = layers.SeparableConv2D(6, 3, depth_multiplier=2, **options)
    stock = keras.Sequential([keras.Input((5, 5, 3)), layer])
    model = every_layer(stock)
    x = np.random.default_rng(0).normal(size=(4, 5, 5, 3)).astype("float32")
    for each in (stock, model):
        each.compile("sgd", "mse")
    losses = [
        [each.train_on_batch(x, np.zeros((4, 3, 3, 6))) for _ in range(3)]
        for each in (stock, model)
    ]
    assert losses[1] == losses[0]


def test_a_separable_convolution_finds_a_free_name():
    inner = [
        layers.ReLU(name="apart_depthwise"),
        layers.SeparableConv1D(8, 3, name="apart", trainable=False),
    ]
    model = every_layer(keras.Sequential([keras.Input((5, 4)), *inner]))
    names = [layer.name for layer in model.layers]
    assert names == ["apart_depthwise", "apart_depthwise_", "apart"]
    assert not model.trainable_variables


def test_the_projections_of_attention_become_layers():
    model = dprp.factorize(attending(lambda a, x: a(x, x))())
    names = [layer.name for layer in factorized_layers(model)]
    assert names == ["attend_query", "attend_key", "attend_value", "attend_output"]
    assert not any(isinstance(x, layers.MultiHeadAttention) for x in model.layers)
    # The sizes that the attention layer knew.
    assert model.get_layer("attend_output").output.shape == (None, 6, 8)


def test_attention_may_be_told_what_it_does_not_do():
    off = dict.fromkeys(("return_attention_scores", "use_causal_mask"), False)
    build = attending(lambda a, x: a(x, a(x, x, None), attention_mask=None, **off))
    stock = build()
    model = dprp.factorize(stock)
    assert len(factorized_layers(model)) == 4
    assert_same_outputs(model, stock)


def test_attention_with_dropout_is_that_of_the_stock_layer_in_use():
    inputs = keras.Input((6, 8))
    x = layers.MultiHeadAttention(2, 4, dropout=0.5, seed=1)(inputs, inputs)
    stock = keras.Model(inputs, layers.Dense(3)(x))
    model = dprp.factorize(stock)
    assert len(factorized_layers(model)) == 4
    assert_same_outputs(model, stock)
    x = np.ones((2, 6, 8), "float32")
    in_training = [np.asarray(model(x, training=True)) for _ in range(2)]
    assert (in_training[0] != in_training[1]).any()


def attending(call, **arguments):
    """A network around one call of an attention layer."""

    def build():
        inputs = keras.Input((6, 8))
        layer = layers.MultiHeadAttention(2, 4, name="attend", **arguments)
        return keras.Model(inputs, layers.Dense(3, name="dense")(call(layer, inputs)))

    return build


class LargeOnly(layers.Layer):
    """Makes a mask of its own."""

    supports_masking = True

    def call(self, inputs):
        return inputs

    def compute_mask(self, inputs, mask=None):
        return keras.ops.any(inputs > 0.5, axis=-1)


MORE_THAN_ATTENTION = "its attention has a mask or the like"


@pytest.mark.parametrize(
    "build",
    [
        attending(lambda a, x: a(x, x, attention_mask=np.ones((1, 6, 6), bool))),
        attending(lambda a, x: a(x, x, return_attention_scores=True)[0]),
        attending(lambda a, x: a(x, x, use_causal_mask=True), dropout=0.1),
        attending(lambda a, x: a(layers.Masking()(x), x)),
        attending(lambda a, x: a(LargeOnly()(x), x)),
        attending(lambda a, x: a(x, x), use_gate=True),
        attending(lambda a, x: a(x, x), sliding_window=2),
        attending(lambda a, x: a(x, x), value_dim=3),
    ],
)
def test_attention_that_does_more_is_left_as_it_is(build):
    model = build()
    with pytest.raises(ValueError, match=f"attend: {MORE_THAN_ATTENTION}"):
        dprp.factorize(model, filters="attend")
    report = dprp.summary(model)
    assert [row.name for row in report.rows] == ["attend", "dense"]
    assert report.rows[0].form == MORE_THAN_ATTENTION
    assert report.rows[0].parameters == model.get_layer("attend").count_params()
    assert report.rows[0].macs >= 6 * 4 * 8 * 6


class OwnAttention(layers.MultiHeadAttention):
    """May do anything."""


def test_a_class_of_the_users_own_is_named_as_the_reason():
    inputs = keras.Input((6, 8))
    outputs = layers.Dense(3)(OwnAttention(2, 4, name="attend")(inputs, inputs))
    form = dprp.summary(keras.Model(inputs, outputs)).rows[0].form
    assert form == "there is no factorised form of OwnAttention"


def test_weights_of_the_stock_model_are_refused_with_what_to_do(tmp_path):
    inputs = keras.Input((6, 6, 4))
    x = layers.SeparableConv2D(8, 3)(inputs)
    stock = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    stock.save_weights(tmp_path / "stock.weights.h5")
    model = dprp.factorize(stock)
    with (
        pytest.warns(UserWarning, match="Skipping nested container"),
        pytest.raises(ValueError, match="before `factorize`. Received: .*stock"),
    ):
        model.load_weights(tmp_path / "stock.weights.h5")

"""A factorised model computes what the given one does, in the same structure."""

import hypothesis
import keras
import numpy as np
import pytest
from architectures import (
    MODES,
    assert_same_outputs,
    build,
    factorized_layers,
    networks,
    weights_of,
    with_random_weights,
)
from hypothesis import strategies as st
from keras import layers
from small_models import every_layer

import keras_dprp as dprp
from keras_dprp import penalties


def sequential():
    return with_random_weights(
        keras.Sequential(
            [
                keras.Input((6, 6, 3)),
                layers.Conv2D(8, 3, activation="relu", name="first"),
                layers.Conv2D(6, 3, name="second"),
                layers.Flatten(name="flat"),
                layers.Dense(5, activation="softmax", name="logits"),
            ]
        )
    )


def nested():
    """A Sequential model and a functional one within a third."""
    inner = keras.Input((6, 6, 8))
    residual = layers.Conv2D(8, 3, padding="same", name="inner_conv")(inner)
    functional = keras.Model(inner, layers.Add()([inner, residual]), name="functional")
    head = [layers.Flatten(), layers.Dense(5, name="inner_dense")]
    inputs = keras.Input((6, 6, 3))
    outputs = layers.Conv2D(8, 3, padding="same", name="outer_conv")(inputs)
    outputs = keras.Sequential(head, name="sequential")(functional(outputs))
    return with_random_weights(keras.Model(inputs, outputs))


def shared():
    """One dense layer called on two inputs, and by a model within as well."""
    layer = layers.Dense(6, name="shared")
    a, b, inner = (keras.Input((6,)) for _ in range(3))
    within = keras.Model(inner, layer(inner), name="within")
    outputs = layers.Dense(4, name="logits")(layer(a) - layer(b) * within(a))
    return with_random_weights(keras.Model([a, b], outputs))


def lists_of_inputs_and_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((5,), name="b")
    joined = layers.Concatenate()([a, b])
    outputs = [layers.Dense(4, name="x")(joined), layers.Dense(3, name="y")(a)]
    return with_random_weights(keras.Model([a, b], outputs))


def dicts_of_inputs_and_outputs():
    inputs = {"b": keras.Input((5,), name="b"), "a": keras.Input((4,), name="a")}
    hidden = layers.Dense(8, name="hidden")(inputs["a"])
    outputs = {
        "y": layers.Dense(3, name="last")(hidden),
        "x": layers.Dense(4, name="other")(inputs["b"]),
    }
    return with_random_weights(keras.Model(inputs, outputs))


def activation_with_weights():
    inputs = keras.Input((6,))
    outputs = layers.Dense(8, activation=layers.PReLU(), name="hidden")(inputs)
    return with_random_weights(keras.Model(inputs, outputs))


STRUCTURES = [
    sequential,
    nested,
    shared,
    lists_of_inputs_and_outputs,
    dicts_of_inputs_and_outputs,
    activation_with_weights,
]


def layer_names(model):
    return [each.name for each in model._flatten_layers(include_self=False)]


def form_of(model, name):
    """What the summary says of one layer."""
    return {row.name: row.form for row in dprp.summary(model).rows}[name]


@hypothesis.given(network=networks, mode=st.sampled_from(MODES))
def test_outputs_are_those_of_the_given_model(network, mode):
    model = build(network)
    before = weights_of(model)
    factorized = every_layer(model, mode=mode)
    assert factorized_layers(factorized)
    assert_same_outputs(factorized, model)
    for weight, expected in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("build", STRUCTURES)
def test_structure_and_names_are_kept(build):
    model = build()
    every = list(model._flatten_layers())
    factorized = every_layer(model)
    # The given model keeps its layers.
    assert list(model._flatten_layers()) == every
    assert not factorized_layers(model)
    assert_same_outputs(factorized, model)
    assert layer_names(factorized) == layer_names(model)
    assert factorized.name == model.name
    assert type(factorized) is type(model)
    for names in ("input_names", "output_names"):
        # Sequential models have none.
        expected = getattr(model, names, None)
        assert getattr(factorized, names, None) == expected


@pytest.mark.parametrize("teacher", [None, "self"])
def test_a_dict_of_inputs_brings_no_warning(teacher):
    """A warning is a failure, and Keras has one for keys that are no names."""
    model = dprp.factorize(dicts_of_inputs_and_outputs(), teacher=teacher)
    assert [layer.name for layer in factorized_layers(model)] == ["hidden"]
    assert dprp.plan(model, target=0.9).macs_kept <= 0.9
    dprp.fold(model)


def test_the_copy_shares_no_variable_with_the_given_model():
    model = nested()
    factorized = every_layer(model, filters="inner_conv")
    before = weights_of(model)
    for weight in factorized.weights:
        weight.assign(weight + 1)
    for weight, expected in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_nested_models_are_opened():
    factorized = every_layer(nested())
    names = {layer.name for layer in factorized_layers(factorized)}
    assert names == {"outer_conv", "inner_conv", "inner_dense"}


def test_a_shared_layer_stays_one():
    factorized = every_layer(shared())
    within = factorized.get_layer("within").get_layer("shared")
    assert factorized.get_layer("shared") is within
    assert len(factorized_layers(factorized)) == 2


def test_a_sequential_model_built_by_its_first_call():
    model = keras.Sequential([layers.Dense(5), layers.Dense(4)])
    model(np.zeros((2, 6), "float32"))
    model = with_random_weights(model)
    factorized = every_layer(model)
    assert isinstance(factorized, keras.Sequential)
    assert_same_outputs(factorized, model)


@pytest.mark.parametrize(
    "build, frozen, other",
    [(sequential, "first", "second"), (nested, "functional", "outer_conv")],
)
def test_a_frozen_part_stays_frozen(build, frozen, other):
    model = build()
    model.get_layer(frozen).trainable = False
    factorized = every_layer(model)
    assert not factorized.get_layer(frozen).trainable
    assert not factorized.get_layer(frozen).trainable_variables
    assert factorized.get_layer(other).trainable


@pytest.mark.parametrize("build", [sequential, nested])
def test_a_frozen_model_stays_frozen(build):
    model = build()
    model.trainable = False
    factorized = every_layer(model)
    assert not factorized.trainable
    assert not factorized.trainable_variables


def test_a_compiled_model_is_returned_without_its_optimizer():
    model = sequential()
    model.compile("adam", "mse")
    factorized = every_layer(model)
    assert not factorized.compiled
    assert model.compiled
    assert_same_outputs(factorized, model)


@pytest.mark.parametrize(
    "filters, expected",
    [
        ("second", {"second"}),
        ("^(first|logits)$", {"first", "logits"}),
        (["^fir", "nd$"], {"first", "second"}),
        (("logits",), {"logits"}),
        (lambda layer: isinstance(layer, layers.Dense), {"logits"}),
        # The last one gives the outputs.
        (None, {"first", "second"}),
    ],
)
def test_filters_choose_layers(filters, expected):
    factorized = dprp.factorize(sequential(), filters=filters)
    assert {layer.name for layer in factorized_layers(factorized)} == expected


def test_layers_that_give_outputs_are_spared_unless_chosen():
    factorized = dprp.factorize(nested())
    names = {layer.name for layer in factorized_layers(factorized)}
    assert names == {"outer_conv", "inner_conv"}
    with pytest.raises(ValueError, match="x: it gives the outputs; choose it by"):
        dprp.factorize(lists_of_inputs_and_outputs())


def test_layers_that_give_outputs_together_are_spared():
    inputs = keras.Input((8,))
    hidden = layers.Dense(8, activation="relu", name="hidden")(inputs)
    sides = [layers.Dense(6, name=name)(hidden) for name in ("left", "right")]
    outputs = layers.Softmax()(layers.Add()(sides))
    factorized = dprp.factorize(keras.Model(inputs, outputs))
    assert [each.name for each in factorized_layers(factorized)] == ["hidden"]


def tied():
    """A layer that computes with the weights of another one."""

    class Tied(layers.Layer):
        def __init__(self, other, **kwargs):
            super().__init__(**kwargs)
            self.other = other

        def call(self, inputs):
            return keras.ops.matmul(inputs, keras.ops.transpose(self.other.kernel))

        def get_config(self):
            return {**super().get_config(), "other": self.other}

    inputs = keras.Input((8,))
    dense = layers.Dense(6, name="encoder")
    return keras.Model(inputs, Tied(dense, name="decoder")(dense(inputs)))


@pytest.mark.parametrize("copy", [every_layer, dprp.fold])
def test_tied_weights_are_refused_by_name(copy):
    with pytest.raises(
        ValueError, match="layers '(en|de)coder' and '(en|de)coder' share"
    ):
        copy(tied())


def test_a_layer_not_chosen_is_copied():
    factorized = every_layer(sequential(), filters="first")
    assert type(factorized.get_layer("second")) is layers.Conv2D
    assert form_of(factorized, "second") == "not chosen"


# The full ranks of the spatial mode: min(3 * 3, 3 * 8), min(3 * 8, 3 * 6), min(24, 5).
@pytest.mark.parametrize(
    "rank, expected",
    [
        (1, [1, 1, 1]),
        (7, [7, 7, 5]),
        (np.int64(4), [4, 4, 4]),
        (1000, [9, 18, 5]),
        (1.0, [9, 18, 5]),
        (0.5, [4, 9, 2]),
        (0.001, [1, 1, 1]),
    ],
)
def test_rank(rank, expected):
    factorized = every_layer(sequential(), rank=rank)
    assert [layer.rank for layer in factorized_layers(factorized)] == expected
    assert [layer.s.shape[-1] for layer in factorized_layers(factorized)] == expected


def test_a_lower_rank_is_the_best_of_that_rank():
    model = sequential()
    factorized = every_layer(model, rank=3)
    kernel = keras.ops.convert_to_numpy(model.get_layer("logits").kernel)
    U, s, Vt = np.linalg.svd(kernel, full_matrices=False)
    actual = keras.ops.convert_to_numpy(factorized.get_layer("logits").kernel)
    np.testing.assert_allclose(actual, U[:, :3] * s[:3] @ Vt[:3], atol=1e-5)


def test_penalties_reach_the_layers():
    ordering, l1 = penalties.Ordering(0.3), penalties.L1(0.2)
    factorized = every_layer(
        sequential(), structure=["orthogonality", ordering], compression=l1
    )
    for layer in factorized_layers(factorized):
        kinds = [type(penalty) for penalty in layer.structure]
        assert kinds == [penalties.Orthogonality, penalties.Ordering]
        assert [term.weight for term in layer.terms] == [1.0, 0.3, 0.2]


def test_no_penalties_by_default():
    factorized = every_layer(sequential(), rank=2)
    factorized(np.zeros((1, 6, 6, 3), "float32"), training=True)
    assert not factorized.losses


LEFT = [
    (lambda: layers.DepthwiseConv2D(3, name="left"), "DepthwiseConv2D"),
    (
        lambda: layers.SeparableConv2D(
            8, 3, pointwise_constraint="max_norm", name="left"
        ),
        "kernel constraint",
    ),
    (lambda: layers.SeparableConv2D(1, 3, name="left"), "rank 1 costs no less"),
    (
        lambda: layers.Conv2D(8, 3, kernel_constraint="max_norm", name="left"),
        "kernel constraint",
    ),
    (
        lambda: layers.Dense(8, kernel_constraint="non_neg", name="left"),
        "kernel constraint",
    ),
    (lambda: layers.Conv2D(1, 1, name="left"), "rank 1 costs no less"),
    (lambda: layers.Dense(1, name="left"), "rank 1 costs no less"),
]


@pytest.mark.parametrize("build, reason", LEFT)
def test_what_cannot_be_factorised_is_left_and_the_summary_says_why(build, reason):
    inputs = keras.Input((6, 6, 3))
    outputs = layers.Dense(4)(layers.Flatten()(build()(inputs)))
    model = with_random_weights(keras.Model(inputs, outputs))
    factorized = every_layer(model)
    assert type(factorized.get_layer("left")) is type(model.get_layer("left"))
    assert reason in form_of(factorized, "left")
    assert_same_outputs(factorized, model)


def test_a_layer_inside_another_is_left():
    inputs = keras.Input((3, 6))
    wrapper = layers.TimeDistributed(layers.Dense(5, name="inside"), name="wrapper")
    outputs = layers.Dense(4)(wrapper(inputs))
    model = with_random_weights(keras.Model(inputs, outputs))
    factorized = every_layer(model)
    assert type(factorized.get_layer("wrapper").layer) is layers.Dense
    assert_same_outputs(factorized, model)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4)

    def call(self, inputs):
        return self.dense(inputs)


def test_a_subclassed_model_is_refused_and_the_way_out_named():
    model = Subclassed()
    model(np.zeros((1, 6), "float32"))
    with pytest.raises(ValueError, match=r"functional API, or use keras_dprp\.SVD"):
        every_layer(model)


class Scaled(keras.Model):
    """Its outputs are not those of its graph."""

    def call(self, inputs, training=None, mask=None):
        return 3 * super().call(inputs, training=training)


class OwnTraining(keras.Model):
    """A class with a constructor of its own, and a training step."""

    def __init__(self, inputs, outputs, scale=3.0):
        super().__init__(inputs, outputs)
        self.scale = scale

    def compute_loss(self, *args, **kwargs):
        return self.scale * super().compute_loss(*args, **kwargs)


class OwnTrainingPlainly(keras.Model):
    """A training step, and the constructor of a functional model."""

    def compute_loss(self, *args, **kwargs):
        return 3 * super().compute_loss(*args, **kwargs)


@pytest.mark.parametrize("model_class", [Scaled, OwnTraining])
def test_a_model_that_is_more_than_its_graph_is_refused(model_class):
    inputs = keras.Input((6,))
    model = model_class(inputs, layers.Dense(4)(inputs))
    with pytest.raises(ValueError, match="functional or Sequential.*Received: "):
        every_layer(model)


def test_a_functional_class_without_a_constructor_is_kept():
    inputs = keras.Input((6,))
    model = OwnTrainingPlainly(inputs, layers.Dense(4)(inputs))
    assert isinstance(every_layer(model), OwnTrainingPlainly)


def test_a_factorised_model_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="first: it is factorised already"):
        every_layer(every_layer(sequential()))


def test_a_layer_that_is_not_finite_is_left_and_named():
    model = sequential()
    kernel = model.get_layer("second").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    factorized = every_layer(model)
    assert type(factorized.get_layer("second")) is layers.Conv2D
    assert form_of(factorized, "second") == "its kernel is not finite"


def test_an_unbuilt_sequential_model_is_refused():
    model = keras.Sequential([layers.Dense(4)], name="unbuilt")
    with pytest.raises(ValueError, match="must be built.*Received: .*'unbuilt'"):
        every_layer(model)


@pytest.mark.parametrize("model", [None, "model.keras", layers.Dense(3), keras.Model])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError, match="must be a Keras model. Received: "):
        every_layer(model)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"mode": "diagonal"}, ValueError, "Received: mode='diagonal'"),
        ({"mode": None}, ValueError, "Received: mode=None"),
        ({"structure": "tidy"}, ValueError, "Received: structure='tidy'"),
        ({"structure": "hoyer"}, ValueError, "Received: structure='hoyer'"),
        ({"structure": 0.1}, ValueError, "Received: structure=0.1"),
        ({"compression": "l3"}, ValueError, "Received: compression='l3'"),
        ({"compression": ["l1", 2]}, ValueError, "Received: compression=2"),
        ({"rank": 0}, ValueError, "Received: rank=0"),
        ({"rank": -2}, ValueError, "Received: rank=-2"),
        ({"rank": 1.5}, ValueError, "Received: rank=1.5"),
        ({"rank": 0.0}, ValueError, "Received: rank=0.0"),
        ({"rank": float("nan")}, ValueError, "Received: rank=nan"),
        ({"rank": "x"}, TypeError, "Received: rank='x'"),
        ({"rank": True}, TypeError, "Received: rank=True"),
        ({"rank": [1, 2]}, TypeError, r"Received: rank=\[1, 2\]"),
        ({"filters": "("}, ValueError, r"Received: filters='\('"),
        ({"filters": ["a", "["]}, ValueError, r"Received: filters='\['"),
        ({"filters": 3}, TypeError, "Received: filters=3"),
        ({"filters": ["a", 3]}, TypeError, r"Received: filters=\['a', 3\]"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        every_layer(sequential(), **arguments)


def test_a_model_without_a_layer_to_factorise_is_refused():
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.DepthwiseConv2D(3, name="depthwise")]
    )
    with pytest.raises(ValueError, match="depthwise: there is no factorised form"):
        every_layer(model)


def test_a_model_without_any_kernel_is_refused():
    model = keras.Sequential([keras.Input((6,)), layers.ReLU()])
    with pytest.raises(ValueError, match="no kernel in any layer"):
        every_layer(model)


def test_filters_that_choose_nothing_are_refused():
    with pytest.raises(ValueError, match="logits: not chosen by `filters`"):
        every_layer(sequential(), filters="nothing")

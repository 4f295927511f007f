"""New shapes in a running fit: what training, metrics and other models see."""

import keras
import numpy as np
import pytest
from small_models import (
    AtEpoch,
    arrays,
    classification_data,
    compiled,
    deep_convnet,
    deep_perceptron,
    every_layer,
    factorized,
    factorized_layers,
    perceptron,
    prune_at,
    ranks,
    slots,
    train,
)

BACKEND = keras.backend.backend()


@pytest.mark.parametrize("build", [deep_perceptron, deep_convnet])
def test_ranks_and_shapes_fall_in_one_fit(build):
    model = factorized(build(), "adam")
    before = ranks(model)
    train(model, [prune_at(1)])
    assert sum(ranks(model)) < sum(before)
    for layer in factorized_layers(model):
        if layer.is_dense:
            continue
        rows, columns = layer.matrix.shape
        shapes = {
            "U": (rows, layer.rank),
            "s": (layer.rank,),
            "V": (columns, layer.rank),
        }
        for name, shape in shapes.items():
            assert tuple(getattr(layer, name).shape) == shape
            kept = slots(model, layer, name)
            assert [tuple(slot.shape) for slot in kept] == [shape, shape]


SETTINGS = [{}, {"run_eagerly": True}]
if BACKEND == "tensorflow":
    # On JAX it is the default; PyTorch's compiler warns of Keras's own code.
    SETTINGS.append({"jit_compile": True})
if BACKEND != "torch":
    # Where Keras takes no other number than one.
    SETTINGS.append({"steps_per_execution": 3})


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_metrics_of_the_event_epoch_are_those_of_the_new_network(settings):
    model = factorized(perceptron(), "adam", **settings)
    x, y = classification_data((6,))
    seen = {}

    def compare(logs):
        # A function compiled before the event would still use the old variables.
        seen["evaluate"] = model.evaluate(x, y, verbose=0, return_dict=True)
        seen["predict"] = model.predict(x, verbose=0)
        seen["call"] = keras.ops.convert_to_numpy(model(x))
        seen["logs"] = logs

    model.predict(x, verbose=0)
    model.evaluate(x, y, verbose=0)
    callbacks = [prune_at(1), AtEpoch(1, end=compare)]
    train(model, callbacks, validation_data=(x, y))
    assert sum(ranks(model)) < 10
    for name, value in seen["evaluate"].items():
        assert seen["logs"][f"val_{name}"] == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(seen["predict"], seen["call"], atol=1e-5)
    accuracy = np.mean(seen["predict"].argmax(axis=-1) == y)
    assert seen["logs"]["val_accuracy"] == pytest.approx(accuracy)


def test_training_goes_on_as_that_of_a_model_which_always_had_these_ranks():
    model = factorized(perceptron())
    others = []

    def copy(logs):
        fresh = compiled(keras.models.clone_model(model))
        fresh.set_weights(model.get_weights())
        others.append(fresh)

    losses = train(model, [prune_at(1), AtEpoch(1, begin=copy)]).history["loss"]
    (fresh,) = others
    assert sum(ranks(fresh)) == sum(ranks(model)) < 10
    expected = train(fresh, [], epochs=2).history["loss"]
    np.testing.assert_allclose(losses[1:], expected, rtol=1e-5)
    for one, other in zip(*map(arrays, (model.weights, fresh.weights)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_mixed_precision():
    policy = "mixed_float16"
    keras.config.set_dtype_policy(policy)
    try:
        model = factorized(perceptron(), "adam")
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    history = train(model, [prune_at(1)]).history
    assert sum(ranks(model)) < 10
    assert np.isfinite(history["loss"]).all()
    for layer in factorized_layers(model):
        assert layer.U.dtype == "float32"


def test_a_model_that_shares_the_layers_follows():
    model = factorized(perceptron())
    x, _ = classification_data((6,))
    features = keras.Model(model.inputs[0], model.get_layer("hidden").output)
    features.predict(x, verbose=0)
    train(model, [prune_at(1)])
    expected = keras.ops.convert_to_numpy(features(x))
    np.testing.assert_allclose(features.predict(x, verbose=0), expected, atol=1e-5)


def test_two_optimizers_of_one_layer_follow():
    shared = every_layer(perceptron())
    models = [
        compiled(keras.Model(shared.inputs[0], shared.outputs[0]), "adam")
        for _ in range(2)
    ]
    for model in models:
        train(model, [], epochs=1)
    train(models[0], [prune_at(0)], epochs=2)
    for model in models:
        for layer in factorized_layers(model):
            shapes = {tuple(slot.shape) for slot in slots(model, layer, "s")}
            assert shapes == {tuple(layer.s.shape)}
        assert np.isfinite(train(model, [], epochs=1).history["loss"]).all()


def test_a_model_without_optimizer_predicts_after_an_event_elsewhere():
    trained = factorized(perceptron())
    other = keras.Model(trained.inputs[0], trained.outputs[0])
    x, _ = classification_data((6,))
    before = other.predict(x, verbose=0)
    train(trained, [prune_at(1)])
    after = other.predict(x, verbose=0)
    assert np.abs(before - after).max() > 1e-3
    np.testing.assert_allclose(after, trained.predict(x, verbose=0), atol=1e-5)

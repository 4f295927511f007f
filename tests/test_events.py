"""Plans, and single events without `fit`."""

import keras
import numpy as np
import pytest
from keras import layers
from small_models import (
    arrays,
    assert_identical,
    classification_data,
    compiled,
    convnet,
    deep_perceptron,
    every_layer,
    factorized,
    factorized_layers,
    ranks,
    train,
)

import keras_dprp as dprp

BACKEND = keras.backend.backend()
ON_TENSORFLOW = BACKEND == "tensorflow"


@pytest.mark.parametrize("build", [deep_perceptron, convnet])
@pytest.mark.parametrize("size", [{"target": 0.6}, {"threshold": 0.3}])
def test_a_plan_changes_nothing_and_says_what_pruning_does(build, size):
    model = factorized(build(), "adam")
    train(model, [], epochs=1)
    before = arrays([*model.weights, *model.optimizer.variables])
    plan = dprp.plan(model, **size)
    assert_identical(arrays([*model.weights, *model.optimizer.variables]), before)
    assert dprp.prune(model, **size) == plan
    layers = {layer.path: layer for layer in factorized_layers(model)}
    assert plan.ranks == {
        path: None if layer.is_dense else layer.rank for path, layer in layers.items()
    }
    report = dprp.summary(model)
    for field in ("parameters", "macs", "parameters_kept", "macs_kept"):
        assert getattr(plan, field) == getattr(report, field)
    for path, rank in plan.ranks.items():
        assert f"{path}" in str(plan)
        assert rank is None or str(rank) in str(plan)


@pytest.mark.parametrize("metric", ["macs", "parameters", "bytes"])
def test_a_plan_says_what_becomes_of_every_layer(metric):
    model = every_layer(deep_perceptron())
    plan = dprp.plan(model, target=0.7, metric=metric)
    kernels = {each.path: each for each in plan.layers}
    assert {
        path: None if x.form == "dense" else x.rank for path, x in kernels.items()
    } == plan.ranks
    # Dense, all layers have kernels and biases, and a file has what is around them.
    lost = sum(dense - now for now, dense in (x.amounts[metric] for x in plan.layers))
    amount, kept = (getattr(plan, name) for name in (metric, f"{metric}_kept"))
    assert amount / kept - amount == pytest.approx(lost)
    lines = str(plan).splitlines()
    assert max(map(len, lines)) <= 80
    for path, layer in kernels.items():
        (line,) = (line for line in lines if path in line)
        assert layer.form in line
        assert f"{layer.rank} / {layer.full_rank}" in line
        now, dense = layer.amounts[metric]
        assert f"{now / dense:.0%}" in line


def test_a_plan_of_long_names_stays_readable():
    names = [f"a_layer_of_a_name_that_is_longer_than_others_{i}" for i in range(2)]
    inner = [layers.Dense(256, name=name) for name in names]
    model = every_layer(keras.Sequential([keras.Input((256,)), *inner]))
    text = str(dprp.plan(model, target=0.5, metric="bytes", quantization="int8"))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("pair") == text.count("/ 256") == 2
    assert "of the int8 file" in text


def test_a_budget_is_a_target_in_the_unit_of_its_metric():
    model = every_layer(deep_perceptron())
    whole = dprp.summary(model)
    for metric in ("macs", "parameters", "bytes"):
        dense = dprp.plan(model, target=1.0).bytes
        if metric != "bytes":
            dense = getattr(whole, f"dense_{metric}")
        expected = dprp.plan(model, target=0.75, metric=metric)
        assert dprp.plan(model, budget=0.75 * dense, metric=metric) == expected


def test_rounding_decides_on_no_rank():
    # 0.35 * 2880 is below 1008 in binary, and so are other shares that plans return.
    inner = [layers.Dense(24) for _ in range(5)]
    model = every_layer(keras.Sequential([keras.Input((24,)), *inner]))
    assert dprp.plan(model, target=0.35).macs == 1008
    for macs in range(240, 2640, 48):
        plan = dprp.plan(model, budget=macs)
        assert plan.macs == macs
        assert dprp.plan(model, target=plan.macs_kept) == plan


def test_a_copy_that_was_never_called_is_pruned():
    model = keras.models.clone_model(factorized(deep_perceptron(), "adam"))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    dprp.prune(model, target=0.6)
    model.train_on_batch(*classification_data())
    sizes = [variable.shape for variable in model.optimizer.variables]
    assert all(tuple(v.shape) in sizes for v in model.trainable_variables)


def test_training_goes_on_after_an_event_without_fit():
    model = factorized(deep_perceptron(), "adam")
    x, y = classification_data()
    losses = [model.train_on_batch(x, y)[0] for _ in range(10)]
    dprp.prune(model, target=0.6)
    assert sum(ranks(model)) < 6 + 24 + 4
    losses += [model.train_on_batch(x, y)[0] for _ in range(20)]
    assert losses[-1] < min(losses[:11])


def test_a_loop_of_ones_own():
    model = every_layer(deep_perceptron())
    optimizer = keras.optimizers.Adam(0.01)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    x, y = classification_data()
    losses = []
    for _ in range(2):
        step = own_step(model, loss)
        losses += [step(x, y) for _ in range(10)]
        dprp.prune(model, target=0.5)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[9]
    folded = dprp.fold(model)
    np.testing.assert_allclose(*arrays([folded(x), model(x)]), atol=1e-5)


def own_step(model, loss):
    """A training step as the backend's own documentation has it."""
    steps = {"tensorflow": _tensorflow_step, "jax": _jax_step, "torch": _torch_step}
    return steps[BACKEND](model, loss)


def _tensorflow_step(model, loss):
    import tensorflow as tf

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        variables = model.trainable_variables
        model.optimizer.apply(tape.gradient(value, variables), variables)
        return value

    return lambda x, y: float(step(x, y))


def _torch_step(model, loss):
    def step(x, y):
        model.zero_grad()
        value = loss(y, model(x, training=True))
        value.backward()
        variables = model.trainable_variables
        model.optimizer.apply([v.value.grad for v in variables], variables)
        return value.item()

    return step


def _jax_step(model, loss):
    import jax

    model.optimizer.build(model.trainable_variables)

    def compute(trainable, others, x, y):
        outputs, others = model.stateless_call(trainable, others, x, training=True)
        return loss(y, outputs), others

    @jax.jit
    def step(trainable, others, slots, x, y):
        compute_both = jax.value_and_grad(compute, has_aux=True)
        (value, others), gradients = compute_both(trainable, others, x, y)
        trainable, slots = model.optimizer.stateless_apply(slots, gradients, trainable)
        return value, trainable, others, slots

    def call(x, y):
        groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
        value, *new = step(*[[v.value for v in group] for group in groups], x, y)
        for group, values in zip(groups, new, strict=True):
            for variable, array in zip(group, values, strict=True):
                variable.assign(array)
        return float(value)

    return call


@pytest.mark.skipif(not ON_TENSORFLOW, reason="JAX's functions hold no variables.")
def test_a_function_that_holds_replaced_variables_fails():
    model = factorized(deep_perceptron(), "adam")
    step = own_step(model, model.loss)
    x, y = classification_data()
    step(x, y)
    dprp.prune(model, target=0.5)
    before = arrays(model.weights)
    with pytest.raises(Exception, match="(?i)shape|incompatible|dim|uninit"):
        step(x, y)
    assert_identical(arrays(model.weights), before)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="TensorFlow's own files.")
def test_tensorflow_saves_a_model_after_events(tmp_path):
    import tensorflow as tf

    model = factorized(deep_perceptron(), "adam")
    train(model, [], epochs=1)
    dprp.prune(model, target=0.6)
    train(model, [], epochs=1)
    x, _ = classification_data()
    expected = arrays([model(x)])[0]
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(x), expected, atol=1e-5)
    tf.saved_model.save(model, tmp_path / "saved")
    path = tf.train.Checkpoint(model=model).save(tmp_path / "checkpoint")
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    tf.train.Checkpoint(model=model).restore(path)
    np.testing.assert_allclose(arrays([model(x)])[0], expected, atol=1e-5)


@pytest.mark.parametrize("function", [dprp.plan, dprp.prune])
@pytest.mark.parametrize(
    "make, size, error, match",
    [
        (lambda: 3, {"target": 0.5}, TypeError, "Received: 3"),
        (lambda: every_layer(convnet()), {}, ValueError, "Received: none of them"),
        (lambda: every_layer(convnet()), {"target": 2}, ValueError, "target=2"),
        (lambda: every_layer(convnet()), {"target": 0.01}, ValueError, "reachable"),
        (convnet, {"target": 0.5}, ValueError, "keras_dprp.factorize"),
        (
            lambda: keras.Sequential([dprp.SVDDense(3), layers.Dense(2)]),
            {"target": 0.5},
            ValueError,
            "unbuilt layers",
        ),
    ],
)
def test_bad_input(function, make, size, error, match):
    with pytest.raises(error, match=match):
        function(make(), **size)


def test_weights_that_are_not_finite_are_an_error_that_changes_nothing():
    model = compiled(every_layer(convnet()))
    kernel = model.get_layer("logits").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    before = model.get_weights()
    with pytest.raises(ValueError, match="'logits' must be finite"):
        dprp.prune(model, target=0.5)
    assert_identical(model.get_weights(), before)

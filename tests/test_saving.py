"""Files, checkpoints and weights of any state, before, between and after events."""

import pickle

import keras
import numpy as np
import pytest
from small_models import (
    AtEpoch,
    arrays,
    assert_identical,
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

import keras_dprp as dprp

EPOCHS = 6
EVENTS = (1, 3)


def pruning():
    """A callback with two events, each of which lowers ranks."""
    start, stop = EVENTS
    return dprp.RankPruningCallback(
        target=0.45, start=start, stop=stop, events=2, verbose=0
    )


def in_order(pruning_first, pruning_callback, *others):
    if pruning_first:
        return [pruning_callback, *others]
    return [*others, pruning_callback]


def data_of(model):
    return classification_data(model.input_shape[1:])


def outputs(model):
    return keras.ops.convert_to_numpy(model(data_of(model)[0], training=False))


def evaluated(model):
    return model.evaluate(*data_of(model), batch_size=8, verbose=0, return_dict=True)


def assert_same(actual, expected):
    for one, other in zip(arrays(actual), arrays(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def assert_compiled_functions_agree_with_call(model):
    x, y = data_of(model)
    predicted = model.predict(x, verbose=0)
    np.testing.assert_allclose(predicted, outputs(model), atol=1e-5)
    accuracy = np.mean(predicted.argmax(axis=-1) == y)
    assert evaluated(model)["accuracy"] == pytest.approx(accuracy)


def assert_slots_fit(model):
    for layer in factorized_layers(model):
        for name, variable in layer.state_variables().items():
            shape = tuple(variable.shape)
            kept = slots(model, layer, name)
            assert kept
            assert {tuple(slot.shape) for slot in kept} == {shape}


def assert_trains_on(model):
    learning = [v for v in model.trainable_variables if 0 not in v.shape]
    before = arrays(learning)
    assert np.isfinite(train(model, [], epochs=1).history["loss"]).all()
    after = arrays(learning)
    assert all(
        np.abs(new - old).max() > 0 for new, old in zip(after, before, strict=True)
    )
    assert_slots_fit(model)


def functional_perceptron():
    model = deep_perceptron()
    return keras.Model(model.inputs[0], model.outputs[0])


def trained(rank=None, build=deep_perceptron, optimizer="adam"):
    """A model of some rank with compiled functions and filled optimizer slots."""
    keras.utils.set_random_seed(rank or 0)
    model = factorized(build(), optimizer, {"rank": rank})
    train(model, [], epochs=2)
    evaluated(model)
    model.predict(data_of(model)[0], verbose=0)
    return model


def saved_after(epoch, path, build=deep_perceptron, optimizer="adam"):
    """A pruned model that was saved at the end of an epoch, and what it was then."""
    model = factorized(build(), optimizer)
    callback = pruning()
    then = {}

    def save(logs):
        model.save(path)
        then["ranks"] = ranks(model)
        then["outputs"] = outputs(model)
        then["optimizer"] = arrays(model.optimizer.variables)

    train(model, [callback, AtEpoch(epoch, end=save)], epochs=EPOCHS)
    assert [entry["epoch"] for entry in callback.history] == [0, *EVENTS]
    return model, then


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "mixed_float16": lambda: keras.optimizers.Adam(0.01),
}


@pytest.fixture
def optimizer(request):
    """An optimizer; for one parameter under a global mixed precision policy."""
    policy = request.param if request.param == "mixed_float16" else "float32"
    keras.config.set_dtype_policy(policy)
    try:
        yield OPTIMIZERS[request.param]()
    finally:
        keras.config.set_dtype_policy("float32")


# Before the first event, between the two, after the last.
SAVED = [("adam", 0), ("adam", 2), ("adam", 4)]
SAVED += [("adamw", 2), ("mixed_float16", 2)]


@pytest.mark.parametrize("optimizer, epoch", SAVED, indirect=["optimizer"])
def test_a_loaded_model_trains_on_as_if_never_saved(epoch, optimizer, tmp_path):
    path = tmp_path / "model.keras"
    model, then = saved_after(epoch, path, optimizer=optimizer)
    loaded = keras.saving.load_model(path)
    assert ranks(loaded) == then["ranks"]
    np.testing.assert_array_equal(outputs(loaded), then["outputs"])
    saved = then["optimizer"]
    for one, other in zip(arrays(loaded.optimizer.variables), saved, strict=True):
        np.testing.assert_array_equal(one, other)
    train(loaded, [pruning()], epochs=EPOCHS, initial_epoch=epoch + 1)
    assert ranks(loaded) == ranks(model)
    assert_same(loaded.weights, model.weights)
    assert_same(loaded.optimizer.variables, model.optimizer.variables)


def test_a_loaded_convnet_trains_on_as_if_never_saved(tmp_path):
    path = tmp_path / "model.keras"
    model, then = saved_after(2, path, build=deep_convnet)
    loaded = keras.saving.load_model(path)
    assert ranks(loaded) == then["ranks"]
    train(loaded, [pruning()], epochs=EPOCHS, initial_epoch=3)
    assert ranks(loaded) == ranks(model)
    assert_same(loaded.weights, model.weights)


def test_saving_does_not_disturb_the_training(tmp_path):
    saved, _ = saved_after(2, tmp_path / "model.keras")
    keras.utils.set_random_seed(0)
    model = factorized(deep_perceptron(), "adam")
    keras.utils.set_random_seed(0)
    other = factorized(deep_perceptron(), "adam")
    save = AtEpoch(2, end=lambda logs: other.save(tmp_path / "other.keras"))
    train(model, [pruning()], epochs=EPOCHS)
    train(other, [pruning(), save], epochs=EPOCHS)
    assert_same(other.weights, model.weights)


@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="Keras cannot save any whole model within an epoch on JAX.",
)
def test_a_model_saved_within_the_epoch_of_an_event_loads(tmp_path):
    model = factorized(deep_perceptron(), "adam")
    then = {}

    class Save(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == EVENTS[0] and batch == 1:
                model.save(tmp_path / "model.keras")
                then["weights"] = model.get_weights()
                then["ranks"] = ranks(model)

    train(model, [pruning(), Save()], epochs=EPOCHS)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert ranks(loaded) == then["ranks"]
    assert_same(loaded.get_weights(), then["weights"])
    assert_trains_on(loaded)


def test_the_newest_weights_are_saved_within_an_epoch(tmp_path):
    model = factorized(deep_perceptron(), "adam")
    path = str(tmp_path / "{batch}.weights.h5")
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, save_weights_only=True, save_freq=1
    )
    train(model, [checkpoint], epochs=1)
    model.load_weights(tmp_path / "1.weights.h5")
    early = model.get_weights()
    model.load_weights(tmp_path / "3.weights.h5")
    late = model.get_weights()
    changed = [a for a, b in zip(early, late, strict=True) if np.any(a != b)]
    assert len(changed) == 6  # Kernels and biases.


# Weight decay.


def decayed_in_one_step(model, path):
    """Which trainable variables weight decay reaches, by path of layer and name."""
    model.save(path)
    step = {}
    for decay in (0.5, None):
        other = keras.saving.load_model(path)
        other.optimizer.weight_decay = decay
        x, y = data_of(other)
        other.train_on_batch(x, y)
        step[decay] = other.trainable_variables
    return {
        variable.path.split("/", 1)[-1]
        for variable, without in zip(step[0.5], step[None], strict=True)
        if not np.allclose(*arrays([variable, without]), atol=1e-5)
    }


DECAYING = {
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.5),
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.5),
}


def weights_of_rank(rank):
    """The weights of the second layer when it is factorised."""
    layer = dprp.factorize(deep_perceptron(), rank=rank).get_layer("second")
    return layer.get_weights()


@pytest.mark.parametrize("name", DECAYING)
def test_weight_decay_spares_the_bases_of_a_loaded_model(name, tmp_path):
    model = factorized(deep_perceptron(), DECAYING[name]())
    train(model, [], epochs=1)
    model.get_layer("second").set_weights(weights_of_rank(2))
    reached = decayed_in_one_step(model, tmp_path / "model.keras")
    names = {path.rsplit("/", 1)[-1] for path in reached}
    # One layer is dense yet.
    assert names == {"kernel", "s", "bias"}


@pytest.mark.parametrize("name", DECAYING)
@pytest.mark.parametrize("train_before", [False, True])
def test_what_the_user_excluded_from_weight_decay_stays_excluded(
    name, train_before, tmp_path
):
    # No gradient reaches a model whose loss is constant: decay alone changes it.
    model = every_layer(deep_perceptron())
    model.compile(DECAYING[name](), lambda y_true, y_pred: 0.0 * y_pred[:, 0])
    model.optimizer.exclude_from_weight_decay(var_names=["bias"])
    for layer in factorized_layers(model):
        layer.bias.assign(np.ones(layer.bias.shape))
    if train_before:
        train(model, [pruning()], epochs=EPOCHS)
        model.save_weights(tmp_path / "model.weights.h5")
        model.load_weights(tmp_path / "model.weights.h5")
    layers = factorized_layers(model)
    names = ("U", "s", "V", "bias", "kernel")
    before = {n: arrays(getattr(x, n) for x in layers) for n in names}
    train(model, [], epochs=1)
    after = {n: arrays(getattr(x, n) for x in layers) for n in before}
    for kept in ("U", "V", "bias"):
        assert_identical(after[kept], before[kept])
    for falls in ("s", "kernel"):
        for one, other in zip(after[falls], before[falls], strict=True):
            assert (np.abs(one) < np.abs(other)).all()


def test_weight_decay_spares_bases_that_an_event_has_replaced():
    model = every_layer(deep_perceptron())
    model.compile(DECAYING["adamw"](), lambda y_true, y_pred: 0.0 * y_pred[:, 0])
    at_event = {}

    def remember(logs):
        at_event["U"] = arrays(layer.U for layer in factorized_layers(model))

    callbacks = [pruning(), AtEpoch(EVENTS[-1], begin=remember)]
    train(model, callbacks, epochs=EPOCHS)
    assert_same((layer.U for layer in factorized_layers(model)), at_event["U"])


@pytest.mark.parametrize("excluded", [None, "kernel"])
@pytest.mark.parametrize("name", DECAYING)
def test_weight_decay_of_a_kernel_is_the_same_however_it_learns(name, excluded):
    model = every_layer(deep_perceptron())
    layers = factorized_layers(model)
    model.compile(DECAYING[name](), lambda y_true, y_pred: 0.0 * y_pred[:, 0])
    if excluded:
        model.optimizer.exclude_from_weight_decay(var_names=[excluded])
    norms = []
    callbacks = [
        # Factors of full rank.
        prune_at(1, target=None, threshold=0.0),
        *(AtEpoch(epoch, begin=lambda logs: norms.append(norm())) for epoch in (1, 2)),
    ]

    def norm():
        return sum(
            np.square(kernel).sum() for kernel in arrays(x.kernel for x in layers)
        )

    before = norm()
    train(model, callbacks, epochs=3)
    if excluded:
        np.testing.assert_allclose([*norms, norm()], before, rtol=1e-5)
    else:
        first, second = norms
        assert first < 0.99 * before
        expected = [first / before] * 2
        np.testing.assert_allclose([second / first, norm() / second], expected, 1e-5)


# Weights of another rank.

RANKS = [(2, None), (None, 2), (1, 3)]
BUILDS_AND_RANKS = [
    *((deep_perceptron, *each) for each in RANKS),
    (deep_convnet, 1, None),
]


@pytest.mark.parametrize("build, source_rank, rank", BUILDS_AND_RANKS)
def test_weights_of_another_state_load_into_a_trained_model(
    build, source_rank, rank, tmp_path
):
    path = tmp_path / "model.weights.h5"
    source, model = trained(source_rank, build), trained(rank, build)
    assert ranks(source) != ranks(model)
    source.save_weights(path)
    model.load_weights(path)
    assert ranks(model) == ranks(source)
    np.testing.assert_allclose(outputs(model), outputs(source), atol=1e-6)
    assert evaluated(model) == pytest.approx(evaluated(source), abs=1e-5)
    assert_same(model.optimizer.variables, source.optimizer.variables)
    assert_compiled_functions_agree_with_call(model)
    assert_trains_on(model)
    assert_trains_on(source)
    assert_same(model.weights, source.weights)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_weights_without_an_optimizer_load_into_a_trained_model(tmp_path):
    path = tmp_path / "model.weights.h5"
    source = every_layer(deep_perceptron(), rank=2)
    source.save_weights(path)
    model = trained()
    before = arrays(model.optimizer.variables)
    model.load_weights(path)
    assert ranks(model) == ranks(source)
    np.testing.assert_allclose(outputs(model), outputs(source), atol=1e-6)
    assert len(model.optimizer.variables) == len(before)
    assert_compiled_functions_agree_with_call(model)
    assert_trains_on(model)


# A model out of a file or a configuration has called none of its layers yet.


def test_weights_of_another_state_load_into_a_model_that_was_never_trained(tmp_path):
    path = tmp_path / "model.weights.h5"
    source = trained(2)
    source.save_weights(path)
    model = keras.Sequential.from_config(every_layer(deep_perceptron()).get_config())
    compiled(model, "adam")
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    assert ranks(model) == ranks(source)
    np.testing.assert_allclose(outputs(model), outputs(source), atol=1e-6)
    assert_same(model.optimizer.variables, source.optimizer.variables)
    assert_compiled_functions_agree_with_call(model)
    assert_trains_on(model)


@pytest.mark.parametrize("build", [deep_perceptron, functional_perceptron])
@pytest.mark.parametrize("load", [keras.Model.load_weights, keras.saving.load_weights])
def test_weights_of_another_state_load_into_a_loaded_model(build, load, tmp_path):
    source, model = trained(2, build), trained(None, build)
    source.save_weights(tmp_path / "model.weights.h5")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    load(loaded, tmp_path / "model.weights.h5")
    assert ranks(loaded) == ranks(source)
    np.testing.assert_allclose(outputs(loaded), outputs(source), atol=1e-6)
    assert_same(loaded.optimizer.variables, source.optimizer.variables)
    assert_trains_on(loaded)


def test_weights_load_out_of_a_whole_model_file(tmp_path):
    source, model = trained(2), trained()
    source.save(tmp_path / "model.keras")
    model.load_weights(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(model), outputs(source), atol=1e-6)
    assert_trains_on(model)


def test_a_legacy_file_of_other_ranks_says_what_to_do(tmp_path):
    source, model = trained(2), trained(3)
    path = tmp_path / "model.h5"
    source.save(path)
    with pytest.raises(ValueError, match="Load the whole model.*Received: '.*model.h5"):
        model.load_weights(path)
    model.set_weights(keras.saving.load_model(path).get_weights())
    np.testing.assert_array_equal(outputs(model), outputs(source))
    # One of the same ranks needs no advice.
    train(source, [], epochs=1)
    model.load_weights(path)
    assert np.any(outputs(model) != outputs(source))
    stock = deep_perceptron()
    with pytest.raises(ValueError, match="^Layer count|^Weight count|^Shape"):
        stock.load_weights(path)


# `set_weights`.


@pytest.mark.parametrize("build, source_rank, rank", BUILDS_AND_RANKS[1::2])
def test_weights_of_another_state_can_be_set(build, source_rank, rank):
    source, model = trained(source_rank, build), trained(rank, build)
    model.set_weights(source.get_weights())
    assert ranks(model) == ranks(source)
    np.testing.assert_allclose(outputs(model), outputs(source), atol=1e-6)
    assert_compiled_functions_agree_with_call(model)
    assert_trains_on(model)


def test_weights_of_another_state_can_be_set_in_a_loaded_model(tmp_path):
    trained().save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    source = trained(2)
    loaded.set_weights(source.get_weights())
    np.testing.assert_allclose(outputs(loaded), outputs(source), atol=1e-6)
    assert_compiled_functions_agree_with_call(loaded)
    assert_trains_on(loaded)


def with_one_array_changed(weights, index, change):
    return [change(w) if i == index else w for i, w in enumerate(weights)]


def test_weights_that_do_not_fit_are_refused_and_change_nothing():
    model, source = trained(), trained(2)
    good = source.get_weights()
    names = [variable.name for variable in model.weights]
    wrong = {
        "fewer arrays": good[:-1],
        "more arrays": [*good, good[-1]],
        "another model": trained(build=deep_convnet).get_weights(),
        "U of another rank than s": with_one_array_changed(
            good, names.index("U"), lambda w: w[:, :1]
        ),
        "U of other rows": with_one_array_changed(
            good, names.index("U"), lambda w: w[:-1]
        ),
        "another bias": with_one_array_changed(
            good, names.index("bias"), lambda w: w[:-1]
        ),
        "a scalar s": with_one_array_changed(good, names.index("s"), np.sum),
    }
    before, kept = ranks(model), model.get_weights()
    for weights in wrong.values():
        with pytest.raises(ValueError, match="shape|length|weights"):
            model.set_weights(weights)
        assert ranks(model) == before
        assert_same(model.get_weights(), kept)


def pickled(model, folder):
    return pickle.loads(pickle.dumps(model))


def cloned(model, folder):
    copy = compiled(keras.models.clone_model(model), "adam")
    copy.set_weights(model.get_weights())
    return copy


def saved_and_loaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


STATES = {
    "dense": {},
    "rank 2": {"rank": 2},
    "some layers": {"rank": 2, "filters": "second"},
    "a teacher": {"teacher": "self"},
    "penalties": {"rank": 2, **dprp.penalties.PAPER},
}


@pytest.mark.parametrize("copy", [pickled, cloned, saved_and_loaded])
@pytest.mark.parametrize("state", STATES)
def test_a_copy_of_any_state_can_be_trained_and_cut(state, copy, tmp_path):
    model = factorized(deep_perceptron(), "adam", STATES[state])
    x, y = data_of(model)
    model.train_on_batch(x, y)
    copied = copy(model, tmp_path)
    assert ranks(copied) == ranks(model)
    np.testing.assert_array_equal(outputs(copied), outputs(model))
    losses = [float(each.train_on_batch(x, y)[0]) for each in (model, copied)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    dprp.prune(copied, threshold=0.5)
    assert sum(ranks(copied)) < sum(ranks(model))
    assert np.isfinite(copied.train_on_batch(x, y)[0])


# ModelCheckpoint.


@pytest.mark.parametrize("cut", [False, True])
def test_an_activation_with_weights_comes_out_of_a_file(cut, tmp_path):
    layer = keras.layers.Dense(16, activation=keras.layers.PReLU(), name="hidden")
    network = keras.Sequential([keras.Input((6,)), layer, keras.layers.Dense(4)])
    model = factorized(network, "adam")
    x, y = classification_data()
    model.train_on_batch(x, y)
    if cut:
        dprp.prune(model, target=0.7)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_weights_of_a_layer_that_is_not_built_are_refused(tmp_path):
    model = factorized(perceptron(), "adam")
    model.save_weights(tmp_path / "of.weights.h5")

    class Unbuilt(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = dprp.SVDDense(12)

        def build(self, input_shape):
            self.built = True

    unbuilt = Unbuilt()
    unbuilt.build((None, 6))
    with pytest.raises(ValueError, match="must be built before it takes weights"):
        unbuilt.load_weights(tmp_path / "of.weights.h5")


def test_weights_above_the_full_rank_are_refused():
    source = keras.Sequential([keras.Input((6,)), dprp.SVDDense(4, rank=4)])
    factors = source.layers[0].U, source.layers[0].s, source.layers[0].V
    wide = [np.zeros((*factor.shape[:-1], 5), "float32") for factor in factors]
    with pytest.raises(ValueError, match="at most full rank.*Received: shapes.*5"):
        source.layers[0].load_own_variables(
            {**own_variables(source.layers[0]), **dict(zip("UsV", wide, strict=True))}
        )


def test_weights_of_a_layer_with_other_penalties_are_refused():
    layers = [
        dprp.SVDDense(4, rank=2, structure=each)
        for each in ("ordering", ["ordering", "orthogonality"])
    ]
    for layer in layers:
        layer.build((None, 6))
    with pytest.raises(ValueError, match="The layer had other penalties"):
        layers[0].load_own_variables(own_variables(layers[1]))


def own_variables(layer):
    store = {}
    layer.save_own_variables(store)
    return store


def training_with(callback, pruning_first, scores=None, epochs=EPOCHS):
    """A pruned training with validation, and its logs; `scores` are given ones."""
    model = factorized(deep_perceptron(), "adam")
    logs = {}

    class Scores(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = scores[epoch] if scores else float(epoch)

    class Remember(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, now=None):
            logs[epoch] = {
                **now,
                "ranks": ranks(model),
                "outputs": outputs(model),
                "evaluated": evaluated(model),
                "weights": model.get_weights(),
            }

    ordered = in_order(pruning_first, pruning(), callback)
    callbacks = [Scores(), *ordered, Remember()]
    train(model, callbacks, epochs=epochs, validation_data=data_of(model))
    return model, logs


@pytest.mark.parametrize(
    "best_only, weights_only, pruning_first",
    [
        (False, True, False),
        (True, False, True),
    ],
)
def test_every_checkpoint_gives_its_logged_metrics(
    best_only, weights_only, pruning_first, tmp_path
):
    suffix = "weights.h5" if weights_only else "keras"
    checkpoint = keras.callbacks.ModelCheckpoint(
        str(tmp_path / f"{{epoch:02d}}.{suffix}"),
        monitor="score",
        mode="max",
        save_best_only=best_only,
        save_weights_only=weights_only,
    )
    # Best before the events, between them and after them.
    scores = [1.0, 0.0, 2.0, 0.0, 3.0, 0.0]
    model, logs = training_with(checkpoint, pruning_first, scores)
    expected = [0, 2, 4] if best_only else list(range(EPOCHS))
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == [f"{e + 1:02d}.{suffix}" for e in expected]
    assert len({tuple(logs[epoch]["ranks"]) for epoch in expected}) == 3
    for epoch, path in zip(expected, files, strict=True):
        if weights_only:
            # The trained model has the lowest ranks, and functions compiled for them.
            model.load_weights(path)
            loaded = model
        else:
            loaded = keras.saving.load_model(path)
        assert ranks(loaded) == logs[epoch]["ranks"]
        for name, value in evaluated(loaded).items():
            assert value == pytest.approx(logs[epoch][f"val_{name}"], rel=1e-5)
        np.testing.assert_allclose(outputs(loaded), logs[epoch]["outputs"], atol=1e-6)


# EarlyStopping.


@pytest.mark.parametrize(
    "best, patience, pruning_first",
    # Before the events or between them; stopped early or not.
    [(0, 100, False), (2, 2, True)],
)
def test_early_stopping_restores_the_ranks_of_the_best_epoch(
    best, patience, pruning_first
):
    stopping = keras.callbacks.EarlyStopping(
        "score", mode="max", patience=patience, restore_best_weights=True
    )
    scores = [-abs(epoch - best) for epoch in range(EPOCHS)]
    model, logs = training_with(stopping, pruning_first, scores)
    assert stopping.best_epoch == best
    assert logs[max(logs)]["ranks"] != logs[best]["ranks"]
    assert ranks(model) == logs[best]["ranks"]
    assert_same(model.get_weights(), logs[best]["weights"])
    np.testing.assert_allclose(outputs(model), logs[best]["outputs"], atol=1e-6)
    assert evaluated(model) == pytest.approx(logs[best]["evaluated"], rel=1e-5)
    assert_compiled_functions_agree_with_call(model)
    assert_trains_on(model)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_a_loaded_model_restores_the_ranks_of_its_best_epoch(tmp_path):
    factorized(deep_perceptron(), "adam").save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    before = ranks(model)
    stopping = keras.callbacks.EarlyStopping(
        "macs_kept", mode="max", patience=1, restore_best_weights=True
    )
    train(model, [pruning(), stopping], epochs=EPOCHS)
    assert stopping.best_epoch == 0
    assert ranks(model) == before
    assert_compiled_functions_agree_with_call(model)

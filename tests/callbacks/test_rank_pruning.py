"""What a fit with the callback does, logs and leaves behind."""

import keras
import numpy as np
import pytest
from small_models import (
    AtEpoch,
    classification_data,
    compiled,
    convnet,
    factorized,
    factorized_layers,
    perceptron,
    prune_at,
    ranks,
    train,
)

import keras_dprp as dprp
from keras_dprp.ranks.costs import NetworkCost

METRICS = ("parameters", "macs")
# While it records warnings, pytest passes on those of Keras that are ignored elsewhere.
records_warnings = pytest.mark.filterwarnings("ignore:__array__ implementation")


def one_step_up(model, metric):
    """What is kept if one layer has one rank more, for each layer and step."""
    cost = NetworkCost(model)
    for layer in factorized_layers(model):
        if layer.rank < layer.full_rank:
            larger = cost.at(metric, {id(layer): layer.rank + 1})
            # Steps that cost nothing (the layer is dense in either case) do not count.
            if larger > cost.now(metric):
                yield larger / cost.dense(metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("target", [0.4, 0.5, 0.8])
@pytest.mark.parametrize("build", [perceptron, convnet])
def test_a_target_is_met_to_the_last_rank(build, target, metric):
    model = factorized(build(), "adam")
    callback = dprp.RankPruningCallback(
        target, metric, start=1, stop=3, every=1, verbose=0
    )
    train(model, [callback], epochs=5)
    kept = callback.history[-1][f"{metric}_kept"]
    assert kept <= target
    assert min(one_step_up(model, metric), default=1.0) > target
    # As `fold` counts it.
    assert getattr(dprp.summary(model), f"{metric}_kept") == pytest.approx(kept)


@records_warnings
def test_a_target_that_cannot_be_met_takes_the_smallest_ranks():
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(0.01, start=1, stop=1, verbose=0)
    with pytest.warns(UserWarning, match="target=0.01.*smallest ranks"):
        train(model, [callback])
    assert ranks(model) == [1, 1]


def test_a_threshold_cuts_what_holds_little():
    model = factorized(perceptron(), keras.optimizers.SGD(1e-6))
    # s² falls by four from one to the next: 6.2 % come after the second, 1.5 % after
    # the third.
    callback = dprp.RankPruningCallback(threshold=0.02, start=1, stop=1, verbose=0)
    train(model, [callback])
    assert ranks(model) == [3, 3]


def test_no_argument_is_needed():
    model = factorized(perceptron(ratio=0.2), "adam")
    callback = dprp.RankPruningCallback(verbose=0)
    train(model, [callback], epochs=12)
    epochs = [entry["epoch"] for entry in callback.history]
    assert len(epochs) > 1
    assert min(epochs[1:]) >= 3
    assert max(epochs) <= 7


def test_penalties_are_off_while_warming_up_and_at_the_end():
    model = factorized(perceptron())
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            layer = factorized_layers(model)[0]
            seen.append(bool(np.any(keras.ops.convert_to_numpy(layer.penalty_weights))))

    callback = dprp.RankPruningCallback(start=2, stop=4, every=1, verbose=0)
    train(model, [callback, Watch()], epochs=6, batch_size=32)
    assert seen == [False, False, True, True, False, False]


def test_logs_of_every_epoch():
    model = factorized(perceptron(), "adam")
    callback = dprp.RankPruningCallback(0.5, start=2, stop=3, verbose=0)
    logs = train(model, [callback], epochs=4).history
    for metric in METRICS:
        kept = logs[f"{metric}_kept"]
        assert kept[:2] == [1.0, 1.0]
        assert kept[3] == callback.history[-1][f"{metric}_kept"] < 1
    for name in ("structure_penalty", "compression_penalty"):
        *off, on, freed = logs[name]
        assert off == [0, 0]
        assert freed == 0
        assert np.isfinite(on)
    # Hoyer's is at least its weight, 0.005, times one for each of two layers.
    assert logs["compression_penalty"][2] >= 0.01


def test_history_has_every_event_and_the_start():
    model = factorized(perceptron())
    before = ranks(model)
    callback = dprp.RankPruningCallback(0.4, start=1, stop=3, every=1, verbose=0)
    train(model, [callback], epochs=5)
    first, *events = callback.history
    assert list(first["ranks"].values()) == before
    assert list(events[-1]["ranks"].values()) == ranks(model)
    assert all(set(event["ranks"]) == set(first["ranks"]) for event in events)
    totals = [sum(event["ranks"].values()) for event in callback.history]
    assert totals == sorted(totals, reverse=True)


def test_an_event_that_saves_nothing_is_skipped():
    model = factorized(perceptron())
    # The first rank at which a pair is cheaper meets the last budget at once.
    callback = dprp.RankPruningCallback(0.97, start=0, stop=8, every=1, verbose=0)
    train(model, [callback], epochs=10)
    assert [entry["epoch"] for entry in callback.history] == [0, 0]
    assert callback.history[-1]["parameters_kept"] < 0.97


def test_an_event_that_saves_too_little_waits_for_the_next():
    layers = [keras.Input((100,)), keras.layers.Dense(100)]
    model = factorized(keras.Sequential(layers))
    callback = dprp.RankPruningCallback(0.6, start=0, stop=16, every=1, verbose=0)
    train(model, [callback], epochs=18)
    kept = np.array([entry["macs_kept"] for entry in callback.history])
    assert 3 < len(kept) < 17
    # But for the last event, which only has to save anything.
    assert (kept[1:-1] <= 0.97 * kept[:-2]).all()


def test_ranks_are_multiples():
    model = factorized(convnet())
    callback = dprp.RankPruningCallback(0.7, multiple_of=4, start=1, stop=1, verbose=0)
    train(model, [callback])
    for layer in factorized_layers(model):
        assert layer.rank % 4 == 0 or layer.rank == layer.full_rank


def test_ranks_stay_above_a_minimum():
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(
        threshold=0.9, min_rank=3, start=1, stop=1, verbose=0
    )
    train(model, [callback])
    assert ranks(model) == [3, 3]


def test_frozen_layers_keep_their_ranks():
    model = dprp.factorize(perceptron())
    model.layers[0].trainable = False
    compiled(model)
    train(model, [dprp.RankPruningCallback(0.5, start=1, stop=1, verbose=0)])
    assert ranks(model)[0] == 6
    assert ranks(model)[1] < 4


def test_a_nested_model_is_pruned():
    inputs = keras.Input((6,))
    inner = dprp.factorize(perceptron())
    model = compiled(keras.Model(inputs, inner(inputs)), "adam")
    callback = dprp.RankPruningCallback(0.5, start=1, stop=1, verbose=0)
    x, y = classification_data((6,))
    train(model, [callback], x=x, y=y)
    assert sum(ranks(inner)) < 10
    assert callback.history[-1]["parameters_kept"] <= 0.5
    np.testing.assert_allclose(
        inner.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5
    )


def test_bases_are_orthonormal_after_an_event_without_new_ranks():
    model = factorized(perceptron(), "adam", {"structure": None})
    errors = {}

    def measure(logs):
        U = keras.ops.convert_to_numpy(model.layers[0].U)
        errors[len(errors)] = np.abs(U.T @ U - np.eye(U.shape[1])).max()

    callback = dprp.RankPruningCallback(1.0, start=1, stop=2, every=1, verbose=0)
    watch = [AtEpoch(1, end=measure), AtEpoch(2, begin=measure)]
    train(model, [callback, *watch], epochs=4)
    assert errors[0] > 1e-3
    assert errors[1] < 1e-5


def test_lower_ranks_that_save_nothing_are_no_event():
    model = factorized(perceptron())
    # The smallest tail of a kernel that is dense after folding: 5 of 6 costs no less.
    callback = dprp.RankPruningCallback(threshold=1e-3, start=1, stop=1, verbose=0)
    train(model, [callback])
    assert callback.history[-1]["parameters_kept"] == 1
    assert len(callback.history) == 1
    assert ranks(model) == [6, 4]


def test_events_are_told_once(capsys):
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(0.5, start=1, stop=1)
    train(model, [callback])
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "ranks changed" in x]
    assert line.startswith("Epoch 2: ranks changed from 4..6 to ")
    assert "% of the parameters and" in line


OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "AdamW": lambda: keras.optimizers.AdamW(0.01),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "Adadelta": lambda: keras.optimizers.Adadelta(0.5),
    "Adamax": lambda: keras.optimizers.Adamax(0.01),
    "Nadam": lambda: keras.optimizers.Nadam(0.01),
    "Ftrl": lambda: keras.optimizers.Ftrl(0.05),
    "Lion": lambda: keras.optimizers.Lion(0.003),
    "Lamb": lambda: keras.optimizers.Lamb(0.01),
    "Muon": lambda: keras.optimizers.Muon(0.01),
    "ScheduleFreeAdamW": lambda: keras.optimizers.ScheduleFreeAdamW(0.01),
    "Adafactor": lambda: keras.optimizers.Adafactor(0.05),
    "EMA": lambda: keras.optimizers.SGD(0.05, use_ema=True),
    "schedule": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.01, 20)
    ),
    "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains_on(name):
    model = factorized(perceptron(), OPTIMIZERS[name]())
    callback = dprp.RankPruningCallback(0.45, start=2, stop=3, every=1, verbose=0)
    losses = train(model, [callback], epochs=8).history["loss"]
    assert len(callback.history) > 1
    assert np.isfinite(losses).all()
    # No event throws the training back, give or take what the lower rank costs.
    assert max(losses[1:]) < losses[0] + 0.05


@records_warnings
@pytest.mark.parametrize("stop", [1, 2])
def test_weights_that_are_not_finite_stay_and_are_told(stop):
    model = factorized(perceptron(), keras.optimizers.SGD(float("nan")))
    before = ranks(model)
    callback = dprp.RankPruningCallback(0.5, start=1, stop=stop, verbose=0)
    with pytest.warns(UserWarning, match="the weights are not finite") as told:
        train(model, [callback])
    messages = [str(each.message) for each in told if "finite" in str(each.message)]
    for epoch, message in zip(range(1, stop + 1), messages, strict=True):
        assert f"epoch {epoch}: the weights are not finite" in message
    assert ranks(model) == before


@records_warnings
@pytest.mark.parametrize("initial_epoch", [0, 2])
def test_a_fit_that_begins_with_weights_that_are_not_finite_goes_on(initial_epoch):
    # They have diverged in a warm-up.
    model = factorized(perceptron(), keras.optimizers.SGD(float("nan")))
    stop = AtEpoch(0, end=lambda logs: setattr(model, "stop_training", True))
    train(model, [prune_at(2), stop], epochs=4)
    callback = dprp.RankPruningCallback(0.5, start=1, stop=3, every=2, verbose=0)
    with pytest.warns(UserWarning, match="the weights are not finite"):
        train(model, [callback], epochs=5, initial_epoch=initial_epoch)


@records_warnings
def test_a_fit_that_goes_on_after_the_last_event_warns():
    model = factorized(perceptron())
    with pytest.warns(UserWarning, match="after the last event.*target=0.5"):
        callback = dprp.RankPruningCallback(0.5, start=1, stop=2, verbose=0)
        train(model, [callback], epochs=5, initial_epoch=3)


def test_a_fit_that_goes_on_with_its_target_met_does_not_warn():
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(0.5, start=1, stop=2, verbose=0)
    train(model, [callback], epochs=3)
    train(model, [callback], epochs=5, initial_epoch=3)


def test_an_unbuilt_model_is_refused_or_built_by_fit():
    layers = [dprp.SVDDense(6), dprp.SVDDense(4)]
    model = compiled(keras.Sequential(layers))
    callback = dprp.RankPruningCallback(0.5, start=1, stop=1, verbose=0)
    x, y = classification_data()
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match="built model: give it a keras.Input"):
            train(model, [callback], x=x, y=y)
        model(x[:1])
    train(model, [callback], x=x, y=y)
    assert callback.history[-1]["parameters_kept"] <= 0.5


TOO_SHORT = [(1, {}), (2, {}), (3, {"start": 1, "stop": 9})]


@records_warnings
@pytest.mark.parametrize("epochs, arguments", TOO_SHORT)
def test_a_run_too_short_for_the_plan_warns_and_still_prunes(epochs, arguments):
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(0.5, verbose=0, **arguments)
    with pytest.warns(UserWarning, match="too few"):
        train(model, [callback], epochs=epochs)
    assert callback.history[-1]["parameters_kept"] <= 0.5


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"target": 0}, ValueError, "Received: target=0"),
        ({"target": 1.1}, ValueError, "Received: target=1.1"),
        ({"target": "half"}, TypeError, "Received: target='half'"),
        ({"target": True}, TypeError, "Received: target=True"),
        ({"target": float("nan")}, ValueError, "Received: target=nan"),
        ({"metric": "bytes"}, ValueError, "Received: metric='bytes'"),
        ({"threshold": 1.0}, ValueError, "Received: threshold=1.0"),
        ({"threshold": None}, TypeError, "Received: threshold=None"),
        ({"start": -1}, ValueError, "Received: start=-1"),
        ({"start": 1.5}, TypeError, "Received: start=1.5"),
        ({"start": 5, "stop": 3}, ValueError, "Received: stop=3"),
        ({"every": 0}, ValueError, "Received: every=0"),
        ({"multiple_of": 0}, ValueError, "Received: multiple_of=0"),
        ({"min_rank": 0}, ValueError, "Received: min_rank=0"),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        dprp.RankPruningCallback(**arguments)


def test_a_model_without_factorised_layers():
    model = compiled(perceptron())
    with pytest.raises(ValueError, match="keras_dprp.factorize.*Received: model"):
        train(model, [dprp.RankPruningCallback()])


def test_a_model_whose_factorised_layers_are_frozen():
    model = dprp.factorize(perceptron())
    model.trainable = False
    compiled(model)
    with pytest.raises(ValueError, match="trainable factorised layers"):
        train(model, [dprp.RankPruningCallback()])

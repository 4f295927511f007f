"""What a fit with the callback does, logs and leaves behind."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from small_models import (
    BATCH,
    arrays,
    assert_identical,
    classification_data,
    compiled,
    convnet,
    deep_perceptron,
    every_layer,
    factorized,
    factorized_layers,
    perceptron,
    prune_at,
    ranks,
    train,
    with_decaying_spectra,
)

import keras_dprp as dprp
from keras_dprp.costs import NetworkCost

METRICS = ("parameters", "macs")
# While it records warnings, pytest passes on those of Keras that are ignored elsewhere.
records_warnings = pytest.mark.filterwarnings("ignore:__array__ implementation")


def one_step_up(model, metric):
    """What is kept if one layer has one rank more, for each layer and step."""
    cost = NetworkCost(model)
    for layer in factorized_layers(model):
        if not layer.is_dense:
            larger = cost.at(metric, {layer: layer.rank + 1})
            # Steps that cost nothing (the layer is dense in either case) do not count.
            if larger > cost.now(metric):
                yield larger / cost.dense(metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("build, target", [(perceptron, 0.5), (convnet, 0.7)])
def test_a_target_is_met_to_the_last_rank(build, target, metric):
    model = factorized(build(), "adam")
    callback = dprp.RankPruningCallback(
        target, metric=metric, start=1, stop=2, events=2, verbose=0
    )
    train(model, [callback], epochs=3)
    kept = callback.history[-1][f"{metric}_kept"]
    assert kept <= target
    assert min(one_step_up(model, metric), default=1.0) > target
    # As `fold` counts it.
    assert getattr(dprp.summary(model), f"{metric}_kept") == pytest.approx(kept)


UNREACHABLE = [
    # Half of the MACs are in a layer that has no factorised form.
    (
        lambda: [layers.DepthwiseConv1D(3, depth_multiplier=4), layers.Flatten()],
        {"filters": "logits"},
        "layers that `factorize` left as they are",
    ),
    (
        lambda: [layers.Flatten(), layers.Dense(12, trainable=False, name="frozen")],
        {"filters": ".*"},
        r"frozen layers \['frozen'\]",
    ),
    (lambda: [layers.Flatten()], {"filters": ".*"}, "`min_rank`"),
]


@pytest.mark.parametrize("inner, factorize, cause", UNREACHABLE)
def test_a_target_out_of_reach_is_an_error_before_a_weight_changes(
    inner, factorize, cause
):
    model = keras.Sequential(
        [keras.Input((6, 4)), *inner(), layers.Dense(8, name="logits")]
    )
    model = compiled(dprp.factorize(model, **factorize))
    x, y = classification_data((6, 4))
    before = model.get_weights()
    with pytest.raises(ValueError, match="reachable.*Received: a target of 0.05") as e:
        train(model, [prune_at(1, target=0.05)], x=x, y=y)
    assert re.search(cause, str(e.value))
    assert_identical(model.get_weights(), before)
    assert arrays([model.optimizer.iterations]) == [0]
    # The share it names is the smallest one.
    share = float(re.search(r"ranks leave (\d\.\d+)", str(e.value))[1])
    train(model, [prune_at(1, target=share + 0.001)], x=x, y=y, epochs=2)
    with pytest.raises(ValueError, match="reachable"):
        dprp.plan(model, target=share - 0.001)


def test_a_depthwise_separable_network_keeps_its_head():
    inner = [
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.Conv2D(8, 1, name="pointwise"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, name="head"),
    ]
    model = keras.Sequential([keras.Input((5, 5, 8)), *inner])
    model = compiled(dprp.factorize(model))
    assert [layer.name for layer in factorized_layers(model)] == ["pointwise"]
    with pytest.raises(ValueError, match="reachable.*left as they are"):
        train(model, [dprp.RankPruningCallback(0.2, metric="parameters", start=0)])


def test_a_threshold_cuts_what_holds_little():
    model = factorized(perceptron(), keras.optimizers.SGD(1e-6))
    # s² falls by four from one to the next: 6.2 % come after the second, 1.5 % after
    # the third.
    callback = dprp.RankPruningCallback(threshold=0.02, start=1, stop=1, verbose=0)
    train(model, [callback])
    assert ranks(model) == [3, 3]


def test_no_argument_is_needed():
    network = with_decaying_spectra(deep_perceptron())
    model = factorized(network, keras.optimizers.SGD(1e-3))
    callback = dprp.RankPruningCallback(verbose=0)
    # All weights hardly move: every cut that costs no loss is one to go on from.
    x = np.zeros((BATCH, 6), "float32")
    train(model, [callback], epochs=8, x=x, y=np.zeros(BATCH))
    assert min(entry["epoch"] for entry in callback.history[1:]) == 4
    assert callback.history[-1]["parameters_kept"] < 0.5


class Loss(keras.callbacks.Callback):
    """Has every epoch end with a given loss."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses

    def on_epoch_end(self, epoch, logs=None):
        logs["loss"] = self.losses[epoch]


@pytest.mark.parametrize("later, epochs", [(0.1, [0, 4, 5, 6]), (0.9, [0, 4])])
def test_ranks_fall_as_long_as_the_loss_comes_back(later, epochs):
    # No event takes all at once that may go.
    model = factorized(with_decaying_spectra(deep_perceptron(), 0.9), "adam")
    losses = [1.0, 0.5, 0.2, 0.1, *[later] * 4]
    callback = dprp.RankPruningCallback(verbose=0, events=4)
    train(model, [Loss(losses), callback], epochs=8)
    assert [entry["epoch"] for entry in callback.history] == epochs


@records_warnings
@pytest.mark.parametrize(
    "build, first",
    [({}, 1), ({"rank": 2}, 0), ({"rank": 2}, 1)],
    ids=["one event", "before the first", "cut already"],
)
def test_a_fit_that_knows_no_loss_to_come_back_to_says_so(build, first):
    model = factorized(deep_perceptron(), "adam", build)
    before = ranks(model)
    callback = dprp.RankPruningCallback(verbose=0, start=1, events=1)
    with pytest.warns(UserWarning, match=f"No ranks fall.*begins in epoch {first}"):
        train(model, [callback], epochs=3, initial_epoch=first)
    assert ranks(model) == before


def test_only_events_count_as_cuts_of_a_network_with_penalties():
    network = with_decaying_spectra(deep_perceptron(), 0.9)
    penalties = {"compression": dprp.penalties.Hoyer(1e-9)}
    model = factorized(network, "adam", penalties)
    # Epoch 5 begins with a low loss and no event: the loss to come back to stays 0.1.
    losses = [1.0, 0.5, 0.2, 0.1, 0.01, 0.1, 0.1, 0.1]
    callback = dprp.RankPruningCallback(verbose=0, start=4, stop=6, events=2)
    train(model, [Loss(losses), callback], epochs=8)
    assert [entry["epoch"] for entry in callback.history] == [0, 4, 6]


def test_penalties_act_from_the_first_event_to_the_last():
    model = factorized(perceptron(), "sgd", dprp.penalties.PAPER)
    seen, logs = [], []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, now=None):
            layer = factorized_layers(model)[0]
            seen.append(bool(np.any(keras.ops.convert_to_numpy(layer.penalty_values))))
            logs.append(now)

    # Both layers are factorised at the first, whatever the threshold cuts off.
    callback = dprp.RankPruningCallback(
        threshold=0.0, start=1, stop=3, events=2, verbose=0
    )
    data = classification_data()
    train(model, [callback, Watch()], epochs=4, validation_data=data)
    assert seen == [False, True, True, False]
    assert not any(layer.is_dense for layer in factorized_layers(model))
    # Hoyer's is at least its weight, 0.005, times one for each of two layers.
    amounts = [entry["compression_penalty"] for entry in logs]
    assert amounts[0] == amounts[3] == 0
    assert min(amounts[1:3]) >= 0.01
    # They steer the training; what is watched does not jump where they set in.
    losses = [entry["val_loss"] for entry in logs]
    assert abs(losses[1] - losses[0]) < 0.05
    model.evaluate(*data, verbose=0)


def test_the_papers_objective_needs_no_target():
    model = factorized(perceptron(), "adam", dprp.penalties.PAPER)
    callback = dprp.RankPruningCallback(start=1, stop=3, events=2, verbose=0)
    train(model, [callback], epochs=4)
    assert not any(layer.is_dense for layer in factorized_layers(model))


def test_a_plain_fit_pays_no_penalties():
    model = factorized(perceptron(), "sgd", dprp.penalties.PAPER)
    plain = factorized(perceptron(), "sgd")
    plain.set_weights([w for w in model.get_weights() if w.shape not in ((), (3,))])
    losses = [train(each, [], epochs=2).history["loss"] for each in (model, plain)]
    assert losses[0] == losses[1]


def test_logs_of_every_epoch():
    model = factorized(perceptron(), "adam")
    callback = prune_at(2, 0.5)
    logs = train(model, [callback], epochs=3).history
    for metric in METRICS:
        kept = logs[f"{metric}_kept"]
        assert kept[:2] == [1.0, 1.0]
        assert kept[2] == callback.history[-1][f"{metric}_kept"] < 1
    # Nothing is told of penalties where there are none.
    assert set(logs) == {"loss", "accuracy", "macs_kept", "parameters_kept"}


def test_a_fit_meets_a_budget_in_bytes(capsys):
    inner = [layers.Dense(64, "relu") for _ in range(3)]
    model = factorized(keras.Sequential([keras.Input((6,)), *inner, layers.Dense(4)]))
    pruning = dprp.RankPruningCallback(
        budget=12_000, metric="bytes", quantization="int8", start=1, stop=1
    )
    logs = train(model, [pruning], epochs=2).history["bytes_kept"]
    assert logs == [1.0, pruning.history[-1]["bytes_kept"]]
    # A rank more is 140 bytes.
    assert 11_600 < pruning.cost.now("bytes") <= 12_000
    assert f"{logs[-1]:.1%} of the bytes of the file" in capsys.readouterr().out


@pytest.mark.parametrize("quantization", [None, "float16", "dynamic", "int8"])
def test_a_budget_of_bytes_out_of_reach_names_the_smallest_file(quantization):
    model = factorized(deep_perceptron())
    size = {"metric": "bytes", "quantization": quantization}
    with pytest.raises(ValueError, match="names and tables included") as error:
        dprp.plan(model, budget=100, **size)
    smallest = int(
        re.search(r"of it: ([\d,]+) bytes", str(error.value))[1].replace(",", "")
    )
    assert dprp.prune(model, budget=smallest, **size).bytes <= smallest
    with pytest.raises(ValueError, match="reachable"):
        dprp.plan(model, budget=smallest - 1, **size)


def test_history_has_every_event_and_the_start():
    model = factorized(perceptron())
    before = ranks(model)
    callback = dprp.RankPruningCallback(0.45, start=1, stop=2, events=2, verbose=0)
    train(model, [callback], epochs=3)
    first, *events = callback.history
    assert list(first["ranks"].values()) == before
    assert list(events[-1]["ranks"].values()) == ranks(model)
    assert all(set(event["ranks"]) == set(first["ranks"]) for event in events)
    totals = [sum(event["ranks"].values()) for event in callback.history]
    assert totals == sorted(totals, reverse=True)


def test_ranks_are_multiples():
    model = factorized(convnet())
    callback = dprp.RankPruningCallback(0.9, multiple_of=2, start=1, stop=1, verbose=0)
    train(model, [callback])
    for layer in factorized_layers(model):
        assert layer.is_dense or layer.rank % 2 == 0
    assert not all(layer.is_dense for layer in factorized_layers(model))


def test_ranks_stay_above_a_minimum():
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(
        threshold=0.9, min_rank=3, start=1, stop=1, verbose=0
    )
    train(model, [callback])
    assert ranks(model) == [3, 3]


def test_frozen_layers_are_counted_and_left_alone():
    model = every_layer(perceptron())
    model.layers[0].trainable = False
    compiled(model)
    frozen = arrays(model.layers[0].variables)
    callback = prune_at(1, 0.8)
    train(model, [callback], epochs=2)
    assert ranks(model)[0] == 6
    assert ranks(model)[1] < 4
    assert_identical(arrays(model.layers[0].variables), frozen)
    # As the folded network counts it, all of its parameters.
    parameters = sum(np.prod(w.shape) for w in dprp.fold(model).weights)
    kept = parameters / perceptron().count_params()
    assert callback.history[-1]["parameters_kept"] == pytest.approx(kept)


def test_a_nested_model_is_pruned():
    inputs = keras.Input((6,))
    inner = every_layer(perceptron())
    model = compiled(keras.Model(inputs, inner(inputs)), "adam")
    callback = dprp.RankPruningCallback(0.5, start=1, stop=1, verbose=0)
    x, y = classification_data((6,))
    train(model, [callback], x=x, y=y)
    assert sum(ranks(inner)) < 10
    assert callback.history[-1]["macs_kept"] <= 0.5
    np.testing.assert_allclose(
        inner.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5
    )


def test_events_are_told_once(capsys):
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(0.5, start=1, stop=1)
    train(model, [callback])
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "ranks changed" in x]
    assert line.startswith("Epoch 2: ranks changed from 4..6 to ")
    assert "% of the parameters and" in line


@records_warnings
def test_weights_that_are_not_finite_stay_and_are_told():
    model = factorized(perceptron(), keras.optimizers.SGD(float("nan")))
    before = ranks(model)
    with pytest.warns(UserWarning, match="epoch 1: The weights of layer 'hidden' must"):
        train(model, [prune_at(1, 0.5)], epochs=2)
    assert ranks(model) == before


@pytest.mark.parametrize("scale", [1e-30, 1e18, 1e30])
def test_kernels_of_any_size_stay_finite(scale):
    model = factorized(perceptron())
    layer = factorized_layers(model)[0]
    kernel = arrays([layer.kernel])[0] * np.float32(scale)
    layer.kernel.assign(kernel)
    dprp.prune(model, target=0.6)
    (after,) = arrays([layer.kernel])
    assert np.isfinite(after).all()
    np.testing.assert_allclose(
        np.linalg.norm(after / scale), np.linalg.norm(kernel / scale), rtol=0.2
    )


@records_warnings
@pytest.mark.parametrize(
    "arguments", [{"start": 7}, {"stop": 2, "threshold": 0.1}, {"start": 1, "stop": 2}]
)
@pytest.mark.parametrize("initial_epoch", [0, 1])
def test_a_fit_too_short_for_all_events_warns(arguments, initial_epoch):
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(verbose=0, events=2, **arguments)
    with pytest.warns(UserWarning, match="must be below 2.*Received: start=.*stop="):
        train(model, [callback], epochs=2, initial_epoch=initial_epoch)


@records_warnings
def test_epochs_of_a_fit_for_each_are_absolute():
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(0.5, start=2, stop=3, events=2, verbose=0)
    kept = []
    # The first of them is too short, and says so; the others go on.
    with pytest.warns(UserWarning) as warned:
        for epoch in range(4):
            fit = train(model, [callback], epochs=epoch + 1, initial_epoch=epoch)
            kept += fit.history["macs_kept"]
    told = [each for each in warned if "must be below" in str(each.message)]
    assert len(told) == 1
    assert kept[:2] == [1.0, 1.0]
    assert kept[2] < 1
    assert kept[3] <= 0.5


class SlotsInDicts(keras.optimizers.SGD):
    """Keeps what it remembers where no one can follow it."""

    def build(self, variables):
        super().build(variables)
        self.own = {
            v.path: self.add_variable_from_reference(v, "own") for v in variables
        }


def test_an_optimizer_that_cannot_follow_is_named_before_training():
    model = factorized(perceptron(), SlotsInDicts(0.1))
    before = model.get_weights()
    with pytest.raises(ValueError, match="Received: SlotsInDicts with slots in.*own"):
        train(model, [prune_at(1)])
    assert_identical(model.get_weights(), before)


def test_an_activation_that_is_a_layer_not_yet_built():
    inner = [
        layers.Conv2D(6, 3, activation=layers.PReLU(shared_axes=[1, 2]), name="conv"),
        layers.Flatten(),
        layers.Dense(4),
    ]
    model = keras.Sequential([keras.Input((5, 5, 2)), *inner])
    model = compiled(dprp.factorize(model), "adam")
    losses = train(model, [prune_at(1, 0.7)]).history["loss"]
    assert np.isfinite(losses).all()
    assert not model.get_layer("conv").is_dense


@records_warnings
def test_a_fit_that_goes_on_after_the_last_event_warns():
    model = factorized(perceptron())
    with pytest.warns(UserWarning, match="after the last event.*are asked for"):
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
    assert callback.history[-1]["macs_kept"] <= 0.5


@records_warnings
def test_a_run_too_short_for_a_dense_start_warns_and_still_prunes():
    model = factorized(perceptron())
    callback = dprp.RankPruningCallback(0.5, verbose=0)
    with pytest.warns(UserWarning, match="too few"):
        train(model, [callback], epochs=1)
    assert callback.history[-1]["macs_kept"] <= 0.5


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"target": 0}, ValueError, "Received: target=0"),
        ({"target": 1.1}, ValueError, "Received: target=1.1"),
        ({"target": "half"}, TypeError, "Received: target='half'"),
        ({"target": True}, TypeError, "Received: target=True"),
        ({"target": float("nan")}, ValueError, "Received: target=nan"),
        ({"metric": "flops"}, ValueError, "Received: metric='flops'"),
        ({"metric": "bytes"}, ValueError, "'bytes'` needs a `target` or a `budget`"),
        ({"quantization": "int8"}, ValueError, "Received: metric='macs', quantizat"),
        ({"quantization": "int4"}, ValueError, "Received: quantization='int4'"),
        ({"threshold": 1.0}, ValueError, "Received: threshold=1.0"),
        ({"budget": 0}, ValueError, "Received: budget=0"),
        ({"target": 0.5, "budget": 9}, ValueError, "target=0.5, budget=9"),
        ({"start": -1}, ValueError, "Received: start=-1"),
        ({"start": 1.5}, TypeError, "Received: start=1.5"),
        ({"start": 5, "stop": 3}, ValueError, "Received: stop=3"),
        ({"events": 0}, ValueError, "Received: events=0"),
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
    model = every_layer(perceptron())
    model.trainable = False
    compiled(model)
    with pytest.raises(ValueError, match="trainable factorised layers"):
        train(model, [dprp.RankPruningCallback()])

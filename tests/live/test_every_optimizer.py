"""Every optimizer trains dense networks as stock ones, and follows new ranks."""

from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
from every_optimizer import OPTIMIZERS, VARIANTS
from small_models import (
    AtEpoch,
    arrays,
    as_matrix,
    assert_identical,
    compiled,
    convnet,
    every_layer,
    factorized_layers,
    ranks,
    stock_weights,
    train,
    with_decaying_spectra,
)

import keras_dprp as dprp

FACTORS = ("U", "s", "V")
STATE = ("kernel", *FACTORS)


def linear(x):
    return x


# How what the optimizers keep of a gradient follows it: by the map from one gradient
# to the other, by its square, by its absolute value.
FOLLOWS = {
    "momentums": linear,
    "_momentums": linear,
    "_m": linear,
    "_average_gradients": linear,
    "_accumulated_gradients": linear,
    "_velocities": np.square,
    "_velocity_hats": np.square,
    "adam_velocities": np.square,
    "_v": np.square,
    "_accumulators": np.square,
    "_accumulated_grads": np.square,
    "_u": np.abs,
}


@dataclass
class Moment:
    """A layer's variables and slots, each a dict by name; slots by kind before that."""

    values: dict
    slots: dict


@dataclass
class Run:
    """A training of the stock model, and of one that two events have cut."""

    optimizer: keras.optimizers.Optimizer
    stock: tuple = ()
    dense: list = field(default_factory=list)
    sizes: tuple = ()
    ranks: list = field(default_factory=list)
    events: list = field(default_factory=list)
    losses: list = field(default_factory=list)


@pytest.fixture(scope="module", params=OPTIMIZERS | VARIANTS)
def run(request):
    keras.utils.set_random_seed(0)
    make = (OPTIMIZERS | VARIANTS)[request.param]
    stock = with_decaying_spectra(convnet())
    model = every_layer(stock)
    for each in (stock, model):
        compiled(each, make())
    result = Run(model.optimizer)
    weights: list = []
    # Before the end of training, where averages of weights take their place.
    look = AtEpoch(1, end=lambda logs: weights.extend(stock_weights(stock)))
    losses = train(stock, [look], epochs=2).history["loss"]
    result.stock = losses, weights

    def cut(threshold):
        if not result.events:
            result.dense = stock_weights(model)
            result.sizes = size_of_slots(stock), size_of_slots(model)
        before = moments(model)
        dprp.prune(model, threshold=threshold)
        result.events.append(list(zip(before, moments(model), strict=True)))
        result.ranks.append(ranks(model))

    events = [AtEpoch(2, lambda logs: cut(0.1)), AtEpoch(3, lambda logs: cut(0.3))]
    result.losses = train(model, events, epochs=4).history["loss"]
    return result


def size_of_slots(model):
    return sum(np.prod(v.shape) for v in model.optimizer.variables if v.ndim)


def moments(model):
    result = []
    for layer in factorized_layers(model):
        variables = dict(zip(STATE, layer.state_variables().values(), strict=True))
        slots: dict = {}
        for name, variable in variables.items():
            for kind, slot in slots_of(model.optimizer, variable):
                slots.setdefault(kind, {})[name] = slot
        values = dict(zip(variables, arrays(variables.values()), strict=True))
        result.append(Moment(values, slots))
    return result


def slots_of(optimizer, variable):
    """Pairs of the kind of a slot and its value."""
    for inner in (
        getattr(optimizer, "inner_optimizer", None),
        *getattr(optimizer, "optimizers", ()),
    ):
        if inner is not None:
            yield from slots_of(inner, variable)
    trained = [v is variable for v in optimizer._trainable_variables]
    if True in trained:
        for kind, value in vars(optimizer).items():
            if kind in ("_trainable_variables", "_variables"):
                continue
            if isinstance(value, list) and len(value) == len(trained):
                slot = value[trained.index(True)]
                if isinstance(slot, keras.Variable) and slot.ndim:
                    yield kind, arrays([slot])[0]


def test_dense_epochs_are_the_stock_models(run):
    losses, weights = run.stock
    assert run.losses[:2] == losses
    assert losses[0] != losses[1]
    assert_identical(run.dense, weights)


def test_a_dense_network_needs_no_more_memory(run):
    stock, ours = run.sizes
    assert ours == stock


def test_slots_have_the_shapes_of_their_variables(run):
    for before, after in run.events[0] + run.events[1]:
        for moment in (before, after):
            for kind, slots in moment.slots.items():
                for name, slot in slots.items():
                    assert np.isfinite(slot).all(), (kind, name)
                    shape = moment.values[name].shape
                    if kind == "_r":
                        shape = shape[:-1]
                    elif kind == "_c":
                        shape = (*shape[:-2], shape[-1])
                    assert slot.shape == shape, (kind, name)
        # An event does not make slots, nor lose any.
        assert {k: set(x) for k, x in before.slots.items()} == {
            k: set(x) for k, x in after.slots.items()
        }


def test_what_kernels_remember_is_mapped_to_their_factors(run):
    assert_slots_follow(run, 0, from_kernel)


def test_what_factors_remember_is_mapped_to_lower_ranks(run):
    first, second = run.ranks
    assert sum(first) > sum(second)
    assert_slots_follow(run, 1, from_factors)


def test_no_event_throws_the_training_back(run):
    assert np.isfinite(run.losses).all()
    assert max(run.losses[1:]) < run.losses[0] + 0.05


@pytest.mark.parametrize("name", ["Ftrl", "Adagrad", "RMSprop", "Adafactor", "Muon"])
def test_kernels_that_are_zero_stay_finite(name):
    model = convnet(hidden=24)
    for layer in (model.get_layer("conv"), model.get_layer("hidden")):
        layer.kernel.assign(np.zeros(layer.kernel.shape))
    model = compiled(every_layer(model), OPTIMIZERS[name]())
    pruning = dprp.RankPruningCallback(target=0.5, start=1, stop=3, events=2, verbose=0)
    losses = train(model, [pruning], epochs=5).history["loss"]
    assert np.isfinite(losses).all()
    for variable in arrays(model.optimizer.variables):
        assert np.isfinite(variable).all()


def assert_slots_follow(run, event, carry):
    mapped = 0
    for before, after in run.events[event]:
        expected = carried(run.optimizer, before, after, carry)
        for kind, slots in after.slots.items():
            for name in expected[kind]:
                if name in slots:
                    new = expected[kind][name]
                    scale = np.abs(new).max() or 1.0
                    np.testing.assert_allclose(
                        slots[name] / scale, new / scale, atol=2e-4, err_msg=kind
                    )
                    mapped += np.any(new != 0)
    # One optimizer has the bases and another one s: there is nothing to go by.
    apart = event and isinstance(run.optimizer, keras.optimizers.MultiOptimizer)
    stateless = not run.events[event][0][1].slots
    assert mapped or stateless or apart


def carried(optimizer, before, after, carry):
    """What the slots should be after an event, by kind and name of the variable."""
    kinds = set(after.slots)
    old, new = before.slots, {}
    values = {name: after.values[name].astype("float64") for name in FACTORS}
    for kind in kinds & set(FOLLOWS):
        if set(old[kind]) >= learned(before):
            new[kind] = carry(before, values, old[kind], FOLLOWS[kind])
        else:
            new[kind] = {name: np.zeros(values[name].shape) for name in FACTORS}
    if "_average_gradients" in kinds:
        # RMSprop, centered: of squares and means it is the variances that follow.
        variances = {
            name: old["_velocities"][name] - np.square(old["_average_gradients"][name])
            for name in learned(before)
        }
        variances = carry(before, values, variances, np.square)
        new["_velocities"] = {
            name: variances[name] + np.square(new["_average_gradients"][name])
            for name in FACTORS
        }
    if isinstance(optimizer, keras.optimizers.Muon):
        # Where s has Adam's squares and the kernel had none, both begin anew.
        if "kernel" in learned(before) and "kernel" not in old["adam_velocities"]:
            new["momentums"]["s"] = np.zeros(values["s"].shape)
        elif "kernel" not in learned(before):
            for kind in kinds:
                new[kind]["s"] = np.zeros(values["s"].shape)
    if isinstance(optimizer, keras.optimizers.ScheduleFreeAdamW):
        # The weights before averaging, by a name that says something else.
        new["_momentums"] = averages(before, values, old["_momentums"])
    if "_model_variables_moving_average" in kinds:
        average = old["_model_variables_moving_average"]
        new["_model_variables_moving_average"] = averages(before, values, average)
    if "_accumulated_delta_vars" in kinds:
        new["_accumulated_delta_vars"] = {n: 0 * values[n] for n in FACTORS}
    if "_linears" in kinds:
        # What has Ftrl compute the weights that there are.
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        new["_linears"] = {
            n: -values[n] * np.sqrt(new["_accumulators"][n]) / rate for n in FACTORS
        }
    if "_r" in kinds:
        new["_r"], new["_c"] = (
            {n: new["_v"][n].mean(axis) for n in ("U", "V")} for axis in (-1, -2)
        )
    return new


def learned(moment):
    return {name for name, value in moment.values.items() if value.size}


def from_kernel(before, values, old, power):
    """G V diag(s), diag(Uᵀ G V), Gᵀ U diag(s)."""
    U, s, V = values["U"], values["s"], values["V"]
    G = as_matrix(old["kernel"].astype("float64"))
    return {
        "U": G @ power(V * s),
        "s": np.einsum("mr,mn,nr->r", power(U), G, power(V)),
        "V": G.T @ power(U * s),
    }


def maps(before, values):
    """How the new bases are made of the old ones: U = old U @ the first, V likewise."""
    return [
        np.linalg.lstsq(before.values[n].astype("float64"), values[n], rcond=None)[0]
        for n in ("U", "V")
    ]


def from_factors(before, values, old, power):
    U_map, V_map = maps(before, values)
    ratio = values["s"] / before.values["s"].astype("float64")[:, None]
    return {
        "U": old["U"] @ power(ratio * V_map),
        "s": old["s"] @ power(U_map * V_map) if "s" in old else 0 * values["s"],
        "V": old["V"] @ power(ratio * U_map),
    }


def averages(before, values, old):
    if "kernel" in learned(before):
        return values
    U_map, V_map = maps(before, values)
    full = [np.linalg.pinv(each) for each in (U_map, V_map)]
    return {
        "U": old["U"] @ U_map,
        "s": np.einsum("r,kr,kr->k", old["s"], *full),
        "V": old["V"] @ V_map,
    }

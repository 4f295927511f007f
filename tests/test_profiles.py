"""Budgets in milliseconds, by profiles whose times are known."""

import dataclasses
import importlib.metadata
import json

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st
from keras import layers
from small_models import (
    classification_data,
    compiled,
    every_layer,
    factorized,
    factorized_layers,
    prune_at,
    train,
    with_decaying_spectra,
)

import keras_dprp as dprp
from keras_dprp.costs import NetworkCost, pair_is_cheaper
from keras_dprp.profiles import FORMAT


def network(size=24, count=3, decay=0.9):
    inner = [layers.Dense(size) for _ in range(count)]
    model = keras.Sequential([keras.Input((size,)), *inner])
    return every_layer(with_decaying_spectra(model, decay))


def images():
    inner = [
        layers.Conv2D(8, 3, padding="same", name="conv"),
        layers.Flatten(),
        layers.Dense(4, name="logits"),
    ]
    return every_layer(keras.Sequential([keras.Input((6, 6, 8)), *inner]))


def write_profile(path, model, milliseconds, step=1, other=0.0, **content):
    """A profile of all operations of a model, ranks a step apart."""
    cost, operations = NetworkCost(model), {}
    for layer, own in cost.layers.items():
        pays = [r for r in range(1, layer.full_rank + 1) if pair_is_cheaper(layer, r)]
        ranks = sorted({*range(step, max(pays), step), max(pays)})
        for rank in [None, *ranks]:
            for shape in own.input_shapes:
                operations |= dict.fromkeys(layer.matrix.operations(shape, rank))
    dense = other + sum(
        milliseconds(each)
        for layer, own in cost.layers.items()
        for shape in own.input_shapes
        for each in layer.matrix.operations(shape)
    )
    content = {
        "format": FORMAT,
        "quantization": None,
        "device": {"name": "none"},
        "network": {"file": "network.tflite", "milliseconds": dense},
        "operations": [
            {**dataclasses.asdict(each), "milliseconds": milliseconds(each)}
            for each in operations
        ],
        **content,
    }
    path.write_text(json.dumps(content))
    return str(path)


def by_macs(operation):
    return operation.macs / 1000


def in_steps_of_8(operation):
    """As on processors that work on eight channels at a time."""
    steps = [-(-n // 8) * 8 for n in (operation.channels, operation.filters)]
    return 1e-3 * np.prod(operation.outputs) * np.prod(steps)


def times(model, profile):
    return dprp.plan(model, target=0.5, metric="latency", profile=profile)


@hypothesis.given(st.floats(0.25, 1.0))
def test_where_time_is_macs_ranks_are_those_of_macs(tmp_path_factory, target):
    model = network()
    path = tmp_path_factory.mktemp("profile") / "p.json"
    profile = write_profile(path, model, by_macs)
    # Rounded times must not decide on the last rank.
    by_time = dprp.plan(model, target=target + 1e-9, metric="latency", profile=profile)
    assert by_time.ranks == dprp.plan(model, target=target).ranks
    assert by_time.latency_kept == pytest.approx(by_time.macs_kept)


@pytest.mark.parametrize("target", [0.4, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("other", [0.0, 0.2])
def test_a_target_is_met_from_below_by_ranks_at_the_ends_of_steps(
    target, other, tmp_path
):
    model = network(48)
    profile = write_profile(tmp_path / "p.json", model, in_steps_of_8, 8, other)
    plan = dprp.plan(model, target=target, metric="latency", profile=profile)
    assert plan.latency_kept <= target + 1e-9
    for rank in plan.ranks.values():
        # 23 is the largest rank of which a pair has fewer MACs.
        assert rank is None or rank % 8 == 0 or rank == 23
    assert "of the latency" in str(plan)


def test_ranks_in_one_step_take_as_long(tmp_path):
    model = network(48)
    profile = write_profile(tmp_path / "p.json", model, in_steps_of_8, 8)
    budgets = 2.4, 3.0, 3.1
    first, same, more = (
        dprp.plan(model, metric="latency", profile=profile, budget=budget)
        for budget in budgets
    )
    assert set(first.ranks.values()) == {8}
    assert same.ranks == first.ranks
    assert sorted(more.ranks.values()) == [8, 8, 16]


def test_a_layer_of_which_a_pair_is_slower_stays_dense(tmp_path):
    model = images()

    def milliseconds(operation):
        # Of kernels of 3 x 1 and 1 x 3 this device makes nothing.
        slow = operation.kernel and operation.kernel != (3, 3)
        return by_macs(operation) * (100 if slow else 1)

    profile = write_profile(tmp_path / "p.json", model, milliseconds)
    ranks = dprp.plan(model, target=0.97, metric="latency", profile=profile).ranks
    (conv,) = (rank for path, rank in ranks.items() if "conv" in path)
    (logits,) = (rank for path, rank in ranks.items() if "logits" in path)
    assert conv is None
    assert logits is not None
    assert dprp.plan(model, target=0.5).ranks != ranks


def test_a_fit_meets_a_budget_in_milliseconds(tmp_path):
    inner = [layers.Dense(24, "tanh"), layers.Dense(24, "tanh"), layers.Dense(4)]
    model = factorized(keras.Sequential([keras.Input((6,)), *inner]))
    profile = write_profile(tmp_path / "p.json", model, in_steps_of_8, other=0.1)
    dense = NetworkCost(model, dprp.profiles.read(profile)).dense("latency")
    pruning = dprp.RankPruningCallback(
        budget=0.85 * dense, metric="latency", profile=profile, start=1, verbose=0
    )
    train(model, [pruning], 2, *classification_data((6,)))
    assert not all(layer.is_dense for layer in factorized_layers(model))
    assert pruning.cost.now("latency") <= 0.85 * dense
    assert pruning.epoch_logs[-1]["latency_kept"] <= 0.85


def remove(content, key):
    return {name: value for name, value in content.items() if name != key}


def one(key, value):
    def damage(content):
        content["operations"][3][key] = value
        return content

    return damage


def no_time_at_all(content):
    return {**content, "network": {"milliseconds": 0.0}}


def of_another_network(content):
    content["operations"] = content["operations"][-1:]
    return content


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda content: {**content, "format": 0}, "must be of format 1.*format 0"),
        (lambda content: [], "must be of format 1"),
        (lambda content: remove(content, "operations"), "damaged.*operations"),
        (lambda content: {**content, "operations": [{}]}, "damaged"),
        (one("milliseconds", None), "timed on the device.*1 of .* times are missing"),
        (one("milliseconds", "3.5"), "damaged.*must be a number.*'3.5'"),
        (one("milliseconds", float("nan")), "finite times.*Received: .*nan ms"),
        (one("milliseconds", -1.0), "at least 0 ms.*Received: .*-1.0 ms"),
        (one("channels", None), "damaged.*`channels` must be an int.*None"),
        (no_time_at_all, "of the network of more.*Received: .*0.0 ms"),
        (of_another_network, "must be of this network.*Received: none"),
        (lambda content: {**content, "device": None}, "damaged"),
        (lambda content: {**content, "quantization": "int4"}, "damaged.*'int4'"),
    ],
)
def test_bad_profiles(damage, match, tmp_path):
    model, path = network(), tmp_path / "p.json"
    write_profile(path, model, by_macs)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(damage(content)))
    with pytest.raises(ValueError, match=match):
        times(model, str(path))


def test_files_that_are_no_profile(tmp_path):
    model, path = network(), tmp_path / "p.json"
    known = "name of a processor, one of .*'cortex-a53'.*, or the path of a file"
    with pytest.raises(ValueError, match=f"{known}.*Received: '.*p.json'.*neither"):
        times(model, str(path))
    path.write_bytes(b"\xff\x00 no JSON")
    with pytest.raises(ValueError, match="must be a JSON file"):
        times(model, str(path))


def test_a_profile_is_of_one_kind_of_file(tmp_path):
    model, path = network(), tmp_path / "p.json"
    for kind, other in ((None, "int8"), ("int8", "float16")):
        profile = write_profile(path, model, by_macs, quantization=kind)
        # Who says nothing means that kind.
        assert dprp.profiles.read(profile).quantization == kind
        assert dprp.profiles.read(profile, kind).quantization == kind
        with pytest.raises(ValueError, match=f"that of the profile.*'{other}'"):
            dprp.profiles.read(profile, other)


def test_a_profile_of_another_version_is_used_with_a_warning(tmp_path):
    model, device = network(), {"name": "board", "threads": 4}
    versions = {"ai_edge_litert": importlib.metadata.version("ai-edge-litert")}
    path = tmp_path / "p.json"
    profile = write_profile(path, model, by_macs, device=device | versions)
    assert "by the profile of board, 4 threads" in str(times(model, profile))
    versions = {"ai_edge_litert": "1.0.1"}
    write_profile(path, model, by_macs, device=device | versions)
    with pytest.warns(UserWarning, match="one version.*Received: .*version 1.0.1"):
        assert dprp.profiles.read(profile).device["threads"] == 4


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"target": 0.5, "metric": "latency"}, "goes with a `profile`"),
        ({"target": 0.5, "profile": "p.json"}, "goes with a `profile`"),
        ({"metric": "latency", "profile": "p.json"}, "`target` or a `budget`"),
        (
            {"metric": "latency", "profile": "p.json", "threshold": 0.1},
            "`target` or a `budget`",
        ),
    ],
)
def test_arguments_that_do_not_go_together(arguments, match):
    with pytest.raises(ValueError, match=match):
        dprp.RankPruningCallback(**arguments)


def test_a_profile_is_a_path():
    with pytest.raises(TypeError, match="the path of a file.*Received: profile=5"):
        dprp.RankPruningCallback(target=0.5, metric="latency", profile=5)


def test_a_rank_that_is_missing_is_found_out_before_training(tmp_path):
    model, path = images(), tmp_path / "p.json"
    profile, tall = write_profile(path, model, by_macs), [3, 1]
    content = json.loads(path.read_text())
    operations = content["operations"]
    largest = max(x["filters"] for x in operations if x["kernel"] == tall)
    kept = [x for x in operations if x["kernel"] != tall or x["filters"] < largest]
    path.write_text(json.dumps({**content, "operations": kept}))
    with pytest.raises(ValueError, match=f"Received: none .* filters={largest}"):
        train(compiled(model), [prune_at(1, metric="latency", profile=profile)])


def test_a_budget_below_the_floor_says_how_far_one_can_go(tmp_path):
    model = network()
    profile = write_profile(tmp_path / "p.json", model, by_macs, other=1.0)
    with pytest.raises(ValueError, match=r"leave 0\.\d+ of it: .* ms of .* ms"):
        dprp.plan(model, budget=1.0, metric="latency", profile=profile)
    assert all(layer.is_dense for layer in factorized_layers(model))

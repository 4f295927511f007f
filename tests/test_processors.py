"""Time by the name of a processor, as its steps have it."""

import dataclasses
import json
import math
from pathlib import Path

import hypothesis
import keras
import pytest
from hypothesis import strategies as st
from keras import layers
from small_models import classification_data, every_layer, factorized, train

import keras_dprp as dprp
from keras_dprp.costs import NetworkCost
from keras_dprp.operations import Operation
from keras_dprp.processors import NAMES, Processor
from keras_dprp.tiles import KERNELS

RESULTS = Path(__file__).parents[1] / "benchmarks" / "processors" / "results.json"
# How many filters a tile has, and how many channels a step takes.
STEPS = {
    ("cortex-a53", None): (8, 1),
    ("cortex-a53", "int8"): (16, 1),
    ("cortex-a72", None): (8, 1),
    ("cortex-a72", "int8"): (8, 8),
    ("cortex-a76", None): (8, 1),
    ("cortex-a76", "int8"): (16, 4),
    ("x86-avx512", None): (16, 1),
    ("x86-avx512", "int8"): (16, 8),
}
kinds = st.sampled_from([None, "int8"])
processors = st.builds(Processor, st.sampled_from(NAMES), kinds)
sizes = st.integers(1, 40)


def images(*inner, size=8, channels=16):
    return keras.Sequential([keras.Input((size, size, channels)), *inner])


def latency(model, processor):
    return NetworkCost(model, processor).now("latency")


def convolution(channels, filters, size=(14, 14), kernel=(3, 3)):
    return Operation(size, size, channels, filters, kernel)


@pytest.mark.parametrize(("name", "quantization"), STEPS)
def test_time_steps_up_where_a_tile_is_full(name, quantization):
    columns, depth = STEPS[name, quantization]
    processor = Processor(name, quantization)

    def times(of):
        numbers = range(17, 129)
        times = [processor.milliseconds(of(number)) for number in numbers]
        pairs = zip(numbers, times, times[1:], strict=False)
        return {n for n, now, then in pairs if then > 1.05 * now or then < 0.95 * now}

    ends = times(lambda filters: convolution(48, filters))
    assert ends
    # Fewer than 32 filters take tiles half as wide, and 31 take longer than 32.
    assert all(end % columns == 0 or end == 31 for end in ends)
    ends = times(lambda channels: convolution(channels, 48))
    assert all(end % depth == 0 for end in ends)


@hypothesis.given(processors, sizes, sizes, sizes, st.sampled_from([1, 3]))
def test_more_to_compute_takes_no_less(processor, channels, filters, size, length):
    operation = convolution(channels, filters, (size, size), (length, length))
    now = processor.milliseconds(operation)
    assert now > 0
    # Whole tiles more; a single position has a kernel of its own.
    for more in (
        {"channels": channels + 1},
        {"filters": filters + 96},
        {"kernel": (length + 1, length)},
        {"inputs": (size + 7, size + 7), "outputs": (size + 7, size + 7)},
    ):
        assert processor.milliseconds(dataclasses.replace(operation, **more)) >= now


def test_a_dense_layer_takes_as_long_factorisable_or_not():
    inner = [
        layers.Conv2D(24, 3, strides=2, padding="same"),
        layers.Conv2D(24, 3, groups=2),
        layers.Flatten(),
        layers.Dense(10),
    ]
    model = images(*inner)
    factorisable = every_layer(model)
    for name, quantization in STEPS:
        processor = Processor(name, quantization)
        cost = NetworkCost(factorisable, processor)
        stock = latency(model, processor)
        assert cost.dense("latency") == pytest.approx(stock)
        assert cost.other["latency"] < 0.1 * stock


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(8, 3),
        layers.Conv2DTranspose(8, 3),
        layers.EinsumDense("abcd,de->abce", (8, 8, 8)),
        layers.MaxPooling2D(),
        layers.UpSampling2D(),
        layers.ZeroPadding2D(),
        layers.Activation("gelu"),
    ],
)
def test_every_layer_of_a_file_takes_time(layer):
    model = images(layers.Conv2D(8, 3, padding="same"))
    more = images(layers.Conv2D(8, 3, padding="same"), layer)
    for name in NAMES:
        processor = Processor(name)
        assert latency(more, processor) > latency(model, processor)


def test_layers_with_several_inputs_take_time_for_each():
    inputs = keras.Input((8, 8, 4))
    two = keras.Model(inputs, layers.Add()([inputs, inputs]))
    three = keras.Model(inputs, layers.Add()([inputs, inputs, inputs]))
    processor = Processor("cortex-a72")
    assert latency(two, processor) < latency(three, processor)


def test_a_normalisation_takes_time_where_no_kernel_comes_before_it():
    processor = Processor("cortex-a72")
    norm, conv = layers.BatchNormalization(), layers.Conv2D(8, 3)
    before = latency(images(norm, conv), processor)
    after = latency(images(conv, layers.BatchNormalization()), processor)
    assert after == latency(images(conv), processor)
    assert before > after


def test_a_normalisation_over_an_activation_takes_time():
    processor = Processor("cortex-a72")
    model = images(layers.Conv2D(8, 3, activation="relu"))
    more = images(layers.Conv2D(8, 3, activation="relu"), layers.BatchNormalization())
    assert latency(more, processor) > latency(model, processor)


def test_what_vanishes_in_a_file_takes_no_time():
    inner = [layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)]
    inner += [layers.Activation("relu"), layers.Identity()]
    model = images(layers.Conv2D(8, 3))
    more = images(layers.Conv2D(8, 3), *inner, layers.Flatten())
    processor = Processor("cortex-a76", "int8")
    assert latency(more, processor) == latency(model, processor)


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_meets_a_target_and_says_that_it_is_estimated(name):
    model = every_layer(images(layers.Conv2D(48, 3), layers.Conv2D(48, 3), size=16))
    plan = dprp.plan(model, target=0.6, metric="latency", profile=name)
    assert plan.latency_kept <= 0.6
    assert plan.latency < latency(model, Processor(name))
    assert f"of the latency ({plan.latency:.4g} ms) estimated for {name}" in str(plan)
    # The kind of the file decides which steps there are.
    size = {"target": 0.7, "metric": "latency", "profile": name}
    int8 = dprp.plan(model, quantization="int8", **size)
    assert int8.latency_kept <= 0.7
    assert int8.latency < dprp.plan(model, **size).latency


def test_a_fit_by_name_says_that_it_is_estimated(capsys):
    inner = [layers.Dense(64, "tanh"), layers.Dense(64, "tanh"), layers.Dense(4)]
    model = factorized(keras.Sequential([keras.Input((6,)), *inner]))
    pruning = dprp.RankPruningCallback(
        target=0.8, metric="latency", profile="cortex-a53", start=1
    )
    train(model, [pruning], 2, *classification_data((6,)))
    assert pruning.epoch_logs[-1]["latency_kept"] <= 0.8
    assert "of the latency estimated for cortex-a53" in capsys.readouterr().out


def test_a_target_out_of_reach_is_met_with_what_is_estimated():
    model = every_layer(images(layers.Conv2D(16, 3), layers.MaxPooling2D()))
    with pytest.raises(ValueError, match="of it: .* ms estimated for cortex-a53. Rec"):
        dprp.plan(model, target=0.01, metric="latency", profile="cortex-a53")


@pytest.mark.parametrize("name", ["cortex-a99", "Cortex-A53"])
def test_unknown_names_are_met_with_those_that_are_known(name):
    match = f"one of .*'cortex-a76'.*or the path.*Received: '{name}'"
    with pytest.raises(ValueError, match=match):
        dprp.profiles.read(name)


def test_by_name_a_file_is_float32_or_int8():
    assert dprp.profiles.read("cortex-a53").quantization is None
    assert dprp.profiles.read(Path("cortex-a53")).source == "estimated for cortex-a53"
    assert dprp.profiles.read("cortex-a53", "int8").quantization == "int8"
    with pytest.raises(ValueError, match=r"\(None, 'int8'\).*Received: .*'dynamic'"):
        dprp.profiles.read("cortex-a53", "dynamic")


def test_constants_are_those_that_were_fitted():
    fitted = json.loads(RESULTS.read_text())["constants"]
    for form, quantization in (("float32", None), ("int8", "int8")):
        kernels = KERNELS["x86-avx512"][quantization]
        for name, value in fitted[form].items():
            held = getattr(kernels, name)
            step = getattr(held, "step", held)
            assert step is None or math.isclose(step, value, rel_tol=1e-3)

"""Tables and figures say what the model and the callback hold."""

import keras
import numpy as np
import pytest
from small_models import (
    every_layer,
    factorized,
    factorized_layers,
    perceptron,
    ranks,
    train,
)

import keras_dprp as dprp


@pytest.fixture
def trained():
    model = factorized(perceptron(), "adam")
    callback = dprp.RankPruningCallback(0.45, start=1, stop=2, events=2, verbose=0)
    train(model, [callback], epochs=4)
    return model, callback


def test_summary_prints_what_it_returns(trained, capsys):
    report = dprp.summary(trained[0])
    assert capsys.readouterr().out == str(report)


def test_summary_has_ranks_costs_and_forms(trained):
    model, callback = trained
    report = dprp.summary(model)
    layers = factorized_layers(model)
    assert [row.name for row in report.rows] == ["hidden", "logits"]
    for row, layer in zip(report.rows, layers, strict=True):
        assert (row.rank, row.full_rank) == (layer.rank, layer.full_rank)
        assert row.kernel == tuple(layer.kernel.shape)
        assert row.form == "pair"
        assert f"{layer.rank} / {layer.full_rank}" in str(report)
    assert report.parameters == sum(row.parameters for row in report.rows)
    assert report.macs_kept == callback.history[-1]["macs_kept"]
    assert f"({report.parameters_kept:.0%})" in str(report)


def test_summary_of_a_stock_model():
    report = dprp.summary(perceptron())
    assert report.parameters_kept == report.macs_kept == 1
    assert {row.form for row in report.rows} == {"not chosen"}


def test_summary_lists_every_kernel_and_why_it_is_left():
    inputs = keras.Input((4, 8))
    x = keras.layers.TimeDistributed(keras.layers.Dense(6, name="inside"))(inputs)
    x = keras.layers.EinsumDense("abc,bcd->abd", (4, 15), name="einsum")(x)
    x = keras.layers.Dense(7, name="dense")(keras.layers.Flatten()(x))
    report = dprp.summary(every_layer(keras.Model(inputs, x)))
    rows = {row.name: row for row in report.rows}
    assert list(rows) == ["inside", "einsum", "dense"]
    assert rows["inside"].form == "inside another layer, MACs not counted"
    form = "'abc,bcd->abd' is no product of its inputs with a matrix"
    assert rows["einsum"].form == form
    assert rows["einsum"].macs == 4 * 6 * 15
    assert sum(row.dense_macs for row in report.rows) == report.dense_macs
    assert sum(row.parameters for row in report.rows) == report.parameters


def test_summary_counts_what_recurrent_layers_hold_and_compute():
    inputs = keras.Input((5, 6))
    x = keras.layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    x = keras.layers.GRU(3, name="gru")(x)
    model = keras.Model(inputs, keras.layers.Dense(7, name="dense")(x))
    rows = {row.name: row for row in dprp.summary(every_layer(model)).rows}
    assert list(rows) == ["lstm", "gru", "dense"]
    lstm, gru = rows["lstm"], rows["gru"]
    assert (lstm.form, lstm.kernel) == ("there is no factorised form of LSTM", (6, 16))
    for row in (lstm, gru):
        assert row.parameters == model.get_layer(row.name).count_params()
    assert lstm.macs == 5 * (6 + 4) * 4 * 4
    assert gru.macs == 5 * (4 + 3) * 3 * 3


def test_summary_says_why_the_mode_asked_for_saves_nothing():
    inputs = keras.Input((6, 6, 4))
    x = keras.layers.Conv2D(8, 3, padding="same", name="chosen")(inputs)
    # A pair of rank 1 saves MACs in spatial mode (27 for 72), not in channel mode (73).
    x = keras.layers.Conv2D(1, 3, padding="same", name="left")(x)
    report = dprp.summary(every_layer(keras.Model(inputs, x), mode="channel"))
    assert report.rows[-1].form == "even rank 1 costs no less than dense"


def test_summary_tells_layers_of_one_name_apart():
    inputs = keras.Input((6,))
    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6, name="same")])
    outputs = keras.layers.Dense(6, name="same")(inner(inputs))
    report = dprp.summary(every_layer(keras.Model(inputs, outputs)))
    assert len({row.name for row in report.rows}) == 2


def test_open_sizes_beside_fixed_ones():
    a, b = keras.Input((None, None, 3)), keras.Input((16, 16, 8))
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv")(a)
    model = every_layer(keras.Model([a, b], keras.layers.Add()([x, b])))
    report = dprp.summary(model)
    # What is open counts as 224.
    assert report.dense_macs == 224 * 224 * 9 * 3 * 8


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: 3, TypeError, "Received: 3"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), ValueError, "unbuilt"),
    ],
)
def test_bad_model(make, error, match):
    with pytest.raises(error, match=match):
        dprp.summary(make())


def test_plot_has_a_line_of_every_layers_ranks(trained):
    model, callback = trained
    top, bottom = dprp.plot_ranks(callback).axes
    assert len(top.lines) == len(factorized_layers(model))
    for line, rank in zip(top.lines, ranks(model), strict=True):
        assert line.get_ydata()[-1] == rank
        assert line.get_xdata()[-1] == 4
    labels = [line.get_label() for line in bottom.lines]
    assert labels == ["parameters kept", "MACs kept", "accuracy"]
    kept = bottom.lines[0].get_ydata()
    np.testing.assert_allclose(kept[-1], callback.history[-1]["parameters_kept"])


def test_plot_can_be_saved(trained, tmp_path):
    path = tmp_path / "ranks.png"
    dprp.plot_ranks(trained[1]).savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("epochs", [1, 8])
def test_plot_shows_what_was_before_a_cut_at_once(epochs):
    model = factorized(perceptron())
    before = ranks(model)
    callback = dprp.RankPruningCallback(0.45, start=0, verbose=0)
    train(model, [callback], epochs=epochs)
    top, bottom = dprp.plot_ranks(callback).axes
    for line, ends in zip(
        top.lines, zip(before, ranks(model), strict=True), strict=False
    ):
        assert (line.get_ydata()[0], line.get_ydata()[-1]) == ends
    for line in (*top.lines, *bottom.lines[:2]):
        start, cut, end = line.get_xdata()
        assert start <= -0.05 * epochs
        assert (cut, end) == (0, epochs)
    assert [line.get_ydata()[0] for line in bottom.lines[:2]] == [1, 1]


def test_plot_has_room_for_a_network_of_many_layers(tmp_path):
    layers = [keras.layers.Dense(6, name=f"a_layer_in_block_{i}") for i in range(60)]
    model = factorized(keras.Sequential([keras.Input((6,)), *layers]))
    callback = dprp.RankPruningCallback(0.9, start=1, verbose=0)
    train(model, [callback], epochs=2, x=np.ones((8, 6)), y=np.ones(8))
    figure = dprp.plot_ranks(callback)
    # Matplotlib warns where axes have no room, and warnings are errors.
    figure.savefig(tmp_path / "ranks.png")
    whole = figure.bbox
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        assert whole.y0 <= legend.y0 < legend.y1 <= whole.y1
        assert whole.x0 <= legend.x0 < legend.x1 <= whole.x1
        assert axes.bbox.width > 0.3 * whole.width


@pytest.mark.parametrize(
    "callback, error, match",
    [
        (None, TypeError, "Received: None"),
        (dprp.RankPruningCallback(), ValueError, "been through a `fit`"),
    ],
)
def test_bad_callback(callback, error, match):
    with pytest.raises(error, match=match):
        dprp.plot_ranks(callback)

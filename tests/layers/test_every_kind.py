"""Networks of every kind of layer go all the way, from `factorize` to a file."""

import keras
import numpy as np
import pytest
from architectures import assert_same_outputs, with_random_factors
from keras import layers
from small_models import (
    arrays,
    assert_identical,
    classification_data,
    compiled,
    every_layer,
    factorized_layers,
    prune_at,
    train,
)

import keras_dprp as dprp
import tflite_export
from keras_dprp.kernels import TWINS
from tflite_export.operation_files import operation_model, operations_of

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def sequences():
    """As of keyword spotting: from twelve steps of six features to four classes."""
    x = inputs = keras.Input((12, 6))
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    x = layers.SeparableConv1D(8, 3, strides=2, padding="same", name="apart")(x)
    x = layers.Conv1DTranspose(8, 3, 2, padding="same", activation="relu")(x)
    heads = layers.EinsumDense("abc,cde->abde", (12, 2, 6), bias_axes="de")(x)
    x = layers.EinsumDense("abcd,cde->abe", (12, 8), activation="tanh")(heads)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def images():
    """As of segmentation: smaller, then larger again."""
    x = inputs = keras.Input((6, 6, 4))
    x = layers.SeparableConv2D(8, 3, 2, "same", activation="relu", name="apart")(x)
    x = layers.Conv2DTranspose(8, 3, 2, "same", activation="relu")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def volumes():
    x = inputs = keras.Input((4, 5, 3, 4))
    x = layers.Conv3D(8, 3, strides=(1, 2, 1), padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling3D()(x)))


def transformer():
    x = inputs = keras.Input((6, 8))
    attend = layers.MultiHeadAttention(2, 4, name="attend")
    x = attend(attend(x, x, use_causal_mask=True), x)
    x = layers.GroupQueryAttention(4, 4, 2)(query=inputs, value=x)
    x = layers.LayerNormalization()(layers.Add()([inputs, x]))
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


NETWORKS = (sequences, images, volumes, transformer)
each_network = pytest.mark.parametrize("build", NETWORKS)


def weights(model):
    """What learns, whichever layers hold it and in whichever order."""
    variables = (v for v in model.trainable_variables if 0 not in v.shape)
    return sorted(arrays(variables), key=lambda x: (x.shape, x.tobytes()))


def test_the_networks_have_every_kind():
    found = {type(x) for f in NETWORKS for x in factorized_layers(every_layer(f()))}
    assert found == set(TWINS.values())


@each_network
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_dense_they_learn_as_the_stock_layers_bit_for_bit(build, policy):
    keras.config.set_dtype_policy(policy)
    try:
        stock = build()
        before = arrays(stock.trainable_variables)
        model = every_layer(stock)
        data = dict(zip("xy", classification_data(stock.input_shape[1:]), strict=True))
        losses = [
            train(compiled(each, "adam"), [], epochs=1, **data).history
            for each in (stock, model)
        ]
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses[1] == losses[0]
    assert_identical(weights(model), weights(stock))
    after = arrays(stock.trainable_variables)
    assert all((a != b).any() for a, b in zip(after, before, strict=True))


@each_network
def test_a_cut_network_is_saved_and_folded(build, tmp_path):
    model = compiled(dprp.factorize(build()), "adam")
    x, y = classification_data(model.input_shape[1:])
    train(model, [prune_at(1, target=0.6)], x=x, y=y, epochs=2)
    assert any(not layer.is_dense for layer in factorized_layers(model))
    assert dprp.summary(model).macs_kept <= 0.6
    model.save(tmp_path / "model.keras")
    assert_same_outputs(keras.saving.load_model(tmp_path / "model.keras"), model)
    assert_same_outputs(dprp.fold(model), model)


@each_network
@pytest.mark.parametrize("rank, mode", [(1, "channel"), (0.5, "spatial")])
def test_folded_they_are_what_the_summary_counts(build, rank, mode):
    stock = build()
    model = with_random_factors(every_layer(stock, rank=rank, mode=mode))
    folded = dprp.fold(model)
    assert all(type(each).__module__.startswith("keras.") for each in folded.layers)
    assert_same_outputs(folded, model)
    report, of_folded = dprp.summary(model), dprp.summary(folded)
    assert (report.macs, report.parameters) == (of_folded.macs, of_folded.parameters)
    of_stock = dprp.summary(stock)
    assert report.dense_macs == of_stock.macs
    assert report.dense_parameters == of_stock.parameters


@pytest.mark.skipif(not ON_TENSORFLOW, reason="The same on every backend.")
@each_network
@pytest.mark.parametrize("quantization", [None, "int8"])
def test_they_become_files(build, quantization, tmp_path):
    model = dprp.factorize(build())
    dprp.prune(model, target=0.6)
    x, _ = classification_data(model.input_shape[1:])
    path = tmp_path / "model.tflite"
    # It compares the outputs of the file with the model's.
    report = tflite_export.export(
        model, path, quantization, representative_data=x, verbose=False
    )
    assert path.stat().st_size == report.bytes


@pytest.mark.skipif(not ON_TENSORFLOW, reason="The same on every backend.")
@each_network
def test_a_model_of_an_operation_computes_what_it_says(build):
    _, operations = operations_of(build())
    for operation in operations:
        model = operation_model(operation)
        for output in model.outputs:
            size = np.prod(operation.outputs) * operation.filters
            assert np.prod(output.shape[1:]) == size
        assert dprp.summary(model).macs == operation.macs * len(model.outputs)

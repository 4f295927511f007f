"""What PyTorch itself sees of a model whose variables have changed shape."""

import keras
import numpy as np
import pytest
from small_models import (
    AtEpoch,
    arrays,
    assert_identical,
    classification_data,
    deep_perceptron,
    every_layer,
    factorized,
    prune_at,
    ranks,
    train,
)

import keras_dprp as dprp

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="PyTorch's own modules."
)


class Subclassed(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


def holders(model):
    """Modules that hold the layers of a model, also some that have not run yet."""
    return [
        model,
        *model.layers,
        Subclassed(model),
        keras.Sequential([keras.Input((6,)), model]),
        keras.Model(model.inputs[0], model.get_layer("second").output),
    ]


def test_modules_hold_the_parameters_that_there_are():
    model = factorized(deep_perceptron(), "adam", {"teacher": "self"})
    modules = holders(model)
    found = {}

    def look(logs):
        found["parameters"] = [list(x.parameters()) for x in modules]
        found["states"] = [list(x.state_dict().values()) for x in modules]
        found["variables"] = [[v.value for v in x.variables] for x in modules]

    train(model, [prune_at(1), AtEpoch(1, begin=look)])
    assert sum(ranks(model)) < 6 + 24 + 4
    for parameters, states, variables in zip(*found.values(), strict=True):
        assert {id(x) for x in parameters} == {id(x) for x in variables}
        assert {x.data_ptr() for x in states} == {x.data_ptr() for x in variables}


def test_a_state_dict_goes_into_a_model_of_the_same_ranks():
    model = factorized(deep_perceptron())
    copies = [keras.models.clone_model(model) for _ in range(2)]
    for each in (model, copies[0]):
        dprp.prune(each, target=0.6)
        assert sum(ranks(each)) < 6 + 24 + 4
    train(model, [], epochs=1)
    copies[0].load_state_dict(model.state_dict())
    assert_identical(arrays(copies[0].weights), arrays(model.weights))
    with pytest.raises(RuntimeError, match="size mismatch"):
        copies[1].load_state_dict(model.state_dict())


def test_a_loop_as_pytorch_has_it():
    import torch

    model = every_layer(deep_perceptron())
    x, y = (torch.tensor(each) for each in classification_data())

    def step(optimizer):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x, training=True), y)
        loss.backward()
        optimizer.step()
        return loss

    old = torch.optim.Adam(model.parameters(), 0.01)
    losses = [step(old) for _ in range(10)]
    # The losses, and with them the graphs of these steps, are still held.
    dprp.prune(model, target=0.6)
    assert sum(ranks(model)) < 6 + 24 + 4
    before = arrays(model.weights)
    with pytest.raises(RuntimeError, match="size"):
        step(old)
    assert all(np.isfinite(each).all() for each in before)
    new = torch.optim.Adam(model.parameters(), 0.01)
    losses += [step(new) for _ in range(20)]
    values = [loss.item() for loss in losses]
    assert values[-1] < min(values[:10])

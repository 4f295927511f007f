"""The networks of the CIFAR-10 example."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_dprp as dprp


@pytest.fixture
def resnet(examples):
    import resnet

    return resnet


@pytest.mark.parametrize(
    "model, parameters, macs",
    [
        ("resnet8", 75_290, 12_239_488),
        ("resnet20", 269_722, 40_551_040),
        ("resnet32", 464_154, 68_862_592),
        ("resnet56", 853_018, 125_485_696),
        ("resnet18", 11_173_962, 555_422_720),
        ("vgg16", 14_724_042, 313_201_664),
    ],
)
def test_networks_are_those_of_the_paper(model, parameters, macs, resnet):
    images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3))
    network = resnet.build(model, (32, 32, 3), 10, images)
    report = dprp.summary(network)
    trained = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    assert (trained, report.macs) == (parameters, macs)
    # Statistics of normalisations are in the file as well.
    assert report.parameters == network.count_params() > parameters


def test_a_width_replaces_the_networks_own(resnet):
    images = np.zeros((1, 32, 32, 3)) + np.arange(2)[:, None, None, None]
    narrow = resnet.build("resnet8", (32, 32, 3), 10, images, width=8)
    own = resnet.build("resnet8", (32, 32, 3), 10, images, width=16)
    default = resnet.build("resnet8", (32, 32, 3), 10, images)
    macs = [dprp.summary(network).macs for network in (narrow, own, default)]
    assert macs[0] < 0.3 * macs[1]
    assert macs[1] == macs[2]


def test_shortcuts_pass_half_the_pixels_and_add_empty_channels(resnet):
    inputs = keras.Input((4, 4, 2))
    outputs = resnet.residual(inputs, 4, 2, resnet.padding, "block", None)
    model = keras.Model(inputs, outputs)
    for weight in model.trainable_weights:
        if weight.name == "kernel":
            weight.assign(np.zeros(weight.shape))
    x = np.random.default_rng(0).uniform(size=(1, 4, 4, 2)).astype("float32")
    y = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(y[..., 1:3], x[:, ::2, ::2], atol=1e-6)
    assert not y[..., [0, 3]].any()

"""Parts of the package done otherwise, to ask whether its own way is the best."""

import functools

import keras
import numpy as np

from keras_dprp import ranks
from keras_dprp.layers.svd_layer import SVDLayer
from keras_dprp.live import models

# What a layer loses that keeps a share of s²: ranks minimise the sum over layers.
RANK_LOSSES = {
    "sum": lambda kept: 1 - kept,
    "log": lambda kept: -np.log(kept),
    "lost/kept": lambda kept: (1 - kept) / kept,
}
# Steps that an average of weights reaches back: five epochs or so.
AVERAGED_STEPS = 1000


def apply(run):
    """Do in this process what a run asks to be done otherwise."""
    if "rank_loss" in run:
        ranks.loss_of = RANK_LOSSES[run["rank_loss"]]
    if run.get("orthonormal"):
        # The singular values stay in s.
        SVDLayer.is_balanced = False  # type: ignore[assignment, method-assign]
    if run.get("averaged"):
        average()


def average():
    """Have a training cut, and its teacher be, the average of its last weights."""
    import cifar10

    keras.optimizers.SGD = functools.partial(
        keras.optimizers.SGD, use_ema=True, ema_momentum=1 - 1 / AVERAGED_STEPS
    )
    fit = cifar10.fit

    def with_average(model, settings, data, callbacks=()):
        take = TakeAverage(settings, data[0][0])
        return fit(model, settings, data, [take, *callbacks])

    cifar10.fit = with_average


class TakeAverage(keras.callbacks.Callback):
    """Gives the network its average weights in the epoch in which it is cut."""

    def __init__(self, settings, images):
        super().__init__()
        self.settings, self.images = settings, images

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.settings.start:
            models.newest_values(self.model)
            optimizer = self.model.optimizer
            optimizer.finalize_variable_values(self.model.trainable_variables)
            for variable in self.model.trainable_variables:
                # JAX must not find it in the place of the average, too.
                variable.assign(keras.ops.convert_to_numpy(variable))
            self._measure_statistics()

    def _measure_statistics(self, batches=40, size=250):
        """Statistics of batches are those of the weights that there were."""
        import cifar10

        network = cifar10.network_in(self.model, self.settings)
        norms = [
            layer
            for layer in network.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.9
        for start in range(0, batches * size, size):
            network(self.images[start : start + size], training=True)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

"""Teachers of a network: a trained one, or what the network itself was before."""

import keras
from keras import layers, ops

import keras_dprp as dprp

# How much of the loss is about the teacher's answers, and how soft these are.
SHARE, TEMPERATURE = 0.5, 4.0


class Distillation(layers.Layer):
    """Draws the logits of a network towards those of a teacher, in training.

    References:
        [Distilling the knowledge in a neural network](
        https://arxiv.org/abs/1503.02531)
    """

    def __init__(self, teacher, share=SHARE, **kwargs):
        super().__init__(**kwargs)
        # Within a layer, so that it does not count as a part of the network.
        self.teacher = teacher
        self.teacher.trainable = False
        # A variable, as it may change while a compiled step is in use.
        self.share = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(share), trainable=False
        )

    def call(self, images, logits, training=False):
        if not training:
            return logits
        distance = ops.cond(
            self.share > 0,
            lambda: self._distance(images, logits),
            lambda: ops.zeros((), logits.dtype),
        )
        # Its gradient shrinks with the square of the temperature.
        self.add_loss(self.share * TEMPERATURE**2 * distance)
        # The labels have the rest: of their loss, the same share of the gradient.
        return self.share * ops.stop_gradient(logits) + (1 - self.share) * logits

    def _distance(self, images, logits):
        answers = self.teacher(images, training=False) / TEMPERATURE
        wanted = ops.stop_gradient(ops.log_softmax(answers))
        given = ops.log_softmax(logits / TEMPERATURE)
        return ops.mean(ops.sum(ops.exp(wanted) * (wanted - given), axis=-1))


class OwnTeacher(keras.callbacks.Callback):
    """Makes a network, as it is at the beginning of an epoch, its own teacher.

    Args:
        network: Of dense layers, or factorised ones of full rank.
        distillation: A `Distillation` whose teacher has the dense layers of the
            network, and whose share is zero until then.
        epoch: Integer.
        share: Float in (0, 1], what the share is from then on.
    """

    def __init__(self, network, distillation, epoch, share=SHARE):
        super().__init__()
        self.network, self.distillation = network, distillation
        self.epoch, self.share = epoch, share

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            weights = dprp.fold(self.network).get_weights()
            self.distillation.teacher.set_weights(weights)
            self.distillation.share.assign(self.share)

"""Penalties on a layer's factors: when they act, how strongly, and only once."""

import keras
import numpy as np
from keras import ops

from keras_dprp import penalties, resize


class PenalizedLayer(keras.layers.Layer):
    """A layer that adds structure and compression penalties to the loss.

    Subclasses hold the factors and have a `kernel` and a `kernel_regularizer`.

    Args:
        structure: None, a name, a penalty object, or a list of them.
        compression: Likewise.

    Attributes:
        penalty_weights: Variable: the current weight of every term of `structure`,
            then of `compression`. It can change in training without a retrace.
        penalty_values: Variable: the value of every term, before its weight, in the
            last training step.
        kept_rank: Variable: how many of today's singular values the pruning rule
            would keep in the end.
    """

    def __init__(self, structure, compression, **kwargs):
        super().__init__(**kwargs)
        self.structure = penalties.get(structure, penalties.STRUCTURE, "structure")
        self.compression = penalties.get(
            compression, penalties.COMPRESSION, "compression"
        )
        self._penalty = None
        self._penalties_act = True

    def factors(self):
        """U, s and V as float32 tensors."""
        raise NotImplementedError

    def configured_penalty_weights(self):
        """The weights the penalty objects were made with, structure first."""
        return [penalty.weight for penalty in self._terms()]

    def set_penalties(self, structure, compression):
        """Switch the structure and the compression terms on or off.

        While both are off a training step does not compute them.

        Args:
            structure: Bool.
            compression: Bool.
        """
        switch = [structure] * len(self.structure)
        switch += [compression] * len(self.compression)
        weights = np.multiply(self.configured_penalty_weights(), switch)
        self.penalty_weights.assign(weights.astype("float32"))
        if any(switch) != self._penalties_act:
            self._penalties_act = any(switch)
            self.penalty_values.assign(np.zeros(len(switch), "float32"))
            resize.retrace(self)

    def structure_penalty(self):
        """What the structure terms at their full weight add to the loss, a float.

        As measured in the last training step, 0 while all terms are off: to compute
        it here, outside the compiled step, would compile every operation anew at
        every new rank.
        """
        return float(self._weighted_values()[: len(self.structure)].sum())

    def compression_penalty(self):
        """What the compression terms at their full weight add to the loss, a float."""
        return float(self._weighted_values()[len(self.structure) :].sum())

    def _weighted_values(self):
        values = ops.convert_to_numpy(self.penalty_values)
        return values * self.configured_penalty_weights()

    def _terms(self):
        return (*self.structure, *self.compression)

    def _values(self):
        factors, kept_rank = self.factors(), ops.convert_to_tensor(self.kept_rank)
        return ops.stack([penalty(*factors, kept_rank) for penalty in self._terms()])

    def _build_penalties(self, rank):
        weights = self.configured_penalty_weights()
        # Float32 whatever the policy, as the penalties themselves.
        float32 = {"dtype": "float32", "autocast": False, "trainable": False}
        self.penalty_weights = self.add_weight(
            name="penalty_weights",
            shape=(len(weights),),
            initializer=lambda shape, dtype: ops.convert_to_tensor(weights, dtype),
            **float32,
        )
        self.penalty_values = self.add_weight(
            name="penalty_values",
            shape=(len(weights),),
            initializer="zeros",
            aggregation="only_first_replica",
            **float32,
        )
        self.kept_rank = self.add_weight(
            name="kept_rank",
            shape=(),
            initializer=keras.initializers.Constant(rank),
            **float32,
        )

    def _add_penalty_once(self, training):
        """Add the penalties unless an earlier call of this step has added them.

        A frozen layer adds none, as Keras has it with regularizers. A layer that is
        used twice in a model is called twice a step, and its factors would pay
        twice. Keras forgets the losses when the outermost call of the next step
        begins, so what is still in `losses` is of this step.

        Structure and compression steer the training and say nothing of the model:
        `val_loss`, which callbacks watch, must not jump where they set in. A kernel
        regularizer is in it, as in the stock layer's.
        """
        if not self.trainable or any(loss is self._penalty for loss in self.losses):
            return
        terms = []
        # None where a model written by hand does not say whether it is trained.
        if self._terms() and self._penalties_act and training is not False:
            values = self._values()
            terms.append(ops.sum(self.penalty_weights * values))
            if training or resize.in_step():
                self.penalty_values.assign(values)
        if self.kernel_regularizer is not None:
            terms.append(self.kernel_regularizer(self.kernel))
        if terms:
            self._penalty = sum(terms)
            self.add_loss(self._penalty)

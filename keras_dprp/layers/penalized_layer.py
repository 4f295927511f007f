"""Penalties on a layer's factors: when they act, and only once."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dprp import penalties
from keras_dprp.live import models
from keras_dprp.live.losses import own_losses


class PenalizedLayer(keras.layers.Layer):
    """A layer that adds structure and compression terms to the loss.

    The terms act in training and on factors alone: not while the layer is dense.
    Subclasses have `factors`, `kernel`, `is_dense` and a `kernel_regularizer`.

    Args:
        structure: None, a name, a penalty object, or a list of them.
        compression: Likewise.

    Attributes:
        penalty_values: Variable: the value of every term of `structure`, then of
            `compression`, before its weight, in the last training step. None without
            terms.
        kept_rank: Variable: how many of today's singular values the pruning rule
            would keep in the end. None without terms.
    """

    def __init__(self, structure, compression, **kwargs):
        super().__init__(**kwargs)
        self.structure = penalties.get(structure, penalties.STRUCTURE, "structure")
        self.compression = penalties.get(
            compression, penalties.COMPRESSION, "compression"
        )
        # Made by `build` where there are terms.
        self.penalty_values: Any = None
        self.kept_rank: Any = None
        self._penalties_act = True
        self._added = None

    @property
    def terms(self):
        """All penalty objects, those of the structure first."""
        return (*self.structure, *self.compression)

    def let_penalties_act(self, act):
        """Switch all terms on or off; while off a training step does not compute them.

        Args:
            act: Bool.
        """
        if act != self._penalties_act and self.terms:
            self._penalties_act = act
            self.penalty_values.assign(np.zeros(len(self.terms), "float32"))
            models.retrace(self)

    def structure_penalty(self):
        """What the structure terms added to the loss of the last training step."""
        return float(self._weighted_values()[: len(self.structure)].sum())

    def compression_penalty(self):
        """What the compression terms added to the loss of the last training step."""
        return float(self._weighted_values()[len(self.structure) :].sum())

    def _weighted_values(self):
        values = ops.convert_to_numpy(self.penalty_values)
        return values * [term.weight for term in self.terms]

    def _build_penalties(self, rank):
        if not self.terms:
            return
        # Float32 whatever the policy, as the penalties themselves.
        float32 = {"dtype": "float32", "autocast": False, "trainable": False}
        # Read from one replica, and not shared in the middle of a step: replicas would
        # take turns there, and find each other's losses in `losses`.
        self.penalty_values = keras.Variable(
            "zeros",
            shape=(len(self.terms),),
            name="penalty_values",
            aggregation="only_first_replica",
            synchronization="on_read",
            **float32,
        )
        self.kept_rank = self.add_weight(
            name="kept_rank",
            shape=(),
            initializer=keras.initializers.Constant(rank),
            **float32,
        )

    def _add_losses_once(self, training):
        """Add what the loss gets, unless an earlier call of this step has added it.

        A frozen layer adds nothing, as Keras has it with regularizers. A layer that is
        used twice in a model is called twice a step, and its factors would pay
        twice. Keras forgets the losses when the outermost call of the next step
        begins, so what is still in `losses` is of this step.

        Penalties steer the training and say nothing of the model: `val_loss`, which
        callbacks watch, must not jump where they set in. A kernel regularizer is in
        it, as in the stock layer's; while dense Keras itself adds that.
        """
        if not self.trainable or any(loss is self._added for loss in own_losses(self)):
            return
        losses = []
        # None where a model written by hand does not say whether it is trained.
        acts = self._penalties_act and not self.is_dense and training is not False
        if self.terms and acts:
            kept_rank = ops.convert_to_tensor(self.kept_rank)
            factors = self.factors()
            values = ops.stack([term(*factors, kept_rank) for term in self.terms])
            weights = ops.array([term.weight for term in self.terms], "float32")
            losses.append(ops.sum(values * weights))
            if training or models.in_step():
                self.penalty_values.assign(values)
        if self.kernel_regularizer is not None and not self.is_dense:
            losses.append(self.kernel_regularizer(self.kernel))
        if losses:
            self._added = sum(losses)
            self.add_loss(self._added)

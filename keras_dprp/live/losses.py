"""The loss a model was compiled with, and a teacher's part in it."""

import weakref
from typing import Any

from keras.src.losses.loss import unscale_loss_for_distribution


def compiled_losses(model):
    """Path to an output, loss and weight, of every loss a model was compiled with."""
    losses = model._compile_loss
    return [] if losses is None else [each[:3] for each in losses._flat_losses]


def of_all_replicas(loss):
    """A loss that Keras has divided by the number of replicas, as it was before."""
    return unscale_loss_for_distribution(loss)


def wrap_loss(model, layer):
    """Have a model's training loss go through a layer's `compute_loss`.

    Args:
        model: A `keras.Model`.
        layer: A `Distillation` in it.

    Returns:
        Whether it did not go through it before.
    """
    if isinstance(vars(model).get("compute_loss"), _ComputeLoss):
        return False
    # Past Keras's tracking, which would take it for a part of the model.
    object.__setattr__(model, "compute_loss", _ComputeLoss(model, layer))
    return True


class _ComputeLoss:
    """`model.compute_loss` that goes through a layer in training."""

    def __init__(self, model, layer):
        # Weak: the model holds this object, and the layer.
        self._model, self._layer = weakref.ref(model), weakref.ref(layer)

    def __call__(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        model: Any = self._model()
        layer = self._layer()

        def task_loss(outputs):
            # As Keras calls it, and of a class that may be the user's.
            known = model._compute_loss_has_training_arg
            more = {"training": training} if known else {}
            loss = type(model).compute_loss
            return loss(model, x, y, outputs, sample_weight, **more)

        if not training or layer is None:
            return task_loss(y_pred)
        return layer.compute_loss(model, task_loss, y_pred)


def own_losses(layer):
    """What a layer itself has added to the loss of this step, regularizers aside.

    While Keras builds a model in a symbolic step, these have no values to look at.
    """
    return layer._get_own_losses()
